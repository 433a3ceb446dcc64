"""A bounded scan as a Beam pipeline: cut ranges, do each, gather what they report, finish."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import cloudpickle
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from hyped_beam.errors import FlowError, JobError
from hyped_beam.execute.pool import ProcessPool, named_pool, shared_pool
from hyped_beam.execute.pooled import PooledStage
from hyped_beam.execute.stage import Batch, StageRunner
from hyped_beam.execute.states import StateMerger, to_bytes
from hyped_beam.io import commit
from hyped_beam.io.readers.base import Range, Reader
from hyped_beam.lowering.failure import StageFailedError, as_text
from hyped_beam.lowering.range_job import OpenRangeJob, RangeJob, RangeResult
from hyped_beam.lowering.states import AccumulatorCoder, CombineRanges, RangeReport
from hyped_beam.plan.program import AggregateStep, Program


@dataclass(frozen=True)
class Finish:
    """What is done once, when all ranges are done.

    Attributes:
        aggregates: The aggregators whose states the ranges report.
        program: What is computed from their values; None where there are none.
        values_path: The file that the values are written to, as an Arrow stream of one row.
        report_path: The file that says, as JSON, how many rows were read and how long each part took.
    """

    aggregates: tuple[AggregateStep, ...]
    program: Program | None
    values_path: str | None
    report_path: str


class CutRanges(beam.DoFn):
    """The ranges of the source, cut where the job runs.

    Args:
        reader: The pickled reader.
    """

    def __init__(self, reader: bytes) -> None:
        self.reader = reader

    def process(self, element: Any) -> Iterator[tuple[int, str]]:
        del element
        reader: Reader = pickle.loads(self.reader)  # noqa: S301 - made by this job's driver
        # A source without rows is one empty range: its aggregates have values, its outputs columns.
        for cut in reader.ranges() or [Range(0, (), rows=0, first_row=0)]:
            yield cut.number, cut.to_json()


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
        self._waiting: list[Range] = []

    def setup(self) -> None:
        if self.processes == 1 and self._own_pool() is None:
            with raising_text():
                self._open = self._load().open()
        elif self.read_here:
            job = self._load()
            with raising_text():
                self._open = job.open(PooledStage(job.program, self._pool()))

    def _load(self) -> RangeJob:
        return pickle.loads(self.job)  # noqa: S301 - made by this job's driver

    def _own_pool(self) -> ProcessPool | None:
        return None if self.pool is None else named_pool(self.pool)

    def _pool(self) -> ProcessPool:
        return self._own_pool() or shared_pool(self.processes)

    def start_bundle(self) -> None:
        self._waiting = []

    def process(self, element: tuple[int, Iterable[str]]) -> Iterator[tuple[None, RangeReport]]:
        tasks = [Range.from_json(text) for text in element[1]]
        if self._open is None or self._open.overlaps:
            self._waiting += tasks
            return
        with raising_text():
            for task in tasks:
                yield None, _report(self._open.run(task))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if not self._waiting:
            return
        with raising_text():
            for result in self._run_waiting():
                yield WindowedValue((None, _report(result)), MIN_TIMESTAMP, [GlobalWindow()])
        self._waiting = []

    def _run_waiting(self) -> Iterator[RangeResult]:
        if self._open is not None:
            return self._open.run_all(self._waiting)
        return self._pool().run(self._load(), self._waiting)

    def teardown(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class FinishJob(beam.DoFn):
    """The last step: values of the aggregates, and the manifest of every output.

    Args:
        job: The pickled pair of destinations and `Finish`.
        combine: What gathered the reports.
    """

    def __init__(self, job: bytes, combine: CombineRanges) -> None:
        self.job = job
        self.combine = combine

    def process(self, element: tuple[None, bytes]) -> Iterator[int]:
        destinations, finish = pickle.loads(self.job)  # noqa: S301 - made by this job's driver
        with raising_text():
            told, tree, timings = AccumulatorCoder(self.combine).decode(element[1])
            records = [commit.RangeRecord.from_json(told[number]) for number in sorted(told)]
            if finish.program is not None:
                Path(f"{finish.values_path}.states").write_bytes(to_bytes(tree.to_batch()))
                _write_values(finish, StateMerger(finish.aggregates).finish(tree.total()))
            report = {"rows_in": sum(record.rows_in for record in records), "timings": timings}
            Path(finish.report_path).write_text(json.dumps(report), encoding="utf-8")
            commit.finish(destinations, records)
        yield len(records)


def _write_values(finish: Finish, values: list[pa.Array]) -> None:
    assert finish.program is not None  # noqa: S101 - the caller's condition
    with StageRunner(finish.program) as runner:
        outputs = runner.run(Batch(dict(zip(finish.program.takes, values, strict=True)), 1, None)).outputs
    (row,) = outputs.values()
    with pa.OSFile(str(finish.values_path), "wb") as file, pa.ipc.new_stream(file, row.schema) as writer:
        writer.write_batch(row)


def _report(result: RangeResult) -> RangeReport:
    return result.number, result.record, result.states, json.dumps(result.timings)


class raising_text:  # noqa: N801 - used as a statement
    """A context in which errors of ours become exceptions whose text survives the runner."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, FlowError):
            raise StageFailedError(as_text(error)) from error
        if isinstance(error, OSError):
            raise StageFailedError(as_text(JobError(f"{type(error).__name__}: {error}"))) from error


def build(
    pipeline: beam.Pipeline,
    reader: Reader,
    job: RangeJob,
    finish: Finish,
    processes: int,
    pool: str | None = None,
) -> None:
    """Put a bounded scan into a pipeline.

    Args:
        pipeline: The pipeline.
        reader: The source.
        job: What is done with its ranges.
        finish: What is done once it is done.
        processes: How many processes do the ranges of a bundle.
        pool: The name of the pool that they are, where the job has one of its own.
    """
    pickled = cloudpickle.dumps(job)
    combine = CombineRanges(cloudpickle.dumps(finish.aggregates))
    do = DoRanges(pickled, processes or (os.cpu_count() or 1), pool, read_here=job.read_here)
    _ = (
        pipeline
        | "Start" >> beam.Impulse()
        | "CutRanges" >> beam.ParDo(CutRanges(cloudpickle.dumps(reader)))
        # One range a key. `Reshuffle` takes eight steps for it, a third of a small job's time.
        | "SpreadRanges" >> beam.GroupByKey()
        | "DoRanges" >> beam.ParDo(do)
        | "CombineRanges" >> beam.CombinePerKey(combine)
        | "Finish" >> beam.ParDo(FinishJob(cloudpickle.dumps((job.destinations, finish)), combine))
    )
