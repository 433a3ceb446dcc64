"""What goes from ranges to partitions of groups, and back, as files of the work folder."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hyped_beam.errors import JobError
from hyped_beam.execute.bindings import PriorResults
from hyped_beam.io.readers.base import Range
from hyped_beam.nodes.tables import TableByKey
from hyped_beam.plan.joins import PARTITIONS
from hyped_beam.tasks.partition_job import (
    CARRY_OVER,
    RANGES,
    STATES,
    TABLE,
    OpenPartitionJob,
    PartitionJob,
    ToPartition,
    rows_of_table,
)
from hyped_beam.tasks.partitions import PartitionResult


@dataclass(frozen=True)
class ShuffleFiles:
    """What ranges and partitions leave for each other: a file for each, of a slice for each reader.

    A file that is missing is an error, never nothing.

    Attributes:
        folder: The folder of the files.
        level: The number of the scan.
        before: The numbers of the scans before it behind which partitions were computed.
    """

    folder: str
    level: int
    before: tuple[int, ...] = ()

    def put_states(self, number: int, slices: Mapping[int, bytes]) -> None:
        """Leave the states of a range for the partitions.

        Raises:
            JobError: They cannot be written.
        """
        _write(self._path(STATES, number), slices)

    def put_table(self, node: int, number: int, slices: Mapping[int, bytes]) -> None:
        """Leave the rows of a range of the table of a lookup for the partitions.

        Raises:
            JobError: They cannot be written.
        """
        _write(self._path(f"{TABLE}{node}", number), slices)

    def put_result(self, partition: int, made: PartitionResult) -> None:
        """Leave what has come of a partition, for the ranges of later scans and for itself.

        Raises:
            JobError: It cannot be written.
        """
        _write(self._path(RANGES, partition), made.to_ranges)
        _write(self._path(CARRY_OVER, partition), {0: made.carry_over} if made.carry_over else {})

    def for_partition(
        self, partition: int, ranges: int, tables: Iterable[tuple[int, Range]]
    ) -> Iterator[ToPartition]:
        """What comes to a partition after the scan.

        Args:
            partition: The number of the partition.
            ranges: How many ranges the source has.
            tables: The ranges of the tables of lookups, by the number of the lookup.

        Raises:
            OSError: Something cannot be read.
        """
        yield RANGES, ranges, b""
        for number in range(ranges):
            for held in _read(self._path(STATES, number), partition):
                yield STATES, number, held
        for node, cut in tables:
            for held in _read(self._path(f"{TABLE}{node}", cut.number), partition):
                yield f"{TABLE}{node}", cut.number, held
        for level in self.before:
            for held in _read(self._path(CARRY_OVER, partition, level), 0):
                yield CARRY_OVER, level, held

    def for_range(self, number: int) -> tuple[bytes, ...]:
        """The values of groups that partitions have for a range, in the order of scans and partitions.

        Raises:
            OSError: Something cannot be read.
        """
        return tuple(
            held
            for level in self.before
            for partition in range(PARTITIONS)
            for held in _read(self._path(RANGES, partition, level), number)
        )

    def remove_states(self) -> None:
        """Remove what came to the partitions of the scan, once all of them are done."""
        for folder in Path(self.folder, str(self.level)).iterdir():
            if folder.name not in (RANGES, CARRY_OVER):
                shutil.rmtree(folder)

    def _path(self, kind: str, number: int, level: int | None = None) -> Path:
        return Path(self.folder, str(self.level if level is None else level), kind, f"{number:07d}")


@dataclass(frozen=True)
class PartitionsByFiles:
    """What is done for partitions of groups where they and the ranges leave files for each other.

    Attributes:
        job: What is done.
        files: The files.
        ranges: How many ranges the source has.
        tables: The ranges of the tables of lookups, by the number of the lookup.
        known: What is known of the whole dataset.
    """

    job: PartitionJob
    files: ShuffleFiles
    ranges: int
    tables: tuple[tuple[int, Range], ...]
    known: PriorResults

    def open(self) -> OpenPartitionsByFiles:
        """Make it ready to run."""
        return OpenPartitionsByFiles(self)


class OpenPartitionsByFiles:
    """What is done for partitions, one after the other.

    Args:
        job: What is done.
    """

    def __init__(self, job: PartitionsByFiles) -> None:
        self._job = job
        self._open: OpenPartitionJob = job.job.open()

    def close(self) -> None:
        """Tear the nodes down."""
        self._open.close()

    def run(self, partition: int) -> tuple[str, ...]:
        """Do a partition, and tell the files of its rows.

        Raises:
            NodeError: An aggregator, or a node behind it, raised.
            JobError: What has come of it cannot be written.
        """
        job = self._job
        told = job.files.for_partition(partition, job.ranges, job.tables)
        made, runs = self._open.run(partition, told, job.known)
        job.files.put_result(partition, made)
        return runs


@dataclass(frozen=True)
class TablesByFiles:
    """The tables of lookups, whose rows are left for the partitions of their keys.

    Attributes:
        tables: The tables, by the number of the lookup.
        files: The files.
    """

    tables: Mapping[int, TableByKey]
    files: ShuffleFiles

    def tasks(self) -> tuple[tuple[int, Range], ...]:
        """The ranges of all tables, by the number of the lookup."""
        return tuple((node, cut) for node, table in self.tables.items() for cut in table.reader.ranges())

    def open(self) -> OpenTablesByFiles:
        """Make it ready to run."""
        return OpenTablesByFiles(self)


class OpenTablesByFiles:
    """The tables of lookups, range by range.

    Args:
        job: The tables.
    """

    def __init__(self, job: TablesByFiles) -> None:
        self._job = job
        self._scans = {
            node: table.reader.scan(list(table.reader.features)) for node, table in job.tables.items()
        }

    def close(self) -> None:
        """Nothing is held."""

    def run(self, task: tuple[int, Range]) -> None:
        """Do a range.

        Raises:
            JobError: Its rows cannot be written.
        """
        node, cut = task
        rows = rows_of_table(node, self._scans[node], self._job.tables[node].key, cut)
        self._job.files.put_table(node, cut.number, {partition: held for partition, (_, _, held) in rows})


def _write(path: Path, slices: Mapping[int, bytes]) -> None:
    """Write slices one behind the other, behind what says where each begins and ends."""
    index, start = {}, 0
    for number, held in slices.items():
        index[number] = (start, start + len(held))
        start += len(held)
    head = json.dumps(index).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(struct.pack("<Q", len(head)) + head)
            for held in slices.values():
                file.write(held)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise JobError(
            f"what is shuffled cannot be put aside in {path.parent}: {reason}",
            hint="make room there, or set TMPDIR to a folder that has more",
        ) from error


def _read(path: Path, number: int) -> Iterator[bytes]:
    """The slice of a number, where there is one."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        place = json.loads(file.read(length)).get(str(number))
        if place is not None:
            start, end = place
            file.seek(8 + length + start)
            yield file.read(end - start)
