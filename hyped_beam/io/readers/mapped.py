"""Arrow IPC files in memory maps that stay open: finding the batches of a stream means reading through it."""

from __future__ import annotations

import mmap
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from hyped_beam.errors import InputError
from hyped_beam.io.filesystem import FileInfo, locate
from hyped_beam.io.readers.files import damaged

FILE_FORMAT = b"ARROW1"
# Maps cost address space and a descriptor each, no memory.
FILES_KEPT_OPEN = 64
# The system maps what lies around the head of each batch with it.
BATCHES_BETWEEN_RELEASES = 256
# A batch is some kilobytes of its own; of those beyond these only the positions are kept.
BATCHES_KEPT = 2_048


class BatchPart(NamedTuple):
    """Rows of one stored batch.

    Attributes:
        batch: Which one.
        start: The first row.
        rows: How many.
        size: Bytes.
    """

    batch: int
    start: int
    rows: int
    size: int


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
        source = pa.BufferReader(self._buffer)
        self._reader = pa.ipc.open_file(source) if self._is_file else pa.ipc.open_stream(source)
        self.schema = self._reader.schema
        self.compressed = any(not self._lies_within(batch) for batch in self._first_with_data())
        self.counts: list[int] = []
        self.sizes: list[int] = []
        self._positions: list[int] = []
        self._kept: list[pa.RecordBatch] = []
        if not self.compressed:
            self._index(source)
        self._ends = list(accumulate(self.counts))
        self.num_rows = self._ends[-1] if self._ends else 0

    def _index(self, source: Any) -> None:
        """Find the stored batches."""
        keep_all = any(_holds_dictionary(field.type) for field in self.schema)  # theirs stand elsewhere
        position = source.tell()
        for batch in self._in_file() if self._is_file else self._reader:
            self.counts.append(batch.num_rows)
            # The buffers of a stored batch are its own, and `nbytes` costs thirty times as much.
            self.sizes.append(batch.get_total_buffer_size())
            self._positions.append(position)
            position = source.tell()
            if keep_all or len(self._kept) < BATCHES_KEPT:
                self._kept.append(batch)
            if len(self.counts) % BATCHES_BETWEEN_RELEASES == 0:
                self._release()
        self._release()

    def _in_file(self) -> Iterator[pa.RecordBatch]:
        return (self._reader.get_batch(index) for index in range(self._reader.num_record_batches))

    def stored(self) -> Iterator[pa.RecordBatch]:
        """The batches as they are stored, one at a time."""
        return self._in_file() if self._is_file else iter(pa.ipc.open_stream(pa.BufferReader(self._buffer)))

    def _batch(self, index: int) -> pa.RecordBatch:
        if index < len(self._kept):
            return self._kept[index]
        if self._is_file:
            return self._reader.get_batch(index)
        message = pa.ipc.read_message(pa.BufferReader(self._buffer.slice(self._positions[index])))
        return pa.ipc.read_record_batch(message, self.schema)

    def parts(self, start: int, stop: int) -> list[BatchPart]:
        """The parts of stored batches that make up rows from-to."""
        found = []
        index = bisect_right(self._ends, start)
        while start < stop:
            count, size = self.counts[index], self.sizes[index]
            begin, end = self._ends[index] - count, min(stop, self._ends[index])
            if end > start:
                found.append(BatchPart(index, start - begin, end - start, size * (end - start) // count))
            start, index = end, index + 1
        return found

    def read(self, part: BatchPart) -> pa.RecordBatch:
        """A part of a stored batch, where it lies."""
        batch = self._batch(part.batch)
        return batch if part.rows == batch.num_rows else batch.slice(part.start, part.rows)

    def release(self, batches: Sequence[pa.RecordBatch]) -> None:
        """Let the system take back the memory of batches that were read.

        Who still holds them reads them from the file again; without this a process grows by all it has read.
        """
        outer = (batches[0], batches[-1]) if batches else ()  # stored one after the other
        spans = [span for batch in outer for span in self._spans(batch)]
        if spans:
            start = min(first for first, _ in spans) // mmap.PAGESIZE * mmap.PAGESIZE
            stop = max(last for _, last in spans)
            self._release(start, stop - start)

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


def _holds_dictionary(arrow_type: pa.DataType) -> bool:
    if isinstance(arrow_type, pa.BaseExtensionType):
        return _holds_dictionary(arrow_type.storage_type)
    fields = (arrow_type.field(index) for index in range(arrow_type.num_fields))
    return pa.types.is_dictionary(arrow_type) or any(_holds_dictionary(field.type) for field in fields)


def opened(file: FileInfo) -> MappedFile:
    """The file, opened once per process while it stays as it is.

    Raises:
        InputError: It is not an Arrow file, or is damaged.
    """
    return _opened(file.uri, file.size, file.modified)


@lru_cache(maxsize=FILES_KEPT_OPEN)
def _opened(path: str, size: int, modified: int) -> MappedFile:  # noqa: ARG001 - another time is another file
    if size == 0:
        raise InputError(f"{path} is empty", hint="an Arrow file without rows still holds its columns")
    try:
        return MappedFile(locate(path)[1])
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged(path, "Arrow", error) from error
