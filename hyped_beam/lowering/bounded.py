"""A bounded scan as a Beam pipeline: cut ranges, do each, gather what they report, finish."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import apache_beam as beam
import cloudpickle
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from hyped_beam.execute.finish import finish as finish_scan
from hyped_beam.execute.known import Late
from hyped_beam.execute.partitions import StateSplitter
from hyped_beam.execute.pool import ProcessPool, named_pool, shared_pool
from hyped_beam.execute.pooled import PooledStage
from hyped_beam.io import commit
from hyped_beam.io.commit import Destination
from hyped_beam.io.readers.base import BATCH_ROWS, Range, Reader
from hyped_beam.lowering.cutting import RANGES, CutRanges
from hyped_beam.lowering.failure import raising_text
from hyped_beam.lowering.partitions import STATES, PartitionJob, ToPartition, finish_partitions
from hyped_beam.lowering.range_in_flight import RangeResult
from hyped_beam.lowering.range_job import OpenRangeJob, RangeJob, RangeTask
from hyped_beam.lowering.states import AccumulatorCoder, CombineRanges, RangeReport
from hyped_beam.plan.joins import PARTITIONS
from hyped_beam.plan.program import Combine, Program


@dataclass(frozen=True)
class Finish:
    """What is done once, when all ranges of a scan are done.

    Attributes:
        combines: What the ranges report the states of, those apart that go to partitions.
        program: What is computed from them; None where there is nothing to compute.
        partitions: What is done behind it for each partition of groups; None where there are none.
        destinations: Where the program's rows go that are groups, by the name of the output.
        values_path: The file that the aggregates asked for are written to, as an Arrow stream of one row.
        report_path: The file that says, as JSON, how many rows were read and how long each part took.
        late_path: The file that all that the scans have made known is written to, for the last one.
        states_path: The file that the states are written to, for the last one.
    """

    combines: tuple[Combine, ...]
    program: Program | None
    destinations: tuple[Destination, ...]
    values_path: str
    report_path: str
    partitions: PartitionJob | None = None
    late_path: str | None = None
    states_path: str | None = None


class DoRanges(beam.DoFn):
    """Does ranges: in this process, or in a pool of light ones underneath.

    Args:
        job: The pickled `RangeJob`; a pickle of a running job, never saved.
        processes: How many processes; 1 for this one.
        pool: The name of a pool that was made for the job in the process that started it.
        read_here: Whether this process reads and writes also where a pool computes.
    """

    def __init__(
        self, job: bytes, processes: int, pool: str | None = None, *, read_here: bool = False
    ) -> None:
        self.job = job
        self.read_here = read_here
        self.processes = processes
        self.pool = pool
        self._open: OpenRangeJob | None = None
        self._waiting: list[RangeTask] = []
        self._splitter: StateSplitter | None = None

    def setup(self) -> None:
        self._late = b""

    def _job(self) -> RangeJob:
        job: RangeJob = pickle.loads(self.job)  # noqa: S301 - made by this job's driver
        return replace(job, late=Late.from_bytes(self._late))

    def _own_pool(self) -> ProcessPool | None:
        return None if self.pool is None else named_pool(self.pool)

    def _pool(self) -> ProcessPool:
        return self._own_pool() or shared_pool(self.processes)

    def start_bundle(self) -> None:
        self._waiting = []

    def process(
        self, element: tuple[int, Iterable[tuple[int, int, bytes]]], late: bytes = b""
    ) -> Iterator[Any]:
        self._late = late
        (_, _, cut), *slices = sorted(element[1], key=itemgetter(0, 1))
        task = RangeTask(Range.from_json(cut.decode()), tuple(values for _, _, values in slices))
        self._waiting.append(task)
        alone = self.processes == 1 and self._own_pool() is None
        if not alone and not self.read_here:
            return
        with raising_text():
            if self._open is None:
                job = self._job()
                self._open = job.open(None if alone else PooledStage(job.program, self._pool(), job.late))
            if self._open.overlaps:
                return
            while self._waiting:
                report, states = self._told(self._open.run(self._waiting.pop(0)))
                yield None, report
                yield from (TaggedOutput(STATES, part) for part in states)

    def finish_bundle(self) -> Iterator[Any]:
        if not self._waiting:
            return
        with raising_text():
            for result in self._run_waiting():
                report, states = self._told(result)
                yield _at_end((None, report))
                yield from (TaggedOutput(STATES, _at_end(part)) for part in states)
        self._waiting = []

    def _told(self, result: RangeResult) -> tuple[RangeReport, list[tuple[int, ToPartition]]]:
        """What a range reports, and the states that go to partitions, by the number of the partition."""
        if self._splitter is None:
            self._splitter = StateSplitter(self._job().program.combines)
        together, split = self._splitter.split(result.states)
        report = result.number, result.record, together, json.dumps(result.timings)
        return report, [(partition, (STATES, result.number, held)) for partition, held in split.items()]

    def _run_waiting(self) -> Iterator[RangeResult]:
        if self._open is not None:
            return self._open.run_all(self._waiting)
        return self._pool().run(self._job(), self._waiting)

    def teardown(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


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
            told, trees, timings = AccumulatorCoder(self.combine).decode(element[1])
            records = [commit.RangeRecord.from_json(told[number]) for number in sorted(told)]
            known = Late.from_bytes(late)
            if finish.program is not None:
                finished = finish_scan(finish.combines, finish.program, trees.total(), known)
                known = known.with_more(finished.late)
                _write_outputs(finish, finished.outputs)
            report = {"rows_in": sum(record.rows_in for record in records), "timings": timings}
            Path(finish.report_path).write_text(json.dumps(report), encoding="utf-8")
            commit.finish(destinations, records)
            if finish.late_path is not None and finish.states_path is not None:
                Path(finish.late_path).write_bytes(known.to_bytes())
                Path(finish.states_path).write_bytes(trees.to_bytes())
        yield known.to_bytes()


def _write_outputs(finish: Finish, outputs: dict[str, pa.RecordBatch]) -> None:
    """Write the aggregates that were asked for, and commit the rows that are groups."""
    groups = commit.RangeCommit(finish.destinations, 0)
    try:
        for destination in finish.destinations:
            rows = outputs.pop(destination.name)
            for start in range(0, rows.num_rows, BATCH_ROWS):
                groups.write(destination.name, rows.slice(start, BATCH_ROWS))
        if finish.destinations:
            commit.finish(finish.destinations, [groups.commit()])
    finally:
        groups.abort()
    for row in outputs.values():
        with pa.OSFile(finish.values_path, "wb") as file, pa.ipc.new_stream(file, row.schema) as writer:
            writer.write_batch(row)


def _at_end(value: Any) -> WindowedValue:
    """What is put out at the end of a bundle."""
    return WindowedValue(value, MIN_TIMESTAMP, [GlobalWindow()])


def build(
    pipeline: beam.Pipeline,
    reader: Reader,
    scans: Sequence[tuple[RangeJob, Finish]],
    processes: int,
    pool: str | None = None,
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
    """
    known: tuple[Any, ...] = ()
    to_ranges: list[Any] = []
    onward: list[Any] = []
    for level, (job, finish) in enumerate(scans):
        behind = "" if len(scans) == 1 else f"{level}"
        combine = CombineRanges(cloudpickle.dumps(finish.combines))
        workers = processes or (os.cpu_count() or 1)
        do = DoRanges(cloudpickle.dumps(job), workers, pool, read_here=job.read_here)
        cut_ranges = CutRanges(cloudpickle.dumps(reader), PARTITIONS if finish.partitions else 0)
        cut = (
            pipeline
            | f"Start{behind}" >> beam.Impulse()
            | f"CutRanges{behind}" >> beam.ParDo(cut_ranges).with_outputs(RANGES, main="cuts")
        )
        ranges = cut.cuts
        if job.program.by_range:
            ranges = (ranges, *to_ranges) | f"WithGroups{behind}" >> beam.Flatten()
        done = (
            ranges
            # One range a key. `Reshuffle` takes eight steps for it, a third of a small job's time.
            | f"SpreadRanges{behind}" >> beam.GroupByKey()
            | f"DoRanges{behind}" >> beam.ParDo(do, *known).with_outputs(STATES, main="reports")
        )
        finished = (
            done.reports
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
