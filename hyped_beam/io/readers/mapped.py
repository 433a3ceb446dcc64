"""Arrow IPC files in memory maps that stay open: finding the batches of a stream means reading through it."""

from __future__ import annotations

import mmap
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from hyped_beam.errors import InputError
from hyped_beam.io.filesystem import locate
from hyped_beam.io.readers.base import BATCH_BYTES, batch_of, joined, scan_cuts
from hyped_beam.io.readers.files import damaged
from hyped_beam.io.readers.soundness import check_sound
from hyped_beam.io.readers.stored_columns import Numbers, StoredColumns
from hyped_beam.io.unchanged import present
from hyped_beam.io.versions import Version
from hyped_beam.types.arrays import holds_dictionaries

FILE_FORMAT = b"ARROW1"
# Maps cost address space and a descriptor each, no memory.
FILES_KEPT_OPEN = 64
REMEMBERED_BYTES = 16 << 20
"""Stored batches of this size are checked once, and not again for each range of a part."""

REGION_BYTES = 2 * BATCH_BYTES
"""Small stored batches are put together up to this size at once, and cut into scan batches then."""

# The system maps what lies around the head of each batch with it.
BATCHES_BETWEEN_RELEASES = 256


class MappedFile:
    """An Arrow IPC file, stream or file format, whose batches lie where they lie in the file.

    Attributes:
        schema: Its Arrow schema.
        compressed: Whether its buffers are compressed, so that they cannot be used where they lie.
        counts: The rows of each stored batch; none of a compressed file.
        sizes: The bytes that each takes.
        num_rows: The rows of all.
    """

    def __init__(self, path: str) -> None:
        with Path(path).open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._buffer = pa.py_buffer(self._map)
        self._is_file = self._map[: len(FILE_FORMAT)] == FILE_FORMAT
        self._source = pa.BufferReader(self._buffer)
        self._reader = pa.ipc.open_file(self._source) if self._is_file else pa.ipc.open_stream(self._source)
        self.schema = self._reader.schema
        self.compressed = any(not self._lies_within(batch) for batch in self._first_with_data())
        counts: list[int] = []
        sizes: list[int] = []
        positions: list[int] = []
        self._kept: list[pa.RecordBatch] = []
        self._sound: set[tuple[int | str, ...]] = set()
        if not self.compressed:
            for batch, position in self._in_order():
                counts.append(batch.num_rows)
                # The buffers of a stored batch are its own, and `nbytes` costs thirty times as much.
                sizes.append(batch.get_total_buffer_size())
                positions.append(position)
                if len(counts) % BATCHES_BETWEEN_RELEASES == 0:
                    self._release()
            self._release()
        self.counts, self.sizes = np.array(counts, np.int64), np.array(sizes, np.int64)
        self._positions = np.array([*positions, self._buffer.size], np.int64)
        self._ends = np.cumsum(self.counts)
        self.num_rows = int(self._ends[-1]) if counts else 0
        self._columns = StoredColumns(self._map, self.counts, self.schema)

    def _in_order(self) -> Iterator[tuple[pa.RecordBatch, int]]:
        """The stored batches, each with where it begins: its message in a stream, its data in a file."""
        position = 0
        if self._is_file:
            for batch in self.stored():
                position = min((start for start, _ in self._spans(batch)), default=position)
                yield batch, position
            return
        keeps = any(holds_dictionaries(field.type) for field in self.schema)  # theirs stand elsewhere
        position = self._source.tell()
        for batch in self._reader:
            if keeps:
                self._kept.append(batch)
            yield batch, position
            position = self._source.tell()

    def stored(self) -> Iterator[pa.RecordBatch]:
        """The batches as they are stored, one at a time."""
        if not self._is_file:
            return iter(pa.ipc.open_stream(pa.BufferReader(self._buffer)))
        return (self._reader.get_batch(index) for index in range(self._reader.num_record_batches))

    def read(self, start: int, stop: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Rows from-to as scan batches, where they lie if they are stored in batches large enough.

        The memory of what was read goes back to the system: who still holds it reads it from the file again.
        Without this a process grows by all that it has read.

        Raises:
            pyarrow.ArrowInvalid: What is read is damaged.
        """
        first = int(np.searchsorted(self._ends, start, side="right"))
        end = int(np.searchsorted(self._ends, stop, side="left")) + 1
        counts, sizes = self.counts[first:end].copy(), self.sizes[first:end].copy()
        skipped = start - int(self._ends[first] - counts[0]) if len(counts) else 0
        for place, cut in ((0, skipped), (-1, int(self._ends[first:end][-1:].sum()) - stop)):
            if cut > 0:
                sizes[place] -= sizes[place] * cut // counts[place]
                counts[place] -= cut
        for region in _regions(scan_cuts(counts, sizes), sizes):
            begin, past = region[0][0], region[-1][1]
            whole = self._joined(first + begin, first + past, columns) if columns else None
            at = skipped if begin == 0 else 0
            for begins, ends, rows in region:
                total = int(counts[begins:ends].sum())
                for row in range(at, at + total, rows):
                    taken = min(rows, at + total - row)
                    yield batch_of([], [], taken) if whole is None else whole.slice(row, taken)
                at += total
            self._forget(first + begin, first + past)

    def _joined(self, first: int, stop: int, columns: Sequence[str]) -> pa.RecordBatch:
        """Stored batches from-to as one, of some columns."""
        copied = {name for name in columns if self._columns.knows(name, first, stop)}
        decoded = [name for name in columns if name not in copied]
        whole = self._decoded(first, stop, decoded) if decoded else None
        arrays = [
            self._columns.read(name, first, stop) if whole is None or name in copied else whole.column(name)
            for name in columns
        ]
        return pa.RecordBatch.from_arrays(
            arrays, schema=pa.schema([self.schema.field(name) for name in columns])
        )

    def _decoded(self, first: int, stop: int, columns: Sequence[str]) -> pa.RecordBatch:
        """Stored batches from-to as one, of columns that are not known to be copied."""
        batches = self._batches(first, stop, columns)
        for batch in batches:
            if self._kept:  # dictionaries become one when they are put together
                check_sound(batch)
            else:  # is enough for that, and costs little for many small batches
                batch.validate()
        whole = joined(batches).select(columns)
        if not self._kept and (first, stop, *columns) not in self._sound:
            check_sound(whole)
            if self.sizes[first:stop].sum() >= REMEMBERED_BYTES:
                self._sound.add((first, stop, *columns))
        if len(batches) > 1:  # one alone is not copied at all
            self._columns.note(first, batches)
        return whole

    def _batches(self, first: int, stop: int, columns: Sequence[str]) -> list[pa.RecordBatch]:
        """Stored batches from-to with some columns, in the order of the file or as wanted."""
        if self._kept:
            return [batch.select(columns) for batch in self._kept[first:stop]]
        if self._is_file:
            return [self._reader.get_batch(index).select(columns) for index in range(first, stop)]
        fields = [self.schema.get_field_index(name) for name in columns]
        source = pa.BufferReader(self._buffer)
        stream = pa.ipc.open_stream(source, options=pa.ipc.IpcReadOptions(included_fields=fields))
        source.seek(int(self._positions[first]))
        return [stream.read_next_batch() for _ in range(first, stop)]

    def _forget(self, first: int, stop: int) -> None:
        """Let the system take back the memory of stored batches from-to."""
        start, end = int(self._positions[first]), int(self._positions[stop])
        start = start // mmap.PAGESIZE * mmap.PAGESIZE
        if end > start:
            self._release(start, end - start)

    def _release(self, start: int = 0, length: int | None = None) -> None:
        if hasattr(self._map, "madvise"):  # not on Windows
            self._map.madvise(mmap.MADV_DONTNEED, start, len(self._map) if length is None else length)

    def _spans(self, batch: pa.RecordBatch) -> Iterator[tuple[int, int]]:
        """Where in the file the buffers of a batch lie."""
        for column in batch.columns:
            for buffer in column.buffers():
                if buffer is not None and buffer.size:
                    start = buffer.address - self._buffer.address
                    yield start, start + buffer.size

    def _first_with_data(self) -> Iterator[pa.RecordBatch]:
        return islice((batch for batch in self.stored() if batch.get_total_buffer_size()), 1)

    def _lies_within(self, batch: pa.RecordBatch) -> bool:
        return all(start >= 0 and stop <= self._buffer.size for start, stop in self._spans(batch))


def _regions(cuts: Iterable[tuple[int, int, int]], sizes: Numbers) -> Iterator[list[tuple[int, int, int]]]:
    """Neighbouring cuts whose stored batches are put together at once, as slices of one array."""
    held: list[tuple[int, int, int]] = []
    size = 0
    for cut in cuts:
        more = int(sizes[cut[0] : cut[1]].sum())
        if held and size + more > REGION_BYTES:
            yield held
            held, size = [], 0
        held.append(cut)
        size += more
    if held:
        yield held


_open: OrderedDict[tuple[str, Version | None], MappedFile] = OrderedDict()
_lock = threading.Lock()


def opened(path: str, version: Version | None) -> MappedFile:
    """A version of a file, opened once per process; files that are gone are let go of.

    Raises:
        InputError: It is not an Arrow file, or is damaged, or has changed.
    """
    key = (path, version)
    with _lock:
        found = _open.get(key)
        if found is not None:
            _open.move_to_end(key)
            return found
        for other in [other for other in _open if not Path(locate(other[0])[1]).exists()]:
            del _open[other]
    made = _opened(path, version)
    with _lock:
        _open[key] = made
        while len(_open) > FILES_KEPT_OPEN:
            _open.popitem(last=False)
    return made


def forget(folder: Path) -> None:
    """Let go of the files in a folder, which is about to be removed."""
    with _lock:
        for key in [key for key in _open if folder in Path(locate(key[0])[1]).parents]:
            del _open[key]


def _opened(path: str, version: Version | None) -> MappedFile:
    if present(path, version).size == 0:
        raise InputError(f"{path} is empty", hint="an Arrow file without rows still holds its columns")
    try:
        found = MappedFile(locate(path)[1])
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged(path, "Arrow", error) from error
    present(path, version)
    return found
