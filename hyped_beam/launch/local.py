"""Bounded scans in this process and light ones under it, without Beam: how `apply` and `fit` run."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from hyped_beam.errors import FlowError, JobError
from hyped_beam.execute.known import Late
from hyped_beam.execute.partitions import StateSplitter
from hyped_beam.execute.pool import ProcessPool, named_pool, shared_pool
from hyped_beam.execute.pooled import PooledStage
from hyped_beam.execute.states import StateTrees
from hyped_beam.execute.timing import Timings, add_timings
from hyped_beam.io.readers.base import Range, Reader
from hyped_beam.lowering.partition_job import (
    ONWARD,
    RANGES,
    STATES,
    PartitionJob,
    ToPartition,
    rows_of_table,
)
from hyped_beam.lowering.range_in_flight import RangeResult
from hyped_beam.lowering.range_job import RangeJob, RangeTask
from hyped_beam.lowering.scan_end import Finish, Gathered
from hyped_beam.plan.joins import PARTITIONS


def run_scans(
    reader: Reader, scans: Sequence[tuple[RangeJob, Finish]], processes: int, pool: str | None = None
) -> None:
    """Run scans to their end, each with what the ones before have made known.

    Args:
        reader: The source.
        scans: What is done with its ranges, and once they are done; in order.
        processes: How many processes do the ranges.
        pool: The name of the pool that they are, where the job has one of its own.

    Raises:
        NodeError: A node raised.
        JobError: The job failed for another reason.
    """
    own = None if pool is None else named_pool(pool)
    workers = processes or (os.cpu_count() or 1)
    alone = workers == 1 and own is None
    with _telling_failures():
        run = _Scans(reader, None if alone else own or shared_pool(workers))
        for level, (job, finish) in enumerate(scans):
            run.scan(level, job, finish)


@contextlib.contextmanager
def _telling_failures() -> Iterator[None]:
    """A context in which whatever fails is an error of ours."""
    try:
        yield
    except FlowError:
        raise
    except Exception as error:
        message = f"{'' if isinstance(error, OSError) else 'the job failed: '}{type(error).__name__}: {error}"
        raise JobError(message) from error


class _Scans:
    """Scans that run one after the other, and what has come of them so far.

    Args:
        reader: The source.
        pool: The processes that do the ranges; None for this one.
    """

    def __init__(self, reader: Reader, pool: ProcessPool | None) -> None:
        self._reader = reader
        self._pool = pool
        self._known = Late()
        self._to_ranges: dict[int, list[bytes]] = defaultdict(list)
        self._onward: dict[int, list[ToPartition]] = defaultdict(list)

    def scan(self, level: int, job: RangeJob, finish: Finish) -> None:
        """Run a scan, and what comes after it."""
        # A source without rows is one empty range: its aggregates have values, its outputs columns.
        cuts = self._reader.ranges() or [Range(0, (), rows=0, first_row=0)]
        tasks = [RangeTask(cut, tuple(self._to_ranges[cut.number])) for cut in cuts]
        records: dict[int, str] = {}
        trees = StateTrees(finish.combines)
        timings: Timings = {}
        splitter = StateSplitter(job.program.combines)
        parts: dict[int, list[ToPartition]] = defaultdict(list)
        for result in self._results(replace(job, late=self._known), tasks):
            records[result.number] = result.record
            add_timings(timings, result.timings)
            together, split = splitter.split(result.states)
            if together:
                trees.add_bytes(together)
            for partition, held in split.items():
                parts[partition].append((STATES, result.number, held))
        self._known = finish.run(job.destinations, Gathered(records, trees, timings), self._known)
        if finish.partitions is not None:
            self._finish_partitions(level, finish.partitions, parts, len(cuts))

    def _results(self, job: RangeJob, tasks: Sequence[RangeTask]) -> Iterator[RangeResult]:
        if self._pool is not None and not job.read_here:
            yield from self._pool.run(job, tasks)
            return
        opened = job.open(None if self._pool is None else PooledStage(job.program, self._pool, job.late))
        try:
            yield from opened.run_all(tasks)
        finally:
            opened.close()

    def _finish_partitions(
        self, level: int, job: PartitionJob, parts: dict[int, list[ToPartition]], ranges: int
    ) -> None:
        for node, table in job.program.tables.items():
            scan = table.reader.scan(list(table.reader.features))
            for cut in table.reader.ranges():
                for partition, rows in rows_of_table(node, scan, table.key, cut):
                    parts[partition].append(rows)
        with contextlib.closing(job.open()) as opened:
            for partition in range(PARTITIONS):
                told = [(RANGES, ranges, b""), *parts.pop(partition, ()), *self._onward[partition]]
                made = opened.run(partition, told, self._known)
                for number, values in made.to_ranges.items():
                    self._to_ranges[number].append(values)
                if made.onward:
                    self._onward[partition].append((ONWARD, level, made.onward))
        job.finish()
