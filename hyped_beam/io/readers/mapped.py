"""Arrow IPC files in memory maps that stay open: finding the batches of a stream means reading through it."""

from __future__ import annotations

import mmap
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa

from hyped_beam.errors import InputError
from hyped_beam.io.filesystem import FileInfo, locate
from hyped_beam.io.readers.files import damaged

FILE_FORMAT = b"ARROW1"
# Maps cost address space and a descriptor each, no memory.
FILES_KEPT_OPEN = 64


class MappedFile:
    """An Arrow IPC file, stream or file format, whose batches lie where they lie in the file.

    Attributes:
        schema: Its Arrow schema.
        compressed: Whether its buffers are compressed, so that they cannot be used where they lie.
        batches: The stored batches; none of a compressed file.
        num_rows: Their rows.
    """

    def __init__(self, path: str) -> None:
        with Path(path).open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._buffer = pa.py_buffer(self._map)
        self.compressed = False
        self.batches: list[pa.RecordBatch] = []
        self.schema = self._reader().schema
        for batch in self.stored():
            if not self._lies_within(batch):
                self.compressed, self.batches = True, []
                break
            self.batches.append(batch)
        self._ends = list(accumulate(batch.num_rows for batch in self.batches))
        self.num_rows = self._ends[-1] if self._ends else 0

    def _reader(self) -> Any:
        source = pa.BufferReader(self._buffer)
        is_file = self._map[: len(FILE_FORMAT)] == FILE_FORMAT
        return pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)

    def stored(self) -> Iterator[pa.RecordBatch]:
        """The batches as they are stored, one at a time."""
        reader = self._reader()
        if isinstance(reader, pa.ipc.RecordBatchFileReader):
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index)
        else:
            yield from reader

    def rows(self, start: int, stop: int) -> list[pa.RecordBatch]:
        """The stored batches of rows from-to; the first and last are cut where they reach beyond."""
        found = []
        index = bisect_right(self._ends, start)
        while start < stop:
            begin = self._ends[index] - self.batches[index].num_rows
            end = min(stop, self._ends[index])
            found.append(self.batches[index].slice(start - begin, end - start))
            start, index = end, index + 1
        return found

    def release(self, batches: Sequence[pa.RecordBatch]) -> None:
        """Let the system take back the memory of batches that were read.

        Who still holds them reads them from the file again; without this a process grows by all it has read.
        """
        if not hasattr(self._map, "madvise"):
            return
        spans = [span for batch in batches for span in self._spans(batch)]
        if spans:
            start = min(first for first, _ in spans) // mmap.PAGESIZE * mmap.PAGESIZE
            stop = max(last for _, last in spans)
            self._map.madvise(mmap.MADV_DONTNEED, start, stop - start)

    def _spans(self, batch: pa.RecordBatch) -> Iterator[tuple[int, int]]:
        """Where in the file the buffers of a batch lie."""
        for column in batch.columns:
            for buffer in column.buffers():
                if buffer is not None and buffer.size:
                    start = buffer.address - self._buffer.address
                    yield start, start + buffer.size

    def _lies_within(self, batch: pa.RecordBatch) -> bool:
        return all(start >= 0 and stop <= self._buffer.size for start, stop in self._spans(batch))


def opened(file: FileInfo) -> MappedFile:
    """The file, opened once per process while it stays as it is.

    Raises:
        InputError: It is not an Arrow file, or is damaged.
    """
    return _opened(file.path, file.size, file.modified)


@lru_cache(maxsize=FILES_KEPT_OPEN)
def _opened(path: str, size: int, modified: int) -> MappedFile:  # noqa: ARG001 - another time is another file
    if size == 0:
        raise InputError(f"{path} is empty", hint="an Arrow file without rows still holds its columns")
    try:
        return MappedFile(locate(path)[1])
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged(path, "Arrow", error) from error
