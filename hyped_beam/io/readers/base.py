"""What a reader is: it cuts a source into ranges, and reads a range as scan batches.

Both cuts follow from the files alone, never from workers, runners or the columns that are asked for, so
that whatever is computed batch by batch comes out the same everywhere.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from typing_extensions import Self

from hyped_beam.io.contents import Contents
from hyped_beam.io.spec import IOSpec
from hyped_beam.io.versions import Version
from hyped_beam.types.spans import Span

RANGE_BYTES = 64 << 20
# A source smaller than this many full ranges is cut finer, so that two or four workers share it evenly:
# nodes may take seconds for a kilobyte. What is less than both of these is not worth the files of a range.
RANGES_OF_SMALL_SOURCE = 16
SMALLEST_RANGE_BYTES = 4 << 20
SMALLEST_RANGE_ROWS = 64
FINEST_BLOCKS = 16 * RANGES_OF_SMALL_SOURCE
"""Into about how many blocks a file is cut at most that could be cut anywhere: ranges are even enough."""

BATCH_ROWS = 65_536
BATCH_BYTES = 8 << 20

Counts: TypeAlias = "Sequence[int] | np.ndarray[Any, np.dtype[np.int64]]"


def cuts() -> str:
    """How sources are cut, as text: another version that cuts otherwise cannot resume what this one began."""
    ranges = f"ranges of {RANGE_BYTES} bytes, at least {SMALLEST_RANGE_BYTES} or {SMALLEST_RANGE_ROWS} rows"
    batches = f"batches of {BATCH_BYTES} and {BATCH_ROWS}, of segments"
    return f"{ranges}, {RANGES_OF_SMALL_SOURCE} of a small source; {batches}"


@dataclass(frozen=True)
class Piece:
    """A part of one file.

    Attributes:
        path: The file.
        start: The first unit; units are the format's own: rows, row groups, bytes.
        stop: One past the last unit; None means to the end of the file.
        rows: How many rows it holds, or None where only reading tells.
        size: Its bytes as they are stored.
        first_row: The number of its first row in the file, or None where only reading tells.
        joins: Whether its rows share scan batches with those of the piece before it.
        version: What was known of the file when it was cut; None for what is no file.
    """

    path: str
    start: int
    stop: int | None
    rows: int | None = None
    size: int = 0
    first_row: int | None = None
    joins: bool = False
    version: Version | None = None

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """The piece of which a range has written down its attributes."""
        version = saved.pop("version", None)
        return cls(**saved, version=None if version is None else Version.from_json(version))

    def __str__(self) -> str:
        return f"{self.path}[{self.start}:{'' if self.stop is None else self.stop}]"


@dataclass(frozen=True)
class Range:
    """A part of a source that is read, retried and committed as one.

    Attributes:
        number: Its place in the source's order, from 0.
        pieces: What it holds, in order; small files share a range.
        rows: How many rows that is, or None where only reading tells.
        first_row: The number of its first row in the whole source, or None where only reading tells.
    """

    number: int
    pieces: tuple[Piece, ...]
    rows: int | None = None
    first_row: int | None = None

    def to_json(self) -> str:
        """The range as JSON text; `from_json` takes it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The range that `to_json` wrote down."""
        saved = json.loads(text)
        pieces = tuple(map(Piece.from_json, saved.pop("pieces")))
        return cls(pieces=pieces, **saved)

    def __str__(self) -> str:
        shown = ", ".join(str(piece) for piece in self.pieces[:2])
        return f"range {self.number} ({shown}{', ...' if len(self.pieces) > 2 else ''})"  # noqa: PLR2004


@dataclass(frozen=True)
class Block:
    """The least part of a file at which it can be cut.

    Attributes:
        start: Its first unit.
        stop: One past its last unit.
        size: Bytes.
        rows: Rows, or None where only reading tells.
    """

    start: int
    stop: int | None
    size: int
    rows: int | None


class Scan(ABC):
    """Some columns of a source: what travels to the workers, who need not look at all of its files again."""

    @abstractmethod
    def read(self, part: Range) -> Iterator[pa.RecordBatch]:
        """The scan batches of a range.

        Args:
            part: One of the reader's `ranges()`.

        Yields:
            Batches of at most 65,536 rows and some 8 MB over all columns of the source, in source order.
        """

    def numbered(self, part: Range) -> Iterator[tuple[tuple[Span, ...], pa.RecordBatch]]:
        """The scan batches of a range, each with where its rows stand.

        Yields:
            The rows' numbers in the range, which are not known where rows of an unknown number were left out
            before, with their files; and the batch.
        """
        row = 0
        for batch in self.read(part):
            yield (Span(batch.num_rows, row),), batch
            row += batch.num_rows

    def segments(self, part: Range) -> list[Range]:
        """The parts of a range, in order, whose scan batches are cut apart: each can be read by itself."""
        return [part]

    def content(
        self,
        part: Range,  # noqa: ARG002 - for those that can tell
        columns: Sequence[str],  # noqa: ARG002
        contents: Contents,  # noqa: ARG002
    ) -> str | None:
        """What some columns of a segment hold: equal for two only where they are read as the same batches.

        Args:
            part: One of the `segments` of a range.
            columns: Some of the columns of the scan.
            contents: What files hold.

        Returns:
            None where that cannot be told without reading them.

        Raises:
            InputError: A file is gone.
        """
        return None

    def is_still(self, part: Range, contents: Contents) -> bool:  # noqa: ARG002 - for those that can tell
        """Whether a segment holds what it held when `content` was asked for."""
        return False

    @property
    def reads_all(self) -> bool:
        """Whether all rows are read."""
        return True

    @property
    def coalesces_batches(self) -> bool:
        """Whether neighbouring batches of a segment may be put together before their rows are aggregated.

        Not where batches of a range may be computed in different processes, depending on how many there are.
        """
        return False


class Reader(IOSpec):
    """A source of rows."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    @property
    @abstractmethod
    def features(self) -> Any:
        """The `datasets.Features` of the rows.

        Raises:
            InputError: The source is missing, damaged or contradicts itself.
        """

    @abstractmethod
    def ranges(self) -> list[Range]:
        """The source cut into ranges, in its order; a source without rows is one range without pieces.

        Raises:
            InputError: The source is missing, damaged or contradicts itself.
        """

    def extent(self) -> tuple[int | None, int | None]:
        """How large the source is: its bytes as they are stored, and its rows; None where that is not known.

        Raises:
            InputError: The source is missing, damaged or contradicts itself.
        """
        ranges = self.ranges()
        size = sum(piece.size for part in ranges for piece in part.pieces)
        rows = [part.rows for part in ranges]
        known = [count for count in rows if count is not None]
        count = sum(known) if len(known) == len(rows) else None
        return (size if size or count == 0 else None), count

    @abstractmethod
    def scan(self, columns: Sequence[str], condition: Any = None) -> Scan:
        """A scan of some columns.

        Args:
            columns: Which columns, in which order; without any the batches have only a number of rows.
            condition: A `pyarrow.compute.Expression` over columns of the source, also such as are not read:
                rows that do not meet it may be left out. It is a hint: such rows may come, and neither the
                cut of ranges nor the numbers of rows depend on it. Nor do cuts of batches, except where files
                without a known number of rows share them.

        Raises:
            InputError: The source has no such column, is missing, damaged or contradicts itself.
        """

    def read(self, part: Range, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The scan batches of a range, of some columns; see `Scan.read`."""
        return self.scan(columns).read(part)

    def selecting(self, columns: Sequence[str]) -> Reader:  # noqa: ARG002 - for those that prepare columns
        """The same reader, told that only some columns are read of it."""
        return self

    def driver_reads(self, processes: int) -> bool:  # noqa: ARG002 - for those that cannot be shared
        """Whether rows are read where the job runs, and handed to its processes from there."""
        return False

    def inputs(self) -> Sequence[str]:
        """The paths or URIs of the files and folders that are read, and globs: no output may lie in them."""
        return ()

    def pinned(self) -> Self:
        """The same reader of the files as they are now: whatever else is found later is refused, not read.

        Its ranges are the same whenever they are asked for, and a job has one from its beginning to its end.

        Raises:
            InputError: The source is missing, or its columns are no longer what this reader took them for.
        """
        return self

    def check_unchanged(self) -> None:
        """Refuse a source that is no longer what it was when it was `pinned`; its results must not count.

        Raises:
            InputError: A file is gone, or has changed.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Equal for two readers only where they would read the same rows in the same ranges."""

    def content(self) -> str:
        """What the source holds, where that is to be told for certain; files are read for it."""
        return self.fingerprint()


def blocks_of_batches(rows: Counts, sizes: Counts) -> list[Block]:
    """Where a file of stored batches, which are read in parts too, is cut at the finest.

    Small neighbours are put together and large ones cut, as the ranges of a small source need it.

    Args:
        rows: Rows of each stored batch.
        sizes: Bytes of each.
    """
    counts, bounds = np.asarray(rows, np.int64), np.cumsum(sizes, dtype=np.int64)
    if len(counts) == 0:
        return []
    share = min(max(int(bounds[-1]) // FINEST_BLOCKS, 1), SMALLEST_RANGE_BYTES)
    places = (bounds - np.asarray(sizes, np.int64)) // share  # by where they begin
    firsts = np.flatnonzero(np.diff(places, prepend=-1))
    most = max(int(counts.sum()) // RANGES_OF_SMALL_SOURCE, SMALLEST_RANGE_ROWS)
    blocks: list[Block] = []
    start = 0
    for held, size in zip(
        np.add.reduceat(counts, firsts).tolist(),
        np.add.reduceat(np.asarray(sizes, np.int64), firsts).tolist(),
        strict=True,
    ):
        step = min(rows_per_batch(held, size), most)
        for first in range(0, held, step):
            taken = min(step, held - first)
            blocks.append(Block(start + first, start + first + taken, size * taken // held, taken))
        start += held
    return blocks


def rows_per_batch(rows: int, size: int) -> int:
    """How many rows of a block make a scan batch: the block is cut evenly."""
    parts = max(-(-rows // BATCH_ROWS), -(-size // BATCH_BYTES), 1)
    return max(-(-rows // min(parts, max(rows, 1))), 1)


def scan_cuts(rows: Counts, sizes: Counts) -> Iterator[tuple[int, int, int]]:
    """How consecutive blocks become scan batches: small ones are put together, large ones cut evenly.

    Args:
        rows: Rows of each block.
        sizes: Bytes of each block.

    Yields:
        The first block, one past the last, and the rows of each batch made of them (the last has the rest).
    """
    row_ends = np.concatenate([[0], np.cumsum(rows, dtype=np.int64)])
    size_ends = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    first, blocks = 0, len(row_ends) - 1
    while first < blocks:
        stop = int(
            min(
                np.searchsorted(row_ends, row_ends[first] + BATCH_ROWS, side="right"),
                np.searchsorted(size_ends, size_ends[first] + BATCH_BYTES, side="right"),
            )
            - 1
        )
        is_large = stop == first
        stop = max(stop, first + 1)
        held = int(row_ends[stop] - row_ends[first])
        if held:
            size = int(size_ends[stop] - size_ends[first])
            yield first, stop, rows_per_batch(held, size) if is_large else held
        first = stop


def recut(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of exactly `rows` rows, the last of what is left; nothing is copied where it already fits."""
    held: list[pa.RecordBatch] = []
    missing = rows
    for batch in batches:
        rest = batch
        while rest.num_rows >= missing:
            held.append(rest.slice(0, missing))
            yield joined(held)
            rest, held, missing = rest.slice(missing), [], rows
        if rest.num_rows:
            held.append(rest)
            missing -= rest.num_rows
    if held:
        yield joined(held)


def joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches as one."""
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def batch_of(columns: Sequence[pa.Array], names: Sequence[str], rows: int) -> pa.RecordBatch:
    """A record batch, which without columns still has its number of rows."""
    if columns:
        return pa.RecordBatch.from_arrays(list(columns), list(names))
    empty = pa.struct([])
    return pa.RecordBatch.from_struct_array(pa.Array.from_buffers(empty, rows, [None], children=[]))
