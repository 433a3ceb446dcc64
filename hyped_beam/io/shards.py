"""The files that one range makes for one output: one, or several by their size, or some for each partition.

A range's rows are written as they come, into a folder of what is not in its place yet. How rows
are cut into files follows from the rows and the writer's options alone, so that doing a range again makes the
same files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache

import pyarrow as pa

from hyped_beam.io.destinations import Destination
from hyped_beam.io.filesystem import PendingFile
from hyped_beam.io.partitions import Partition, folder_of, split
from hyped_beam.io.records import Shard
from hyped_beam.io.writers.base import ShardWriter

HELD_BYTES = 64 << 20
"""How much of a range with partitions is gathered before it is written, so that small partitions are not
written in crumbs."""

OPEN_SHARDS = 64
"""How many partitions of a range have a file that is still being written. Others go on in a file of the next
number."""

SYNC_THREADS = 8

PARTS_OF_SHARD = 16
"""How finely batches are cut for a limit on the bytes of a file, which is passed by at most such a part."""


class RangeOutput:
    """What one range writes to one output.

    Args:
        destination: The output.
        number: The number of the range.
    """

    def __init__(self, destination: Destination, number: int) -> None:
        self._destination = destination
        self._number = number
        self._keys = destination.writer.partition_by
        self._sequences: dict[str, _Sequence] = {}
        self._open: dict[str, _Sequence] = {}  # the one written last stands last
        self._held: dict[str, list[pa.RecordBatch]] = {}
        self._held_bytes = 0
        self._syncing = Syncing() if destination.is_synced else None

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows of the output's schema."""
        schema = self._destination.schema
        if not batch.schema.equals(schema, check_metadata=True):
            batch = pa.RecordBatch.from_arrays(batch.columns, schema=schema)
        if not self._keys:
            self._sequence({}, "").write(batch)
            return
        for partition, rows in split(batch, self._keys):
            folder = folder_of(partition)
            self._sequence(partition, folder)
            self._held.setdefault(folder, []).append(rows)
            self._held_bytes += rows.nbytes
        if self._held_bytes > HELD_BYTES:
            self._write_held()
            for sequence in self._open.values():
                sequence.flush()

    def _sequence(self, partition: Partition, folder: str) -> _Sequence:
        if folder not in self._sequences:
            self._sequences[folder] = _Sequence(self._destination, self._number, partition, self._syncing)
        return self._sequences[folder]

    def _write_held(self) -> None:
        for folder in sorted(self._held):
            self._sequences[folder].write(pa.concat_batches(self._held.pop(folder)))
            self._open.pop(folder, None)
            self._open[folder] = self._sequences[folder]
            if len(self._open) > OPEN_SHARDS:
                self._open.pop(next(iter(self._open))).end()
        self._held_bytes = 0

    def close(self) -> None:
        """Bring all rows into files, which are complete then; none can be seen yet."""
        self._write_held()
        for sequence in self._sequences.values():
            sequence.end()

    def told(self) -> tuple[Shard, ...]:
        """What is written down about its files, in the order of their partitions."""
        return tuple(shard.told() for shard in self._shards())

    def sync(self) -> None:
        """Wait until the disk keeps the complete files, if the destination asks for that."""
        if self._syncing is not None:
            self._syncing.wait()

    def stage(self, paths: Callable[[int], str]) -> list[str]:
        """Leave the complete files where they are found by the record that lists them.

        Args:
            paths: Where a file goes, by its index among them.

        Returns:
            Where they are.
        """
        staged = []
        for index, shard in enumerate(self._shards()):
            staged.append(paths(index))
            shard.file.publish(staged[-1])
        return staged

    def discard(self) -> None:
        """Leave nothing of what was not staged."""
        if self._syncing is not None:
            self._syncing.end()
        for shard in self._shards():
            shard.file.discard()

    def _shards(self) -> Iterator[PendingShard]:
        for folder in sorted(self._sequences):
            yield from self._sequences[folder].shards


