"""Running a job: what it reads, where it is, and what is made of what it reports."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from hyped_beam.dsl.applying import check_columns
from hyped_beam.errors import CallSite, InputError, JobError
from hyped_beam.io.filesystem import locate
from hyped_beam.io.paths import lies_in, matched_by
from hyped_beam.io.readers.base import Reader
from hyped_beam.io.records import as_json
from hyped_beam.io.writers.json_text import lines
from hyped_beam.launch.background import run_in_background
from hyped_beam.launch.bounded import BoundedJob, bounded_job, prepare_bounded
from hyped_beam.launch.progress import ReportProgress
from hyped_beam.launch.reach import ExposedRunnerWarning, exposes, who_else
from hyped_beam.launch.result import JobReport, JobResult
from hyped_beam.launch.signals import ended_cleanly
from hyped_beam.plan.planner import AGGREGATES
from hyped_beam.types.scratch import ScratchFolder

if TYPE_CHECKING:
    from hyped_beam.dsl.job import Job


def start(
    job: Job,
    *,
    runner: str,
    options: Mapping[str, Any] | None,
    processes: int,
    progress: ReportProgress | None,
    wait: bool,
    cache: str | None = None,
) -> JobResult:
    """Check a job, and run it: to its end, or in the background; see `Job.run`."""
    with ended_cleanly(), contextlib.ExitStack() as held:
        work = held.enter_context(ScratchFolder()).path
        try:
            prepared = _prepare(job, runner, options, processes, work, cache)
        except InputError as error:  # a missing source, a folder that is taken
            error.site = error.site or CallSite.nearest()
            raise
        held.callback(prepared.give_up)
        _warn_of_others(prepared)

        def run(pool: str | None = None) -> JobReport:
            return _run(job, prepared, progress, pool)

        if wait:
            done: Future[JobReport] = Future()
            done.set_result(run())
            return JobResult(done)
        return run_in_background(
            run, processes=processes, held=held.pop_all(), cancelled=prepared.remove_unfinished
        )


def _warn_of_others(job: BoundedJob) -> None:
    """Warn where others reach the program that a job is given to."""
    site = CallSite.nearest()
    if site is not None and job.profile.server is not None and exposes(job.options):
        told = ExposedRunnerWarning(who_else(job.profile, job.options))
        warnings.warn_explicit(told, ExposedRunnerWarning, site.file, site.line)


def pipeline_proto(
    job: Job, *, runner: str = "direct", options: Mapping[str, Any] | None = None, num_proc: int | None = None
) -> Any:
    """The Beam pipeline of a job as Beam's portable message, `beam_runner_api_pb2.Pipeline`.

    It is for inspection: where the running job has a folder of its own, it has the folder `work`. A job that
    is made of importable classes has the same bytes each time, with `SerializeToString(deterministic=True)`.

    Args:
        job: The job; its source is looked at, nothing is written.
        runner: The name of a runner profile.
        options: Beam's options.
        num_proc: How many processes compute.

    Raises:
        InputError: The source is not what the job reads.
    """
    from hyped_beam.launch.running import as_proto

    plan = job.plan()
    check_columns(job.source.features, plan)
    bounded = bounded_job(
        plan,
        job.source.selecting(list(plan.graph.source.feature)),
        {name: output.writer for name, output in job.outputs.items()},
        processes=num_proc or 1,
        runner=runner,
        work=Path("work"),
        options=options,
    )
    scans = bounded.scans()
    return as_proto(lambda pipeline: bounded.fill(pipeline, scans), bounded.profile, bounded.options)


def _prepare(
    job: Job,
    runner: str,
    options: Mapping[str, Any] | None,
    processes: int,
    work: Path,
    cache: str | None,
) -> BoundedJob:
    plan = job.plan()
    check_columns(job.source.features, plan)
    reader = job.source.selecting(list(plan.graph.source.feature))
    if job.aggregates_path is not None:
        _check_file(job.aggregates_path, reader, [output.writer.path for output in job.outputs.values()])
    return prepare_bounded(
        plan,
        reader,
        {name: output.writer for name, output in job.outputs.items()},
        processes=processes,
        runner=runner,
        work=work,
        options=options,
        cache=cache,
    )


def _run(job: Job, prepared: BoundedJob, progress: ReportProgress | None, pool: str | None) -> JobReport:
    result = prepared.run(progress, pool)
    row = result.values.get(AGGREGATES)
    if job.aggregates_path is not None and row is not None:
        write_json(job.aggregates_path, row)
    return JobReport(
        rows_in=result.rows_in,
        rows=result.rows,
        shards=result.shards,
        folders={name: output.writer.path for name, output in job.outputs.items()},
        aggregates=None if row is None else row.to_pylist()[0],
        seconds=result.seconds,
        node_seconds=result.node_seconds,
        cache=result.cache,
    )


def _check_file(path: str, reader: Reader, folders: list[str]) -> None:
    """Refuse a file of aggregates that cannot be there, or would be taken for something else."""
    filesystem, place = locate(path)
    info = filesystem.info(place)
    if info is not None and info.is_folder:
        raise InputError(f"the file of aggregates {path!r} is a folder", hint="give a file: out/stats.json")
    outer = lies_in(path, reader.inputs())
    if outer is not None:
        raise InputError(
            f"the file of aggregates {path!r} lies in the input {outer!r}", hint="give another place"
        )
    glob = matched_by(path, reader.inputs())
    if glob is not None:
        raise InputError(
            f"the file of aggregates {path!r} would be read as well: the input {glob!r} matches it",
            hint="give another place",
        )
    outer = lies_in(path, folders)
    if outer is not None:
        raise InputError(
            f"the file of aggregates {path!r} lies in the output folder {outer!r}",
            hint="put it beside the folder, which holds nothing but its rows",
        )


def write_json(path: str, row: pa.RecordBatch) -> None:
    """Write aggregates to a file, whole or not at all, each value as `JsonDatasetWriter` writes it.

    Args:
        path: The path or URI of the file.
        row: The values, a record batch of one row.

    Raises:
        JobError: It cannot be written.
    """
    values = json.loads(b"".join(lines(row)))
    filesystem, place = locate(path)
    try:
        filesystem.write(place, as_json(values, indent=2).encode())
    except OSError as error:
        raise JobError(f"the aggregates cannot be written to {path!r}: {error}") from error
