"""What is done for each partition of groups after a scan, wherever it is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hyped_beam.execute.known import Late
from hyped_beam.execute.partitions import (
    PartitionProgram,
    PartitionResult,
    PartitionStates,
    add_onward,
    split_table,
)
from hyped_beam.io import commit
from hyped_beam.io.commit import Destination
from hyped_beam.io.readers.base import Range, Scan
from hyped_beam.lowering.scan_end import commit_groups

ToPartition: TypeAlias = tuple[str, int, bytes]
"""What comes to a partition: how many ranges there are, the states of one, what it has made known itself, or
rows of the table of a lookup, whose number stands behind `TABLE`."""

RANGES, STATES, ONWARD, TABLE = "ranges", "states", "onward", "table"


@dataclass(frozen=True)
class PartitionJob:
    """What is done for each partition of groups after a scan.

    Attributes:
        program: What is computed.
        destinations: Where the program's rows go, by the name of the output.
    """

    program: PartitionProgram
    destinations: tuple[Destination, ...]

    def open(self) -> OpenPartitionJob:
        """Make it ready to run."""
        return OpenPartitionJob(self)


class OpenPartitionJob:
    """What is done for partitions, one after the other; nodes are set up once.

    Args:
        job: What is done.
    """

    def __init__(self, job: PartitionJob) -> None:
        self._destinations = job.destinations
        self._open = job.program.open()

    def close(self) -> None:
        """Tear the nodes down."""
        self._open.close()

    def run(self, partition: int, told: Iterable[ToPartition], known: Late) -> tuple[str, PartitionResult]:
        """What was committed of a partition, as JSON, and what has come of its groups.

        Args:
            partition: The number of the partition.
            told: What has come to it.
            known: What is known of the whole dataset.

        Raises:
            NodeError: An aggregator, or a node behind it, raised.
        """
        made = self._open.run(_gathered(told), known)
        return commit_groups(self._destinations, partition, made.outputs).to_json(), made


def finish_groups(destinations: Sequence[Destination], records: Iterable[str]) -> None:
    """Write the manifests of the outputs of groups, once all partitions have been written."""
    commit.finish(destinations, map(commit.RangeRecord.from_json, records))


def rows_of_table(node: int, scan: Scan, key: str, cut: Range) -> Iterator[tuple[int, ToPartition]]:
    """The rows of a range of the table of a lookup, by the number of the partition.

    Args:
        node: The number of the lookup.
        scan: A scan of the table.
        key: The column of the keys.
        cut: The range.
    """
    for partition, rows in split_table(scan.read(cut), key).items():
        yield partition, (f"{TABLE}{node}", cut.number, rows)


def _gathered(told: Iterable[ToPartition]) -> PartitionStates:
    given = PartitionStates()
    onward: dict[int, bytes] = {}
    for kind, number, data in told:
        if kind == RANGES:
            given.ranges = number
        elif kind == STATES:
            given.states[number] = data
        elif kind == ONWARD:
            onward[number] = data
        else:
            given.tables.setdefault(int(kind.removeprefix(TABLE)), {})[number] = data
    for level in sorted(onward):
        add_onward(given, onward[level])
    return given
