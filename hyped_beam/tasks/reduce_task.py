"""What is done once all ranges of a scan are done, wherever they were."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa

from hyped_beam.execute.bindings import PriorResults
from hyped_beam.execute.states import StateTrees
from hyped_beam.execute.timing import Timings
from hyped_beam.io import commit
from hyped_beam.io.commit import Destination
from hyped_beam.io.readers.base import BATCH_ROWS
from hyped_beam.plan.program import Combine, Program
from hyped_beam.tasks.reduce import reduce_states

if TYPE_CHECKING:
    from hyped_beam.tasks.partition_job import PartitionJob
    from hyped_beam.tasks.range_job import RangeJob


@dataclass(frozen=True)
class RangeReports:
    """What the ranges of a scan have reported.

    Attributes:
        records: What was committed, as JSON, by the number of the range.
        trees: The states of their aggregates.
        timings: How long their parts took.
    """

    records: Mapping[int, str]
    trees: StateTrees
    timings: Timings


@dataclass(frozen=True)
class ReduceTask:
    """What is done once, when all ranges of a scan are done.

    Attributes:
        combines: What the ranges report the states of, those apart that go to partitions.
        program: What is computed from them; None where there is nothing to compute.
        partitions: What is done behind it for each partition of groups; None where there are none.
        destinations: Where the program's rows go that are groups, by the name of the output.
        values_path: The file that the aggregates asked for are written to, as an Arrow stream of one row.
        report_path: The file that says, as JSON, how many rows were read and how long each part took.
        states_path: The file that the states are written to, for the last one.
        checks: What must hold for what was read to count, of the source as of outputs; each raises where it
            does not. They are called before anything is written, and before each manifest.
    """

    combines: tuple[Combine, ...]
    program: Program | None
    destinations: tuple[Destination, ...]
    values_path: str
    report_path: str
    partitions: PartitionJob | None = None
    states_path: str | None = None
    checks: tuple[commit.Check, ...] = ()

    def run(
        self, destinations: Sequence[Destination], gathered: RangeReports, known: PriorResults
    ) -> PriorResults:
        """ReduceTask a scan.

        Args:
            destinations: Where the rows of the scan have gone.
            gathered: What its ranges have reported.
            known: What earlier scans have made known.

        Returns:
            What is known after this one.

        Raises:
            NodeError: An aggregator, or a node behind it, raised.
        """
        records = [
            commit.RangeRecord.from_json(gathered.records[number]) for number in sorted(gathered.records)
        ]
        for check in self.checks:
            check()
        if self.program is not None:
            reduced = reduce_states(self.combines, self.program, gathered.trees.total(), known)
            known = known.with_more(reduced.prior)
            self._write(reduced.outputs)
        report = {"rows_in": sum(record.rows_in for record in records), "timings": gathered.timings}
        Path(self.report_path).write_text(json.dumps(report), encoding="utf-8")
        commit.finish(destinations, records, self.checks)
        if self.states_path is not None:
            Path(self.states_path).write_bytes(gathered.trees.to_bytes())
        return known

    def _write(self, outputs: dict[str, pa.RecordBatch]) -> None:
        """Write the aggregates that were asked for, and commit the rows that are groups."""
        if self.destinations:
            with writing_groups(self.destinations, self.checks) as groups:
                for made in self.destinations:
                    rows = outputs.pop(made.name)
                    for start in range(0, rows.num_rows, BATCH_ROWS):
                        groups.write(made.name, rows.slice(start, BATCH_ROWS))
        for row in outputs.values():
            with pa.OSFile(self.values_path, "wb") as file, pa.ipc.new_stream(file, row.schema) as writer:
                writer.write_batch(row)


Stage: TypeAlias = "tuple[RangeJob, ReduceTask]"
"""What is done with each range of a scan, and once, when all are done."""


@contextlib.contextmanager
def writing_groups(
    destinations: Sequence[Destination], checks: Sequence[commit.Check] = ()
) -> Iterator[commit.RangeCommit]:
    """A context in which rows of groups are written, as those of one range; behind it they are there.

    Args:
        destinations: The outputs.
        checks: As those of `ReduceTask`.
    """
    groups = commit.RangeCommit(destinations, 0)
    try:
        yield groups
        commit.finish(destinations, [groups.commit()], checks)
    finally:
        groups.abort()
