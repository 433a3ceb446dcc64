"""What is done with one range: read it, run the stage on its batches, write and commit what comes out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from hyped_beam.execute.stage import Batch, BatchResult, StageRunner
from hyped_beam.execute.states import StateMerger, States, StateTree, to_bytes
from hyped_beam.io.commit import Destination, RangeCommit
from hyped_beam.io.readers.base import Range, Reader
from hyped_beam.plan.program import Program, Step


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
        reader: Where the rows come from.
        program: The stage on them.
        destinations: Where the program's outputs go, by the name of the output.
        empty: A batch of no rows of the source, for a range that holds none.
    """

    reader: Reader
    program: Program
    destinations: tuple[Destination, ...]
    empty: pa.RecordBatch

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
        started = time.perf_counter()
        commit = RangeCommit(self.job.destinations, task.number)
        states: list[States] = []
        rows = 0
        try:
            for result in self._runner.run_all(self._batches(task)):
                rows += self._write(commit, result)
                if result.states:
                    states.append(result.states)
            packed = self._pack(task.number, states)
            record = commit.commit(packed)
        except BaseException:
            commit.abort()
            raise
        return RangeResult(task.number, record.to_json(), packed)

    def _write(self, commit: RangeCommit, result: BatchResult) -> int:
        for name, batch in result.outputs.items():
            commit.write(name, batch)
        return 0

    def _batches(self, task: Range) -> Iterator[Batch]:
        source = self.job.program.takes[0]
        columns = self.job.program.columns
        row = task.first_row
        empty = True
        for batch in self.job.reader.read(task, columns):
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


def with_batch_size(program: Program, batch_size: int | None) -> Program:
    """The same program, with a bound on the rows that its nodes are given at once.

    Nodes with a bound of their own keep it.
    """
    if batch_size is None:
        return program

    def bounded(step: Step) -> Step:
        options: Any = step.options
        if options.batch_size is not None:
            return step
        return replace(step, options=options.model_copy(update={"batch_size": batch_size}))

    return replace(program, steps=tuple(bounded(step) for step in program.steps))