class _Sequence:
    """The files of one partition: each is ended when it is full, and the next begun with the next row."""

    def __init__(
        self, destination: Destination, number: int, partition: Partition, syncing: Syncing | None
    ) -> None:
        self._destination = destination
        self._number = number
        self._partition = partition
        self._syncing = syncing
        self._rows = destination.writer.max_shard_rows
        self._bytes = destination.writer.shard_bytes
        self._current: PendingShard | None = None
        self.shards: list[PendingShard] = []

    def write(self, batch: pa.RecordBatch) -> None:
        step = self._step(batch)
        while batch.num_rows:
            if self._current is None:
                self._current = PendingShard(
                    self._destination, self._number, len(self.shards), self._partition
                )
                self.shards.append(self._current)
            room = step if self._rows is None else min(step, self._rows - self._current.rows)
            self._current.write(batch.slice(0, room))
            batch = batch.slice(room)
            if self._is_full(self._current):
                self.end()

    def _step(self, batch: pa.RecordBatch) -> int:
        """How many rows are written before the size of the file is looked at."""
        if self._bytes is None or batch.nbytes == 0:
            return max(batch.num_rows, 1)
        return max(batch.num_rows * self._bytes // (PARTS_OF_SHARD * batch.nbytes), 1)

    def _is_full(self, shard: PendingShard) -> bool:
        if self._rows is not None and shard.rows >= self._rows:
            return True
        return self._bytes is not None and shard.size >= self._bytes

    def flush(self) -> None:
        if self._current is not None:
            self._current.flush()

    def end(self) -> None:
        if self._current is not None:
            self._current.end()
            if self._syncing is not None:
                self._syncing.begin(self._current.file)
            self._current = None


class Syncing:
    """Brings complete files to the disk while the next ones are written.

    Several are synced at once, for the disk takes them together.
    """

    def __init__(self) -> None:
        self._begun: list[Future[None]] = []

    def begin(self, file: PendingFile) -> None:
        """Begin to sync a file."""
        self._begun.append(_sync_threads(os.getpid()).submit(file.sync))

    def wait(self) -> None:
        """Wait for all files.

        Raises:
            OSError: The disk does not keep one of them.
        """
        for one in self._begun:
            one.result()
        self._begun.clear()

    def end(self) -> None:
        """Begin no more, and wait for those that have begun, whatever becomes of them."""
        wait([one for one in self._begun if not one.cancel()])
        self._begun.clear()


@cache
def _sync_threads(process: int) -> ThreadPoolExecutor:  # noqa: ARG001 - a process that is forked has none of them
    return ThreadPoolExecutor(SYNC_THREADS, "hyped-beam-sync")


class PendingShard:
    """One file of an output that is being written.

    Args:
        destination: The output.
        number: The number of the range.
        index: Which of the range's files it is, where there may be several.
        partition: The partition whose rows it holds.
    """

    def __init__(
        self, destination: Destination, number: int, index: int = 0, partition: Partition | None = None
    ) -> None:
        self._partition: Partition = partition or {}
        self._name = destination.shard_name(number, index, self._partition)
        self.rows = 0
        folder = destination.folder
        staging = folder.staging(destination.claimed.name)
        # The folder is there as long as the job owns the output; what is left of another makes none.
        self.file: PendingFile = folder.filesystem.create(f"{staging}/{number:05d}", makes_folder=False)
        try:
            self._writer: ShardWriter = destination.writer.open_shard(self.file, destination.file_schema)
        except BaseException:
            self.file.discard()
            raise

    @property
    def size(self) -> int:
        """Its bytes so far, with what the format gathers as it lies in memory."""
        return self.file.size + self._writer.held_bytes

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        self._writer.write(batch)
        self.rows += batch.num_rows

    def flush(self) -> None:
        """Let go of what the format gathers."""
        self._writer.flush()

    def end(self) -> None:
        """Write what is left; the file is complete then."""
        self._writer.close()
        self.file.complete()

    def told(self) -> Shard:
        """What is written down about it."""
        return Shard(self._name, self.rows, self.file.size, self.file.checksum, self._partition)
