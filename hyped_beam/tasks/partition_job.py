"""What is done for each partition of groups after a scan, wherever it is done."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from hyped_beam.errors import JobError
from hyped_beam.execute.bindings import PriorResults
from hyped_beam.io.commit import Check, Destination
from hyped_beam.io.readers.base import BATCH_ROWS, Range, Scan
from hyped_beam.io.writing_errors import failed_writing
from hyped_beam.tasks.partitions import (
    PartitionProgram,
    PartitionResult,
    PartitionStates,
    add_carry_over,
    split_table,
)
from hyped_beam.tasks.reduce_task import writing_groups
from hyped_beam.tasks.sorted_runs import merged, write_run

ToPartition: TypeAlias = tuple[str, int, bytes]
"""What comes to a partition: how many ranges there are, the states of one, what it has made known itself, or
rows of the table of a lookup, whose number stands behind `TABLE`."""

_SUFFIX = ".arrow"

RANGES, STATES, CARRY_OVER, TABLE = "ranges", "states", "carry_over", "table"


@dataclass(frozen=True)
class PartitionJob:
    """What is done for each partition of groups after a scan.

    Attributes:
        program: What is computed.
        destinations: Where the program's rows go, by the name of the output.
        runs: A folder for the rows of each partition, until all are there. A partition may be tried several
            times: the files of an attempt have names of their own, and those count that are told.
        checks: As those of `ReduceTask`.
    """

    program: PartitionProgram
    destinations: tuple[Destination, ...]
    runs: str
    checks: tuple[Check, ...] = ()

    def open(self) -> OpenPartitionJob:
        """Make it ready to run."""
        return OpenPartitionJob(self)

    def write_groups(self, runs: Iterable[str]) -> None:
        """Write the outputs, once all partitions are done: their rows in the order of the keys.

        Args:
            runs: The names of the files that the partitions have told, in any order.

        Raises:
            JobError: They cannot be written.
        """
        if not self.destinations:
            return
        with writing_groups(self.destinations, self.checks) as groups:
            for at, made in enumerate(self.destinations):
                own = sorted(Path(self.runs, name) for name in runs if name.startswith(f"{at}-"))
                for rows in merged(own, made.schema, BATCH_ROWS):
                    groups.write(made.name, rows)


class OpenPartitionJob:
    """What is done for partitions, one after the other; nodes are set up once.

    Args:
        job: What is done.
    """

    def __init__(self, job: PartitionJob) -> None:
        self._job = job
        self._open = job.program.open()

    def close(self) -> None:
        """Tear the nodes down."""
        self._open.close()

    def run(
        self, partition: int, told: Iterable[ToPartition], known: PriorResults
    ) -> tuple[PartitionResult, tuple[str, ...]]:
        """Compute the groups of a partition, and write files of their rows for `PartitionJob.write_groups`.

        Args:
            partition: The number of the partition.
            told: What has come to it.
            known: What is known of the whole dataset.

        Raises:
            NodeError: An aggregator, or a node behind it, raised.
            JobError: Its rows cannot be written.
        """
        made = self._open.run(_gathered(told), known)
        runs = Path(self._job.runs)
        attempt = uuid.uuid4().hex
        names = []
        for at, output in enumerate(self._job.destinations):
            rows = made.outputs[output.name]
            if rows.num_rows:
                with failed_writing(output.name, self._job.runs, JobError):
                    runs.mkdir(exist_ok=True)
                    names.append(f"{at}-{partition:05d}-{attempt}{_SUFFIX}")
                    write_run(runs / names[-1], rows, made.keys[output.name])
        return made, tuple(names)


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
    carry_over: dict[int, bytes] = {}
    for kind, number, data in told:
        if kind == RANGES:
            given.ranges = number
        elif kind == STATES:
            given.states[number] = data
        elif kind == CARRY_OVER:
            carry_over[number] = data
        else:
            given.tables.setdefault(int(kind.removeprefix(TABLE)), {})[number] = data
    for level in sorted(carry_over):
        add_carry_over(given, carry_over[level])
    return given
