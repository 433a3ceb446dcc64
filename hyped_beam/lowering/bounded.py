"""A bounded scan as a Beam pipeline: cut ranges, do each, gather what they report, finish."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import apache_beam as beam
import cloudpickle
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from hyped_beam.execute.bindings import PriorResults
from hyped_beam.execute.pool import pool_of
from hyped_beam.io.readers.base import Range, Reader
from hyped_beam.lowering.cutting import CutRanges
from hyped_beam.lowering.failure import raising_text
from hyped_beam.lowering.partitions import compute_partitions
from hyped_beam.lowering.states import AccumulatorCoder, CombineRanges, RangeReport
from hyped_beam.plan.joins import PARTITIONS
from hyped_beam.tasks.driver import Backend, drive
from hyped_beam.tasks.partition_job import RANGES, STATES, ToPartition
from hyped_beam.tasks.partitions import StateSplitter
from hyped_beam.tasks.range_in_flight import RangeResult
from hyped_beam.tasks.range_job import RangeJob, RangeTask
from hyped_beam.tasks.range_runner import RangeRunner
from hyped_beam.tasks.reduce_task import RangeReports, Stage


class DoRanges(beam.DoFn):
    """Does ranges: in this process, or in a pool of light ones underneath.

    Args:
        job: The pickled `RangeJob`; a pickle of a running job, never saved.
        processes: How many processes; 1 for this one.
        pool: The name of a pool that was made for the job in the process that started it.
        isolate: Whether a pool does them also where one process is enough.
    """

    def __init__(self, job: bytes, processes: int, pool: str | None = None, *, isolate: bool) -> None:
        self.job = job
        self.isolate = isolate
        self.processes = processes
        self.pool = pool
        self._runner: RangeRunner | None = None
        self._waiting: list[RangeTask] = []
        self._splitter = StateSplitter(())

    def _running(self, prior: bytes) -> RangeRunner:
        if self._runner is None:
            job: RangeJob = pickle.loads(self.job)  # noqa: S301 - made by this job's driver
            self._splitter = StateSplitter(job.program.combines)
            known = replace(job, prior=PriorResults.from_bytes(prior))
            self._runner = RangeRunner(known, pool_of(self.processes, self.pool, isolate=self.isolate))
        return self._runner

    def start_bundle(self) -> None:
        self._waiting = []

    def process(
        self, element: tuple[int, Iterable[tuple[int, int, bytes]]], prior: bytes = b""
    ) -> Iterator[Any]:
        (_, _, cut), *slices = sorted(element[1], key=itemgetter(0, 1))
        task = RangeTask(Range.from_json(cut.decode()), tuple(values for _, _, values in slices))
        self._waiting.append(task)
        with raising_text():
            if self._running(prior).overlaps:
                return
            for report, states in self._run_waiting():
                yield None, report
                yield from (TaggedOutput(STATES, part) for part in states)

    def finish_bundle(self) -> Iterator[Any]:
        with raising_text():
            for report, states in self._run_waiting():
                yield _at_end((None, report))
                yield from (TaggedOutput(STATES, _at_end(part)) for part in states)

    def _run_waiting(self) -> Iterator[tuple[RangeReport, list[tuple[int, ToPartition]]]]:
        waiting, self._waiting = self._waiting, []
        waiting.sort(key=lambda task: task.cut.number)  # runners hand keys out in any order
        if waiting and self._runner is not None:
            yield from map(self._told, self._runner.run(waiting))

    def _told(self, result: RangeResult) -> tuple[RangeReport, list[tuple[int, ToPartition]]]:
        """What a range reports, and the states that go to partitions, by the number of the partition."""
        together, split = self._splitter.split(result.states)
        report = result.number, result.record, together, json.dumps(result.timings)
        return report, [(partition, (STATES, result.number, held)) for partition, held in split.items()]

    def teardown(self) -> None:
        if self._runner is not None:
            self._runner.close()
            self._runner = None


class ReduceScan(beam.DoFn):
    """What comes after a scan: the values of its aggregates, and the manifest of every output.

    Args:
        job: The pickled pair of the destinations of the scan and `ReduceTask`.
        combine: What gathered the reports.
    """

    def __init__(self, job: bytes, combine: CombineRanges) -> None:
        self.job = job
        self.combine = combine

    def process(self, element: tuple[None, bytes], prior: bytes = b"") -> Iterator[bytes]:
        destinations, reduce = pickle.loads(self.job)  # noqa: S301 - made by this job's driver
        with raising_text():
            gathered = RangeReports(*AccumulatorCoder(self.combine).decode(element[1]))
            known = reduce.run(destinations, gathered, PriorResults.from_bytes(prior))
        yield known.to_bytes()


def _at_end(value: Any) -> WindowedValue:
    """What is put out at the end of a bundle."""
    return WindowedValue(value, MIN_TIMESTAMP, [GlobalWindow()])


def _step(do: beam.DoFn, known: Sequence[Any], beside: str | None) -> beam.PTransform:
    """A step with a second output for partitions; each costs a small job some hundredths of a second."""
    step = beam.ParDo(do, *known)
    return step if beside is None else step.with_outputs(beside)


def build(
    pipeline: beam.Pipeline,
    reader: Reader,
    scans: Sequence[Stage],
    processes: int,
    pool: str | None = None,
    *,
    isolate: bool = False,
) -> None:
    """Put bounded scans into a pipeline, each with what the ones before have made known.

    Args:
        pipeline: The pipeline.
        reader: The source.
        scans: What is done with its ranges, and once they are done; in order.
        processes: How many processes do the ranges of a bundle.
        pool: The name of the pool that they are, where the job has one of its own.
        isolate: Whether ranges are done in a pool also where one process does them.
    """
    drive(scans, _PipelineBackend(pipeline, reader, processes, pool, len(scans), isolate=isolate))


@dataclass(frozen=True)
class _Scanned:
    """The steps that do the ranges of a scan.

    Attributes:
        reports: What the ranges report.
        to_partitions: What comes to partitions, by the number of the partition.
    """

    reports: Any
    to_partitions: tuple[Any, ...]


@dataclass(frozen=True)
class _Shuffled:
    """The steps that compute the partitions after a scan.

    Attributes:
        to_ranges: Values for ranges, by their numbers.
        carry_over: What partitions need again, by their numbers.
    """

    to_ranges: Any
    carry_over: Any


class _PipelineBackend(Backend[Stage, _Scanned, tuple[Any, ...], _Shuffled]):
    """The parts of a bounded job as steps of a pipeline; see `build`."""

    def __init__(
        self,
        pipeline: beam.Pipeline,
        reader: Reader,
        processes: int,
        pool: str | None,
        scans: int,
        *,
        isolate: bool,
    ) -> None:
        self._pipeline = pipeline
        self._reader = reader
        self._processes = processes
        self._pool = pool
        self._scans = scans
        self._isolate = isolate

    def _label(self, level: int) -> str:
        """What tells the names of the steps of a scan from those of others."""
        return "" if self._scans == 1 else f"{level}"

    def no_results(self) -> tuple[Any, ...]:
        return ()

    def scan(
        self,
        level: int,
        stage: Stage,
        prior: tuple[Any, ...],
        shuffled: Sequence[_Shuffled],
    ) -> _Scanned:
        job, reduce = stage
        label_suffix, is_shuffled = self._label(level), reduce.partitions is not None
        do = DoRanges(cloudpickle.dumps(job), self._processes, self._pool, isolate=self._isolate)
        cut_ranges = CutRanges(cloudpickle.dumps(self._reader), PARTITIONS if is_shuffled else 0)
        cut = (
            self._pipeline
            | f"Start{label_suffix}" >> beam.Impulse()
            | f"CutRanges{label_suffix}" >> _step(cut_ranges, (), RANGES if is_shuffled else None)
        )
        ranges = cut[None] if is_shuffled else cut
        if job.program.by_range:
            to_ranges = [one.to_ranges for one in shuffled]
            ranges = (ranges, *to_ranges) | f"WithGroups{label_suffix}" >> beam.Flatten()
        done = (
            ranges
            # One range a key. `Reshuffle` takes eight steps for it, a third of a small job's time.
            | f"SpreadRanges{label_suffix}" >> beam.GroupByKey()
            | f"DoRanges{label_suffix}" >> _step(do, prior, STATES if is_shuffled else None)
        )
        if not is_shuffled:
            return _Scanned(done, ())
        return _Scanned(done[None], (cut[RANGES], done[STATES], *(one.carry_over for one in shuffled)))

    def reduce(self, level: int, stage: Stage, scanned: _Scanned, prior: tuple[Any, ...]) -> tuple[Any, ...]:
        job, reduce = stage
        label_suffix, combine = self._label(level), CombineRanges(cloudpickle.dumps(reduce.combines))
        reduce_scan = ReduceScan(cloudpickle.dumps((job.destinations, reduce)), combine)
        finished = (
            scanned.reports
            | f"CombineRanges{label_suffix}" >> beam.CombinePerKey(combine)
            | f"Reduce{label_suffix}" >> beam.ParDo(reduce_scan, *prior)
        )
        return (beam.pvalue.AsSingleton(finished),)

    def partitions(
        self,
        level: int,
        stage: Stage,
        scanned: _Scanned,
        prior: tuple[Any, ...],
        shuffled: Sequence[_Shuffled],
    ) -> _Shuffled | None:
        del shuffled  # went to partitions with the scan
        job = stage[1].partitions
        if job is None:
            return None
        (known,) = prior
        label = self._label(level)
        return _Shuffled(*compute_partitions(self._pipeline, level, job, scanned.to_partitions, known, label))
