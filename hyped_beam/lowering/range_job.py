"""What is done with one range: read it, run the stage on its batches, write and commit what comes out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from hyped_beam.execute.pooled import PooledStage
from hyped_beam.execute.stage import Batch, BatchResult, StageRunner
from hyped_beam.execute.states import StateMerger, States, StateTree, to_bytes
from hyped_beam.execute.timing import READ, Timings, add_timing, add_timings, write_key
from hyped_beam.io.commit import Destination, RangeCommit, read_record, read_states
from hyped_beam.io.readers.base import Range, Scan
from hyped_beam.plan.program import Program
from hyped_beam.types.arrays import Value

NumberedBatch: TypeAlias = tuple[int | None, pa.RecordBatch]
"""The number of a batch's first row in its range, where it is known, and the batch."""


@dataclass(frozen=True)
class RangeResult:
    """What one range reports.

    Attributes:
        number: The number of the range.
        record: What was committed, as JSON.
        states: The states of its aggregates as Arrow IPC; empty where there are none.
        timings: How long its parts took; nothing for a range that was done before.
    """

    number: int
    record: str
    states: bytes
    timings: Timings = field(default_factory=dict)


@dataclass(frozen=True)
class RangeJob:
    """A scan: it travels to the workers, which open it once and run it on ranges.

    Attributes:
        scan: Where the rows come from.
        program: The stage on them.
        destinations: Where the program's outputs go, by the name of the output.
        empty: A batch of no rows of the source, for a range that holds none.
        resume: Whether ranges that are done already are left as they are.
        marks: A local folder that each range that is done leaves its record in, for a job that commits none.
        read_here: Whether rows are read and written by one process, also where several compute.
    """

    scan: Scan
    program: Program
    destinations: tuple[Destination, ...]
    empty: pa.RecordBatch
    resume: bool = False
    marks: str | None = None
    read_here: bool = False

    def open(self, runner: StageRunner | PooledStage | None = None) -> OpenRangeJob:
        """Make it ready to run: nodes are set up.

        Args:
            runner: What computes the batches; this process by default.
        """
        return OpenRangeJob(self, runner or StageRunner(self.program))


class OpenRangeJob:
    """A scan that runs.

    Args:
        job: The scan.
        runner: What computes the batches.
    """

    def __init__(self, job: RangeJob, runner: StageRunner | PooledStage) -> None:
        self.job = job
        self._runner = runner
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
        (result,) = self.run_all([task])
        return result

    @property
    def overlaps(self) -> bool:
        """Whether ranges are best done together, as those of nodes that wait are."""
        return self._runner.uses_loop

    def run_all(self, tasks: Iterable[Range]) -> Iterator[RangeResult]:
        """Do ranges; the batches of one are begun while those of the one before are in flight.

        Raises:
            NodeError: A node raised; nothing of the range is left behind.
        """
        waiting = []
        for task in tasks:
            done = self._done(task) if self.job.resume else None
            if done is None:
                waiting.append(task)
            else:
                yield done
        begun: deque[_RangeInFlight] = deque()
        try:
            for result in self._runner.run_all(self._batches(waiting, begun)):
                current = begun[0]
                current.take(result)
                if current.waiting == 0 and current.is_read:
                    done = begun.popleft().finish(self._merger)
                    self._mark(done)
                    yield done
        finally:
            for left in begun:
                left.commit.abort()

    def _mark(self, done: RangeResult) -> None:
        if self.job.marks is not None:
            Path(self.job.marks, f"{done.number:05d}.json").write_text(done.record, encoding="utf-8")

    def _done(self, task: Range) -> RangeResult | None:
        """What a range reported that was done before."""
        record = read_record(self.job.destinations, task.number) if self.job.destinations else None
        if record is None:
            return None
        return RangeResult(task.number, record.to_json(), read_states(self.job.destinations, record) or b"")

    def _batches(self, tasks: Iterable[Range], begun: deque[_RangeInFlight]) -> Iterator[Batch]:
        source = self.job.program.takes[0]
        columns = self.job.program.columns
        for task in tasks:
            current = _RangeInFlight(task.number, RangeCommit(self.job.destinations, task.number))
            begun.append(current)
            row = task.first_row
            read = _timed(self.job.scan.numbered(task), current.timings)
            for (offset, batch), is_last in _marking_last(read, self.job.empty):
                current.waiting += 1
                current.rows_in += batch.num_rows
                current.is_read = is_last
                values: dict[int, Value] = {source: dict(zip(columns, batch.columns, strict=True))}
                yield Batch(values, batch.num_rows, None if row is None or offset is None else row + offset)


def _timed(batches: Iterator[NumberedBatch], timings: Timings) -> Iterator[NumberedBatch]:
    """The same batches; how long they took to come is added up."""
    began = time.perf_counter()
    for row, batch in batches:
        add_timing(timings, READ, time.perf_counter() - began, batch.num_rows)
        yield row, batch
        began = time.perf_counter()


def _marking_last(
    batches: Iterator[NumberedBatch], empty: pa.RecordBatch
) -> Iterator[tuple[NumberedBatch, bool]]:
    """Batches, each with whether it is the last; an empty one where there are none."""
    held = next(batches, (0, empty))
    for batch in batches:
        yield held, False
        held = batch
    yield held, True


class _RangeInFlight:
    """A range some of whose batches are still being computed."""

    def __init__(self, number: int, commit: RangeCommit) -> None:
        self.number = number
        self.commit = commit
        self.waiting = 0
        self.is_read = False
        self.rows_in = 0
        self.timings: Timings = {}
        self._states: list[States] = []

    def take(self, result: BatchResult) -> None:
        """Write what a batch has become."""
        self.waiting -= 1
        add_timings(self.timings, result.timings)
        for name, batch in result.outputs.items():
            self.commit.write(name, batch)
        if result.states:
            self._states.append(result.states)

    def finish(self, merger: StateMerger) -> RangeResult:
        """Commit the range."""
        packed = self._pack(merger)
        record = self.commit.commit(packed or None, self.rows_in)
        for name, seconds in self.commit.seconds.items():
            add_timing(self.timings, write_key(name), seconds, record.rows(name))
        return RangeResult(self.number, record.to_json(), packed, self.timings)

    def _pack(self, merger: StateMerger) -> bytes:
        if not merger.steps:
            return b""
        tree = StateTree(merger)
        tree.add((0, self.number), merger.merge(self._states))
        return to_bytes(tree.to_batch())
