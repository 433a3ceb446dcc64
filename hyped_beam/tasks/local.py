"""Bounded scans in this process and light ones under it, without Beam: how `apply` and `fit` run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hyped_beam.errors import FlowError, JobError, error_text, error_type
from hyped_beam.execute.bindings import PriorResults
from hyped_beam.execute.pool import Job, ProcessPool, pool_of
from hyped_beam.execute.states import StateTrees
from hyped_beam.execute.timing import Timings, add_timings
from hyped_beam.io.readers.base import Range, Reader
from hyped_beam.io.writing_errors import full_disk
from hyped_beam.plan.joins import PARTITIONS
from hyped_beam.tasks.driver import Backend, drive
from hyped_beam.tasks.range_job import RangeTask
from hyped_beam.tasks.range_runner import RangeRunner
from hyped_beam.tasks.reduce_task import RangeReports, Stage
from hyped_beam.tasks.shuffle_files import PartitionsByFiles, ShuffleFiles, TablesByFiles


def run_scans(
    reader: Reader,
    scans: Sequence[Stage],
    processes: int,
    work: Path,
    pool: str | None = None,
) -> None:
    """Run scans to their end, each with what the ones before have made known.

    What goes between ranges and partitions of groups goes through files.

    Args:
        reader: The source.
        scans: What is done with its ranges, and once they are done; in order.
        processes: How many processes do the ranges, and the partitions.
        work: A folder for what only this job needs.
        pool: The name of the pool that they are, where the job has one of its own.

    Raises:
        NodeError: A node raised.
        JobError: The job failed for another reason.
    """
    with _telling_failures():
        drive(scans, _LocalBackend(reader, str(work / "shuffle"), pool_of(processes, pool)))


@contextlib.contextmanager
def _telling_failures() -> Iterator[None]:
    """A context in which whatever fails is an error of ours."""
    try:
        yield
    except FlowError:
        raise
    except Exception as error:
        told = full_disk(error) if isinstance(error, OSError) else None
        if told is not None:
            raise JobError(told[0], hint=told[1]) from error
        failed = "" if isinstance(error, OSError) else "the job failed: "
        message = f"{failed}{error_type(error)}: {error_text(error)}"
        raise JobError(message) from error


@dataclass(frozen=True)
class _Scanned:
    """The ranges of a scan that are done.

    Attributes:
        gathered: What they have reported.
        files: The files that they have left for partitions.
        ranges: How many there are.
    """

    gathered: RangeReports
    files: ShuffleFiles
    ranges: int


class _LocalBackend(Backend[Stage, _Scanned, PriorResults, int]):
    """The parts of a bounded job in this process, and in those of a pool.

    Args:
        reader: The source.
        folder: Where files go between ranges and partitions.
        pool: The processes that do the ranges, and the partitions; None for this one.
    """

    def __init__(self, reader: Reader, folder: str, pool: ProcessPool | None) -> None:
        self._reader = reader
        self._folder = folder
        self._pool = pool

    def no_results(self) -> PriorResults:
        return PriorResults()

    def scan(self, level: int, stage: Stage, prior: PriorResults, shuffled: Sequence[int]) -> _Scanned:
        job, reduce = stage
        # A source without rows is one empty range: its aggregates have values, its outputs columns.
        cuts = self._reader.ranges() or [Range(0, (), rows=0, first_row=0)]
        files = ShuffleFiles(self._folder, level, tuple(shuffled))
        is_shuffled = reduce.partitions is not None or job.program.by_range
        records: dict[int, str] = {}
        trees = StateTrees(reduce.combines)
        timings: Timings = {}
        job = replace(job, prior=prior, files=files if is_shuffled else None)
        with contextlib.closing(RangeRunner(job, self._pool)) as ranges:
            for result in ranges.run([RangeTask(cut) for cut in cuts]):
                records[result.number] = result.record
                add_timings(timings, result.timings)
                if result.states:
                    trees.add_bytes(result.states)
        return _Scanned(
            RangeReports(records, trees, timings), files, len(cuts) if job.program.shuffled else 0
        )

    def reduce(self, level: int, stage: Stage, scanned: _Scanned, prior: PriorResults) -> PriorResults:
        del level
        job, reduce = stage
        return reduce.run(job.destinations, scanned.gathered, prior)

    def partitions(
        self,
        level: int,
        stage: Stage,
        scanned: _Scanned,
        prior: PriorResults,
        shuffled: Sequence[int],
    ) -> int | None:
        del shuffled  # the files know them
        job = stage[1].partitions
        if job is None:
            return None
        tables = TablesByFiles(job.program.tables, scanned.files)
        cuts = tables.tasks()
        driver_reads = any(one.reader.driver_reads(2) for one in job.program.tables.values())
        self._run(tables, cuts, None if driver_reads else self._pool)
        work = PartitionsByFiles(job, scanned.files, scanned.ranges, cuts, prior)
        runs = self._run(work, range(PARTITIONS), self._pool)
        scanned.files.remove_states()
        job.write_groups([name for names in runs for name in names])
        return level

    def _run(self, job: Job, tasks: Sequence[Any], pool: ProcessPool | None) -> list[Any]:
        """The results of tasks, which are done in a pool where there is one."""
        if pool is not None:
            return list(pool.run(job, tasks))
        with contextlib.closing(job.open()) as opened:
            return [opened.run(task) for task in tasks]
