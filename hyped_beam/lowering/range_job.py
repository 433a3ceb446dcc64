"""What is done with one range: read it, run the stage on its batches, write and commit what comes out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from hyped_beam.execute.batch import Batch
from hyped_beam.execute.keeping import KeptFiles, restore
from hyped_beam.execute.known import Late
from hyped_beam.execute.pooled import PooledStage
from hyped_beam.execute.stage import BatchResult, StageRunner
from hyped_beam.execute.states import StateMerger, StateTrees
from hyped_beam.execute.timing import READ, START, Timings, add_timing, add_timings, write_key
from hyped_beam.execute.under_way import RowsUnderWay
from hyped_beam.io.commit import Destination, RangeCommit, read_record, read_states
from hyped_beam.io.readers.base import Range, Scan
from hyped_beam.plan.program import Program
from hyped_beam.types.arrays import Value
from hyped_beam.types.spans import Span

NumberedBatch: TypeAlias = tuple[tuple[Span, ...], pa.RecordBatch]
"""Where the rows of a batch stand in its range, and the batch."""


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
        late: What earlier scans have made known.
        kept: A folder for the values of nodes that may run only once.
        under_way: A local folder for notes on how far ranges are, which are made where it is there.
        read_here: Whether rows are read and written by one process, also where several compute.
    """

    scan: Scan
    program: Program
    destinations: tuple[Destination, ...]
    empty: pa.RecordBatch
    resume: bool = False
    marks: str | None = None
    read_here: bool = False
    late: Late = field(default_factory=Late)
    kept: str = ""
    under_way: str = ""

    def open(self, runner: StageRunner | PooledStage | None = None) -> OpenRangeJob:
        """Make it ready to run: nodes are set up.

        Args:
            runner: What computes the batches; this process by default.
        """
        began = time.perf_counter()
        opened = OpenRangeJob(self, runner or StageRunner(self.program, self.late))
        add_timing(opened.start, START, time.perf_counter() - began, 0)
        return opened


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
        self._mergers = [StateMerger(combine) for combine in job.program.combines]
        self.start: Timings = {}
        """How long it took to open; told with the first range."""

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
                    done = begun.popleft().finish(self._mergers)
                    add_timings(done.timings, self.start)
                    self.start = {}
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
            commit = RangeCommit(self.job.destinations, task.number)
            noted = RowsUnderWay(self.job.under_way, task.number)
            current = _RangeInFlight(task.number, commit, self.job.kept, noted)
            begun.append(current)
            read = _timed(self.job.scan.numbered(task), current.timings)
            for place, ((spans, batch), is_last) in enumerate(_marking_last(read, self.job.empty)):
                current.waiting += 1
                current.rows_in += batch.num_rows
                current.rows.append(batch.num_rows)
                current.is_read = is_last
                values: dict[int, Value] = {source: dict(zip(columns, batch.columns, strict=True))}
                standing = tuple(span.moved(task.first_row) for span in spans)
                made = Batch(values, batch.num_rows, standing, (task.number, place))
                if self.job.program.restored:
                    restore(self.job.program, made, current.kept.next_batch(self.job.program.restored))
                yield made


def _timed(batches: Iterator[NumberedBatch], timings: Timings) -> Iterator[NumberedBatch]:
    """The same batches; how long they took to come is added up."""
    began = time.perf_counter()
    for spans, batch in batches:
        add_timing(timings, READ, time.perf_counter() - began, batch.num_rows)
        yield spans, batch
        began = time.perf_counter()


def _marking_last(
    batches: Iterator[NumberedBatch], empty: pa.RecordBatch
) -> Iterator[tuple[NumberedBatch, bool]]:
    """Batches, each with whether it is the last; an empty one where there are none."""
    held = next(batches, ((), empty))
    for batch in batches:
        yield held, False
        held = batch
    yield held, True


class _RangeInFlight:
    """A range some of whose batches are still being computed."""

    def __init__(self, number: int, commit: RangeCommit, folder: str, noted: RowsUnderWay) -> None:
        self.number = number
        self.kept = KeptFiles(folder, number)
        self.commit = commit
        self.waiting = 0
        self.is_read = False
        self.rows_in = 0
        self.rows: deque[int] = deque()
        self._noted = noted
        self.timings: Timings = {}
        self._states: list[list[pa.RecordBatch]] = []

    def take(self, result: BatchResult) -> None:
        """Write what a batch has become."""
        self.waiting -= 1
        add_timings(self.timings, result.timings)
        for name, batch in result.outputs.items():
            self.commit.write(name, batch)
        if result.states:
            self._states.append(result.states)
        self.kept.add(result.kept)
        self._noted.add(self.rows.popleft())

    def finish(self, mergers: Sequence[StateMerger]) -> RangeResult:
        """Commit the range."""
        packed = self._pack(mergers)
        self.kept.publish()
        record = self.commit.commit(packed or None, self.rows_in)
        for name, seconds in self.commit.seconds.items():
            add_timing(self.timings, write_key(name), seconds, record.rows(name))
        return RangeResult(self.number, record.to_json(), packed, self.timings)

    def _pack(self, mergers: Sequence[StateMerger]) -> bytes:
        if not mergers:
            return b""
        trees = StateTrees([merger.combine for merger in mergers])
        merged = [
            merger.merge(parts)
            for merger, parts in zip(mergers, zip(*self._states, strict=True), strict=True)
        ]
        trees.add((0, self.number), merged)
        return trees.to_bytes()
