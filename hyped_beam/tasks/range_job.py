"""What is done with one range: read it, run the stage on its batches, write and commit what comes out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from hyped_beam.execute.batch import Batch, source_batch
from hyped_beam.execute.bindings import PriorResults
from hyped_beam.execute.materialized import restore
from hyped_beam.execute.pooled import PooledStage
from hyped_beam.execute.stage import StageRunner
from hyped_beam.execute.states import StateMerger
from hyped_beam.execute.timing import START, Timings, add_timing, add_timings
from hyped_beam.io.commit import Destination, RangeCommit, read_record, read_states
from hyped_beam.io.readers.base import Range, Scan
from hyped_beam.plan.program import Program
from hyped_beam.tasks.materialized_files import MaterializedFolder
from hyped_beam.tasks.partitions import StateSplitter, values_of_range
from hyped_beam.tasks.range_in_flight import RangeInFlight, RangeResult
from hyped_beam.tasks.shuffle_files import ShuffleFiles
from hyped_beam.tasks.state_cache import OpenStateCache, StateCache
from hyped_beam.tasks.under_way import RowsUnderWay


@dataclass(frozen=True)
class RangeTask:
    """One range that is to be done.

    Attributes:
        cut: The range.
        slices: What partitions of groups have sent it, in the order of scans and partitions, where they have
            not left files for it.
    """

    cut: Range
    slices: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class RangeJob:
    """A scan: it travels to the workers, which open it once and run it on ranges.

    Attributes:
        scan: Where the rows come from.
        program: The stage on them.
        destinations: Where the program's outputs go, by the name of the output.
        empty: A batch of no rows of the source, for a range that holds none.
        marks: A local folder that each range that is done leaves its record in, for a job that commits none.
        prior: What earlier scans have made known.
        kept: Where the values are of nodes that may run only once.
        under_way: A local folder for notes on how far ranges are, which are made where it is there.
        driver_reads: Whether rows are read and written by one process, also where several compute.
        cache: Where states of segments are kept from one job to another; None where they are not.
        files: Where partitions of groups have left values for ranges, and where ranges leave states for them;
            None where these are sent.
    """

    scan: Scan
    program: Program
    destinations: tuple[Destination, ...]
    empty: pa.RecordBatch
    marks: str | None = None
    driver_reads: bool = False
    prior: PriorResults = field(default_factory=PriorResults)
    kept: MaterializedFolder = field(default_factory=MaterializedFolder)
    under_way: str = ""
    cache: StateCache | None = None
    files: ShuffleFiles | None = None

    def open(self, runner: StageRunner | PooledStage | None = None) -> OpenRangeJob:
        """Make it ready to run: nodes are set up.

        Args:
            runner: What computes the batches; this process by default.
        """
        began = time.perf_counter()
        opened = OpenRangeJob(self, runner or StageRunner(self.program, self.prior))
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
        self._splitter = StateSplitter(job.program.combines)
        self.start: Timings = {}
        """How long it took to open; told with the first range."""
        self._cache = (
            None if job.cache is None else OpenStateCache(job.cache, job.scan, job.prior, self._mergers)
        )

    def close(self) -> None:
        """Tear the nodes down."""
        self._runner.close()

    def run(self, task: RangeTask) -> RangeResult:
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

    def run_all(self, tasks: Iterable[RangeTask]) -> Iterator[RangeResult]:
        """Do ranges; the batches of one are begun while those of the one before are in flight.

        Raises:
            NodeError: A node raised; nothing of the range is left behind.
        """
        waiting = []
        for task in tasks:
            done = self._done(task.cut)
            if done is None:
                waiting.append(task)
            else:
                yield self._left_for_partitions(done)
        begun: deque[RangeInFlight] = deque()
        try:
            for result in self._runner.run_all(self._batches(waiting, begun)):
                yield from self._finished(begun)  # those before it, all of which the cache had
                begun[0].take(result)
                yield from self._finished(begun)
            yield from self._finished(begun)
        finally:
            for left in begun:
                left.commit.abort()

    def _finished(self, begun: deque[RangeInFlight]) -> Iterator[RangeResult]:
        """ReduceTask the first ranges that are done."""
        while begun and begun[0].is_done:
            done = begun[0].commit_range(self._mergers)
            begun.popleft()  # not before: what fails is taken back
            add_timings(done.timings, self.start)
            self.start = {}
            self._mark(done)
            yield self._left_for_partitions(done)

    def _left_for_partitions(self, done: RangeResult) -> RangeResult:
        """What a range reports, without the states that go to partitions where it leaves them as a file."""
        if self.job.files is None:
            return done
        together, slices = self._splitter.split(done.states)
        if any(combine.shuffled for combine in self.job.program.combines):
            self.job.files.put_states(done.number, slices)
        return replace(done, states=together)

    def _mark(self, done: RangeResult) -> None:
        if self.job.marks is not None:
            Path(self.job.marks, f"{done.number:05d}.json").write_text(done.record, encoding="utf-8")

    def _done(self, task: Range) -> RangeResult | None:
        """What a range has reported that is done: by an earlier job, or by an attempt before this one."""
        record = read_record(self.job.destinations, task.number) if self.job.destinations else None
        if record is None:
            return None
        return RangeResult(task.number, record.to_json(), read_states(self.job.destinations, record) or b"")

    def _batches(self, tasks: Iterable[RangeTask], begun: deque[RangeInFlight]) -> Iterator[Batch]:
        program = self.job.program
        for task in tasks:
            number = task.cut.number
            files = self.job.files
            prior = values_of_range(program, task.slices if files is None else files.for_range(number))
            commit = RangeCommit(self.job.destinations, number)
            noted = RowsUnderWay(self.job.under_way, number)
            cache = None if self._cache is None else self._cache.of_range(prior)
            current = RangeInFlight(task.cut, commit, self.job.kept, noted, cache)
            begun.append(current)
            for place, spans, batch in current.read(self.job.scan, self.job.empty):
                made = source_batch(program, batch, spans, (number, place), prior)
                if program.restored:
                    restore(program, made, current.kept.next_batch(program.restored))
                yield made
