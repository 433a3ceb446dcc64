"""The first rows of another source, to try something on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from pydantic import Field

from hyped_beam.io.readers.base import Range, Reader, Scan


class FirstRows(Reader):
    """The first rows of another source.

    Args:
        source: The other source.
        rows: How many of its rows there are at most.

    Example:
        >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile
        >>> from hyped_beam.io.readers.parquet import ParquetReader
        >>> folder = tempfile.TemporaryDirectory()
        >>> pq.write_table(pa.table({"n": [1, 2, 3]}), folder.name + "/numbers.parquet")
        >>> reader = FirstRows(ParquetReader(folder.name), rows=2)
        >>> [batch.to_pylist() for part in reader.ranges() for batch in reader.read(part, ["n"])]
        [[{'n': 1}, {'n': 2}]]
    """

    source: Reader
    rows: int = Field(ge=0)

    def __init__(self, source: Reader, rows: int, **options: Any) -> None:
        super().__init__(source=source, rows=rows, **options)

    @property
    def features(self) -> Any:
        """The `datasets.Features` of the other source."""
        return self.source.features

    def ranges(self) -> list[Range]:
        """The ranges that hold the rows; one alone where only reading tells which those are."""
        ranges = self.source.ranges()
        if any(part.rows is None or part.first_row is None for part in ranges):
            pieces = tuple(piece for part in ranges for piece in part.pieces)
            return [Range(0, pieces, rows=None, first_row=0)]
        held = [part for part in ranges if self._left(part) > 0] or ranges[:1]
        return [replace(part, rows=min(part.rows or 0, self._left(part))) for part in held]

    def _left(self, part: Range) -> int:
        return max(self.rows - (part.first_row or 0), 0)

    def scan(self, columns: Sequence[str], condition: Any = None) -> FirstRowsScan:
        """A scan of some columns, with all of their rows: those left out would have to be counted too."""
        del condition
        return FirstRowsScan(self.source.scan(columns), self.rows)

    def selecting(self, columns: Sequence[str]) -> FirstRows:
        """The first rows of some columns."""
        return FirstRows(self.source.selecting(columns), self.rows)

    def driver_reads(self, processes: int) -> bool:
        """Whether the other source is read where the job runs."""
        return self.source.driver_reads(processes)

    def inputs(self) -> Sequence[str]:
        """What the other source reads."""
        return self.source.inputs()

    def pinned(self) -> FirstRows:
        """The first rows of the other source as it is now."""
        return FirstRows(self.source.pinned(), self.rows)

    def check_unchanged(self) -> None:
        """Refuse another source that is not what it was."""
        self.source.check_unchanged()

    def fingerprint(self) -> str:
        """Of the other source, and of how many rows there are."""
        return f"{self.source.fingerprint()} rows {self.rows}"

    def __str__(self) -> str:
        return f"the first {self.rows} rows of {self.source}"


@dataclass(frozen=True)
class FirstRowsScan(Scan):
    """Some columns of the first rows of another source.

    Attributes:
        scan: The scan of the other source.
        rows: How many of its rows there are at most.
    """

    scan: Scan
    rows: int

    def read(self, part: Range) -> Iterator[pa.RecordBatch]:
        """The scan batches of a range, the last one cut; what lies behind the last row is not read."""
        left = self.rows - (part.first_row or 0)
        if left <= 0:
            return
        for batch in self.scan.read(part):
            yield batch.slice(0, left)
            left -= batch.num_rows
            if left <= 0:
                return

    @property
    def coalesces_batches(self) -> bool:
        """Whether those of the other source may be put together."""
        return self.scan.coalesces_batches
