"""What a job made, and how it stands while it runs."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

from hyped_beam.errors import CallSite, DefinitionError, JobError, NearNames

State = Literal["running", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class NodeTime:
    """How long one part of a job took, added up over all processes.

    Attributes:
        name: Of the node; with its line, or a number, where the job has several of that name. Reading is
            `read`, writing an output `write NAME`.
        seconds: For a coroutine with what it waited for, which calls in flight share.
        rows: The rows that it was given.
    """

    name: str
    seconds: float
    rows: int


@dataclass(frozen=True)
class ScanCacheUse:
    """How much of the aggregates of one scan came from the cache.

    Attributes:
        scan: The number of the scan, from 1, as the plan counts them.
        parts: Into how many parts the source was cut: files, parts of large ones, some tiny ones together.
        reused: How many of them were not read, for the cache had what they come to.
        reads_all: Why all parts were read although what they come to is kept; None where that is not so.
        refused: Why nothing was kept; None where it was.
    """

    scan: int
    parts: int
    reused: int
    reads_all: str | None = None
    refused: str | None = None

    @property
    def read(self) -> int:
        """How many parts were read, and their states put into the cache."""
        return self.parts - self.reused

    def __str__(self) -> str:
        if not self.parts:
            return "nothing from the cache"
        why = f", for {self.reads_all}" if self.reads_all else ""
        return f"{self.reused:,} of {self.parts:,} parts from the cache, {self.read:,} read{why}"


@dataclass(frozen=True)
class CacheUse:
    """How much of the aggregates of a job came from the cache.

    Attributes:
        scans: Of each scan that aggregates.
    """

    scans: tuple[ScanCacheUse, ...]

    @property
    def parts(self) -> int:
        """Into how many parts the source was cut; each scan counts its own."""
        return sum(scan.parts for scan in self.scans)

    @property
    def reused(self) -> int:
        """How many of the parts were not read, for the cache had what they come to."""
        return sum(scan.reused for scan in self.scans)

    @property
    def read(self) -> int:
        """How many of the parts were read, and their states put into the cache."""
        return self.parts - self.reused

    @property
    def refused(self) -> str | None:
        """Why nothing, or not everything, could be kept; None where all was."""
        reasons = dict.fromkeys(scan.refused for scan in self.scans if scan.refused)
        return "; ".join(reasons) or None

    def __str__(self) -> str:
        if len(self.scans) == 1:
            return str(self.scans[0])
        if not self.scans:
            return "nothing is aggregated"
        return "; ".join(f"scan {scan.scan}: {scan}" for scan in self.scans)


@dataclass(frozen=True)
class JobReport:
    """What a job made; see `JobResult`."""

    rows_in: int
    rows: Mapping[str, int]
    shards: Mapping[str, list[str]]
    folders: Mapping[str, str]
    aggregates: Mapping[str, Any] | None
    seconds: float
    node_seconds: tuple[NodeTime, ...]
    cache: CacheUse | None = None


class JobCancelledError(JobError):
    """A job that was cancelled."""


class JobResult(NearNames):
    """A job that runs or has run, and what it made.

    What it made is known when it is done: asked before, it raises.

    Args:
        report: What the job made, once it has.
        stop: Makes the job stop.
    """

    def __init__(self, report: Future[JobReport], stop: Callable[[], None] | None = None) -> None:
        self._future = report
        self._stop = stop

    @property
    def state(self) -> State:
        """`"running"`, `"done"`, `"failed"` or `"cancelled"`."""
        if not self._future.done():
            return "running"
        error = self._future.exception()
        if error is None:
            return "done"
        return "cancelled" if isinstance(error, JobCancelledError) else "failed"

    def wait(self, timeout: float | None = None) -> JobResult:
        """Wait until the job is done.

        Args:
            timeout: How many seconds at most; for ever by default.

        Returns:
            This result.

        Raises:
            TimeoutError: It still runs.
            JobCancelledError: It was cancelled.
            NodeError: A node raised on a row.
            JobError: It failed for another reason.
        """
        try:
            self._future.result(timeout)
        except concurrent.futures.TimeoutError:
            if self._future.done():
                raise  # what the job raised
            raise TimeoutError(f"the job still runs after {timeout} seconds") from None
        return self

    def cancel(self) -> JobResult:
        """Stop the job, and wait until it has: no process of it is left, and no half file.

        The ranges that are done stay; `overwrite="resume"` does the others. A job that is done stays done.

        Returns:
            This result.
        """
        if self._stop is not None:
            self._stop()
        concurrent.futures.wait([self._future])
        return self

    @property
    def rows_in(self) -> int:
        """The number of rows that the source had."""
        return self._report().rows_in

    @property
    def rows(self) -> Mapping[str, int]:
        """The number of rows of each output, by its name."""
        return self._report().rows

    @property
    def shards(self) -> Mapping[str, list[str]]:
        """The files of each output, in the order of the source."""
        return self._report().shards

    @property
    def folders(self) -> Mapping[str, str]:
        """The folder of each output, as it was given."""
        return self._report().folders

    @property
    def aggregates(self) -> Mapping[str, Any] | None:
        """The values of the aggregates, nested as they were asked for; None where none were."""
        return self._report().aggregates

    @property
    def seconds(self) -> float:
        """How long the job ran."""
        return self._report().seconds

    @property
    def node_seconds(self) -> tuple[NodeTime, ...]:
        """How long reading, each node, and writing of each output took, in the order of the flow."""
        return self._report().node_seconds

    @property
    def cache(self) -> CacheUse | None:
        """How much of the aggregates came from the cache; None for a job that was given none."""
        return self._report().cache

    def _report(self) -> JobReport:
        if not self._future.done():
            raise DefinitionError(
                "the job still runs, what it made is not known yet",
                site=CallSite.nearest(),
                hint="call .wait() first",
            )
        return self._future.result()

    def __repr__(self) -> str:
        if self.state != "done":
            return f"JobResult({self.state})"
        made = [f"{name}: {rows:,} rows" for name, rows in self.rows.items()]
        made += [f"aggregates: {self.cache}"] if self.cache is not None and self.cache.parts else []
        return f"JobResult({', '.join([f'done in {self.seconds:.1f} s', *made])})"
