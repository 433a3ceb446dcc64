"""The first rows of another source: the same rows as without the limit, in the same order, and no more."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError
from hyped_beam.io.readers.base import Range, Reader, Scan
from hyped_beam.io.readers.first import FirstRows, FirstRowsScan
from hyped_beam.io.readers.parquet import ParquetReader

ROWS = 1000


class Uncounted(ParquetReader):
    """A source of which only reading tells how many rows there are."""

    def ranges(self) -> list[Range]:
        found = super().ranges()
        return [Range(part.number, part.pieces) for part in found]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = tmp_path_factory.mktemp("first") / "rows.parquet"
    pq.write_table(pa.table({"n": range(ROWS), "text": ["t"] * ROWS}), made, row_group_size=100)
    return str(made)


def rows(reader: Reader) -> list[int]:
    return [
        n
        for part in reader.ranges()
        for batch in reader.read(part, ["n"])
        for n in batch.column(0).to_pylist()
    ]


@given(limit=st.integers(0, ROWS + 50), kind=st.sampled_from([ParquetReader, Uncounted]))
def test_they_are_the_first(limit: int, kind: type[ParquetReader], path: str):
    assert rows(FirstRows(kind(path), limit)) == list(range(min(limit, ROWS)))


def test_ranges_say_how_many_rows_they_hold(path: str):
    ranges = FirstRows(ParquetReader(path), 250).ranges()
    assert sum(part.rows for part in ranges) == 250
    assert [part.first_row for part in ranges] == [0, 100, 200]


class Ending(Scan):
    """A scan that may be asked for one batch alone."""

    def read(self, part: Range) -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"n": list(range(20))})
        raise AssertionError(part)


def test_what_lies_behind_the_last_row_is_not_read():
    (batch,) = FirstRowsScan(Ending(), 10).read(Range(0, (), first_row=0))
    assert batch.num_rows == 10


def test_another_limit_is_another_source(path: str):
    reader = ParquetReader(path)
    prints = {FirstRows(reader, limit).fingerprint() for limit in (1, 2)} | {reader.fingerprint()}
    assert len(prints) == 3


def test_a_limit_below_zero_is_none(path: str):
    with pytest.raises(DefinitionError, match="greater than or equal to 0"):
        FirstRows(ParquetReader(path), -1)
