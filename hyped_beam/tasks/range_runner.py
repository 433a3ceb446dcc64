"""Where the ranges of a scan are done: in this process, in a pool, or read here and computed there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hyped_beam.execute.pool import ProcessPool
from hyped_beam.execute.pooled import PooledStage
from hyped_beam.tasks.range_in_flight import RangeResult
from hyped_beam.tasks.range_job import OpenRangeJob, RangeJob, RangeTask


class RangeRunner:
    """Does the ranges of a scan; nodes are set up once in each process.

    Args:
        job: The scan.
        pool: The processes that compute; None for this one.
    """

    def __init__(self, job: RangeJob, pool: ProcessPool | None) -> None:
        self._job = job
        self._pool = pool
        self._open: OpenRangeJob | None = None

    @property
    def overlaps(self) -> bool:
        """Whether ranges are best done together: by several processes, or of nodes that wait."""
        return self._is_pooled or self._opened().overlaps

    def run(self, tasks: Iterable[RangeTask]) -> Iterator[RangeResult]:
        """Do ranges; results come as they are done.

        Raises:
            NodeError: A node raised; nothing of its range is left behind.
            JobError: A process ended.
        """
        if self._is_pooled and self._pool is not None:
            return self._pool.run(self._job, tasks)
        return self._opened().run_all(tasks)

    def close(self) -> None:
        """Tear the nodes down."""
        if self._open is not None:
            opened, self._open = self._open, None
            opened.close()

    @property
    def _is_pooled(self) -> bool:
        """Whether processes do whole ranges; where they cannot read the source, they compute its batches."""
        return self._pool is not None and not self._job.driver_reads

    def _opened(self) -> OpenRangeJob:
        if self._open is None:
            job = self._job
            self._open = job.open(
                None if self._pool is None else PooledStage(job.program, self._pool, job.prior)
            )
        return self._open
