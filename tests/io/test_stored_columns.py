"""Columns of numbers of stored batches: a second reading copies what the first has decoded."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.io.readers.mapped import MappedFile

WHEN = datetime.datetime(2001, 2, 3, tzinfo=datetime.timezone.utc)
COLUMNS: dict[str, tuple[pa.DataType, Any]] = {
    "n": (pa.int64(), 7),
    "small": (pa.int8(), -3),
    "x": (pa.float32(), 0.5),
    "flag": (pa.bool_(), True),
    "time": (pa.timestamp("us", "UTC"), WHEN),
    "text": (pa.string(), "word"),
    "numbers": (pa.list_(pa.int32()), [1, 2]),
}


def stored_batch(rows: int, number: int, nulls: set[str]) -> pa.RecordBatch:
    arrays = {}
    for name, (kind, value) in COLUMNS.items():
        values = [(number * 31 + row) % 100 if name in {"n", "small", "x"} else value for row in range(rows)]
        if name in nulls and rows:
            values[rows // 2] = None
        arrays[name] = pa.array(values, kind)
    return pa.record_batch(arrays)


def written(path: Path, batches: list[pa.RecordBatch], *, stream: bool) -> pa.Table:
    write = pa.ipc.new_stream if stream else pa.ipc.new_file
    with path.open("wb") as file, write(file, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return pa.Table.from_batches(batches)


@given(
    rows=st.lists(st.integers(0, 40), min_size=1, max_size=8) | st.just([16] * 6),
    nulls=st.lists(st.tuples(st.integers(0, 7), st.sampled_from(sorted(COLUMNS)))),
    cuts=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=3),
    columns=st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, unique=True),
    stream=st.booleans(),
)
def test_any_rows_are_the_same_however_often_they_are_read(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[int],
    nulls: list[tuple[int, str]],
    cuts: list[tuple[float, float]],
    columns: list[str],
    stream: bool,
):
    path = tmp_path_factory.mktemp("stored") / "data.arrow"
    batches = [
        stored_batch(count, number, {name for at, name in nulls if at == number})
        for number, count in enumerate(rows)
    ]
    table = written(path, batches, stream=stream)
    mapped = MappedFile(str(path))
    parts = [tuple(sorted((int(a * len(table)), int(b * len(table))))) for a, b in cuts]
    for start, stop in [*parts, (0, len(table)), *parts]:
        read = list(mapped.read(start, stop, columns)) if start < stop else []
        expected = table.slice(start, stop - start).select(columns)
        assert pa.Table.from_batches(read, expected.schema).equals(expected)
        for batch in read:
            batch.validate(full=True)


def test_slices_of_one_region_lie_beside_each_other(tmp_path: Path):
    path = tmp_path / "data.arrow"
    batch = pa.record_batch({"n": pa.array(range(1000), pa.int64())})
    written(path, [batch] * 200, stream=True)
    mapped = MappedFile(str(path))
    for _ in range(2):
        first, second, *_ = mapped.read(0, 200_000, ["n"])
        addresses = {read.column("n").buffers()[1].address for read in (first, second)}
        assert len(addresses) == 1
        assert second.column("n").offset == first.num_rows
