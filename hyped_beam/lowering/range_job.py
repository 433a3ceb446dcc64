"""What is done with one range: read it, run the stage on its batches, write and commit what comes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from hyped_beam.execute.stage import Batch, StageRunner
from hyped_beam.execute.states import StateMerger, States, StateTree, to_bytes
from hyped_beam.io.commit import Destination, RangeCommit, read_record, read_states
from hyped_beam.io.readers.base import Range, Scan
from hyped_beam.plan.program import Program


@dataclass(frozen=True)
class RangeResult:
    """What one range reports.

    Attributes:
        number: The number of the range.
        record: What was committed, as JSON.
        states: The states of its aggregates as Arrow IPC; empty where there are none.
    """

    number: int
    record: str
    states: bytes


@dataclass(frozen=True)
class RangeJob:
    """A scan: it travels to the workers, which open it once and run it on ranges.

    Attributes:
        scan: Where the rows come from.
        program: The stage on them.
        destinations: Where the program's outputs go, by the name of the output.
        empty: A batch of no rows of the source, for a range that holds none.
        resume: Whether ranges that are done already are left as they are.
    """

    scan: Scan
    program: Program
    destinations: tuple[Destination, ...]
    empty: pa.RecordBatch
    resume: bool = False

    def open(self) -> OpenRangeJob:
        """Make it ready to run: nodes are set up."""
        return OpenRangeJob(self)


class OpenRangeJob:
    """A scan that runs.

    Args:
        job: The scan.
    """

    def __init__(self, job: RangeJob) -> None:
        self.job = job
        self._runner = StageRunner(job.program)
        self._runner.open()
        self._merger = StateMerger(job.program.aggregates)

    def close(self) -> None:
        """Tear the nodes down."""
        self._runner.close()

    def run(self, task: Range) -> RangeResult:
        """Do one range.

        Raises:
            NodeError: A node raised; nothing of the range is left behind.
        """
        if self.job.resume and (done := read_record(self.job.destinations, task.number)) is not None:
            states_done = read_states(self.job.destinations, done) or b""
            return RangeResult(task.number, done.to_json(), states_done)
        commit = RangeCommit(self.job.destinations, task.number)
        states: list[States] = []
        try:
            for result in self._runner.run_all(self._batches(task)):
                for name, batch in result.outputs.items():
                    commit.write(name, batch)
                if result.states:
                    states.append(result.states)
            packed = self._pack(task.number, states)
            record = commit.commit(packed or None)
        except BaseException:
            commit.abort()
            raise
        return RangeResult(task.number, record.to_json(), packed)

    def _batches(self, task: Range) -> Iterator[Batch]:
        source = self.job.program.takes[0]
        columns = self.job.program.columns
        row = task.first_row
        empty = True
        for batch in self.job.scan.read(task):
            yield Batch({source: dict(zip(columns, batch.columns, strict=True))}, batch.num_rows, row)
            row = None if row is None else row + batch.num_rows
            empty = False
        if empty:
            yield self._runner.source_batch(self.job.empty, row)

    def _pack(self, number: int, states: Sequence[States]) -> bytes:
        if not self.job.program.aggregates:
            return b""
        tree = StateTree(self._merger)
        tree.add((0, number), self._merger.merge(states))
        return to_bytes(tree.to_batch())
