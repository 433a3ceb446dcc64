"""A bounded scan as a Beam pipeline: cut ranges, do each, gather what they report, finish."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

import apache_beam as beam
import cloudpickle
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from hyped_beam.execute.known import Late
from hyped_beam.execute.partitions import StateSplitter
from hyped_beam.execute.pool import pool_of
from hyped_beam.io.readers.base import Range, Reader
from hyped_beam.lowering.cutting import CutRanges
from hyped_beam.lowering.failure import raising_text
from hyped_beam.lowering.partition_job import RANGES, STATES, ToPartition
from hyped_beam.lowering.partitions import finish_partitions
from hyped_beam.lowering.range_in_flight import RangeResult
from hyped_beam.lowering.range_job import RangeJob, RangeTask
from hyped_beam.lowering.range_runner import RangeRunner
from hyped_beam.lowering.scan_end import Finish, Gathered
from hyped_beam.lowering.states import AccumulatorCoder, CombineRanges, RangeReport
from hyped_beam.plan.joins import PARTITIONS


class DoRanges(beam.DoFn):
    """Does ranges: in this process, or in a pool of light ones underneath.

    Args:
        job: The pickled `RangeJob`; a pickle of a running job, never saved.
        processes: How many processes; 1 for this one.
        pool: The name of a pool that was made for the job in the process that started it.
        apart: Whether a pool does them also where one process is enough.
    """

    def __init__(self, job: bytes, processes: int, pool: str | None = None, *, apart: bool) -> None:
        self.job = job
        self.apart = apart
        self.processes = processes
        self.pool = pool
        self._runner: RangeRunner | None = None
        self._waiting: list[RangeTask] = []
        self._splitter = StateSplitter(())

    def _running(self, late: bytes) -> RangeRunner:
        if self._runner is None:
            job: RangeJob = pickle.loads(self.job)  # noqa: S301 - made by this job's driver
            self._splitter = StateSplitter(job.program.combines)
            known = replace(job, late=Late.from_bytes(late))
            self._runner = RangeRunner(known, pool_of(self.processes, self.pool, apart=self.apart))
        return self._runner

    def start_bundle(self) -> None:
        self._waiting = []

    def process(
        self, element: tuple[int, Iterable[tuple[int, int, bytes]]], late: bytes = b""
    ) -> Iterator[Any]:
        (_, _, cut), *slices = sorted(element[1], key=itemgetter(0, 1))
        task = RangeTask(Range.from_json(cut.decode()), tuple(values for _, _, values in slices))
        self._waiting.append(task)
        with raising_text():
            if self._running(late).overlaps:
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


class FinishScan(beam.DoFn):
    """What comes after a scan: the values of its aggregates, and the manifest of every output.

    Args:
        job: The pickled pair of the destinations of the scan and `Finish`.
        combine: What gathered the reports.
    """

    def __init__(self, job: bytes, combine: CombineRanges) -> None:
        self.job = job
        self.combine = combine

    def process(self, element: tuple[None, bytes], late: bytes = b"") -> Iterator[bytes]:
        destinations, finish = pickle.loads(self.job)  # noqa: S301 - made by this job's driver
        with raising_text():
            gathered = Gathered(*AccumulatorCoder(self.combine).decode(element[1]))
            known = finish.run(destinations, gathered, Late.from_bytes(late))
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
    scans: Sequence[tuple[RangeJob, Finish]],
    processes: int,
    pool: str | None = None,
    *,
    apart: bool = False,
) -> None:
    """Put bounded scans into a pipeline, each with what the ones before have made known.

    Each scan cuts and reads the source anew: what feeds both a combine and a consumer of its result is held
    in memory whole by local runners.

    Args:
        pipeline: The pipeline.
        reader: The source.
        scans: What is done with its ranges, and once they are done; in order.
        processes: How many processes do the ranges of a bundle.
        pool: The name of the pool that they are, where the job has one of its own.
        apart: Whether ranges are done in a pool also where one process does them.
    """
    known: tuple[Any, ...] = ()
    to_ranges: list[Any] = []
    onward: list[Any] = []
    for level, (job, finish) in enumerate(scans):
        behind = "" if len(scans) == 1 else f"{level}"
        combine = CombineRanges(cloudpickle.dumps(finish.combines))
        do = DoRanges(cloudpickle.dumps(job), processes, pool, apart=apart)
        cut_ranges = CutRanges(cloudpickle.dumps(reader), PARTITIONS if finish.partitions else 0)
        cut = (
            pipeline
            | f"Start{behind}" >> beam.Impulse()
            | f"CutRanges{behind}" >> _step(cut_ranges, (), RANGES if finish.partitions else None)
        )
        ranges = cut[None] if finish.partitions else cut
        if job.program.by_range:
            ranges = (ranges, *to_ranges) | f"WithGroups{behind}" >> beam.Flatten()
        done = (
            ranges
            # One range a key. `Reshuffle` takes eight steps for it, a third of a small job's time.
            | f"SpreadRanges{behind}" >> beam.GroupByKey()
            | f"DoRanges{behind}" >> _step(do, known, STATES if finish.partitions else None)
        )
        finished = (
            (done[None] if finish.partitions else done)
            | f"CombineRanges{behind}" >> beam.CombinePerKey(combine)
            | f"Finish{behind}"
            >> beam.ParDo(FinishScan(cloudpickle.dumps((job.destinations, finish)), combine), *known)
        )
        known = (beam.pvalue.AsSingleton(finished),)
        if finish.partitions is not None:
            parts = (cut[RANGES], done[STATES], *onward)
            made = finish_partitions(pipeline, level, finish.partitions, parts, *known, behind)
            to_ranges.append(made[0])
            onward.append(made[1])
