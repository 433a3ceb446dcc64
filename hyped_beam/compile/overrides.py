"""What the command line changes about a job: its source, its folders, how much of it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hyped_beam.compile.arguments import Request
from hyped_beam.compile.target import Target
from hyped_beam.dsl.applying import check_columns
from hyped_beam.dsl.destinations import writer_like
from hyped_beam.dsl.flow import DataFlow
from hyped_beam.dsl.job import Job
from hyped_beam.dsl.outputs import ROWS
from hyped_beam.dsl.rows import Split
from hyped_beam.dsl.sources import source_like
from hyped_beam.errors import InputError, unknown_name
from hyped_beam.io.readers.first import FirstRows
from hyped_beam.plan.planner import AGGREGATES

FLOW_FORMAT = ".parquet"
"""What a flow, which has no writer of its own, is written as where the folder's name does not say."""


def resolve_target(target: Target, request: Request) -> Job | DataFlow:
    """The job that is asked for, or the flow of which nothing but the plan is.

    Args:
        target: What the command line names.
        request: What is to be different.

    Raises:
        InputError: The source or a folder is not what the job takes.
    """
    if isinstance(target, DataFlow):
        if not target.outputs:
            message = f"the flow {request.target!r} has no outputs"
            raise InputError(message, hint="name what flow.build(collect=...) returns, or a job")
        if not request.run and request.source is None and request.form != "proto":
            return target
        return _limited(_job_of_flow(target, request), request)
    job = target if request.source is None else replace(target, source=_source(request.source, target.source))
    if request.source is not None:
        _check_columns(job, request.source)
    writers = _writers({name: output.writer for name, output in job.outputs.items()}, job, request)
    outputs = {name: replace(output, writer=writers[name]) for name, output in job.outputs.items()}
    # a try on some rows leaves the real aggregates alone
    kept = job.aggregates_path if request.limit is None else None
    path = request.outputs.get(AGGREGATES, kept)
    return _limited(replace(job, outputs=outputs, aggregates_path=path), request)


# -------------------------------------------------------------------------------------------------- sources


def _source(path: str, own: Any) -> Any:
    return source_like(path, own)


def _check_columns(job: Job, given: str) -> None:
    features = job.source.features
    try:
        check_columns(features, job.plan())
    except InputError as error:
        raise InputError(f"{given!r} does not fit the flow: {error.message}", hint=error.hint) from None


def _limited(job: Job, request: Request) -> Job:
    if request.limit is None:
        return job
    return replace(job, source=FirstRows(job.source, request.limit))


# -------------------------------------------------------------------------------------------------- outputs


def _writers(own: Mapping[str, Any], job: Job, request: Request) -> dict[str, Any]:
    """The writers of a job, in other folders where that is asked for."""
    folders = _named(request.outputs, list(own), has_aggregates=job.aggregators is not None)
    writers = {
        name: writer_like(folders[name], writer) if name in folders else writer
        for name, writer in own.items()
    }
    return {name: writer.model_copy(update=_options_of(request)) for name, writer in writers.items()}


def _options_of(request: Request) -> dict[str, Any]:
    """What is asked for of all writers."""
    asked = {"overwrite": request.overwrite, "verify": request.verify}
    return {name: value for name, value in asked.items() if value is not None}


def _named(folders: Mapping[str, str], names: list[str], *, has_aggregates: bool) -> dict[str, str]:
    """Folders by the names of outputs of rows, of which a single one needs no name."""
    named = {name: folder for name, folder in folders.items() if name != AGGREGATES or not has_aggregates}
    if "" in named:
        if len(names) != 1:
            which = f"there are {', '.join(names)}" if names else "it only has aggregates"
            message = f"--output {named['']!r} does not say which output of the job it is"
            raise InputError(message, hint=f"write --output NAME=FOLDER; {which}")
        if len(named) > 1:
            raise InputError("--output gives the single output of the job twice", hint="give it once")
        named = {names[0]: named[""]}
    for name in named:
        if name not in names:
            known = [*names, AGGREGATES] if has_aggregates else names
            error = unknown_name("output", name, known, of="the job")
            raise InputError(error.message, hint=error.hint)
    return named


# ---------------------------------------------------------------------------------------------------- flows


def _job_of_flow(flow: DataFlow, request: Request) -> Job:
    """A job of a flow whose outputs are fixed, which has neither a source nor a folder of its own."""
    if request.source is None:
        raise InputError("a flow says nothing of where its rows come from", hint="add --input PATH")
    job = flow.job(source=_source(request.source, None))
    outputs = flow.outputs
    collect = outputs.get(ROWS)
    rows = collect if isinstance(collect, Split) else {} if collect is None else {ROWS: collect}
    folders = _named(request.outputs, list(rows), has_aggregates=AGGREGATES in outputs)
    if len(folders) < len(rows):
        missing = next(name for name in rows if name not in folders)
        raise InputError(
            "a flow says nothing of where its rows go",
            hint="add --output FOLDER" if len(rows) == 1 else f"add --output {missing}=FOLDER",
        )
    for name, folder in folders.items():
        writer = writer_like(folder, None, default=FLOW_FORMAT).model_copy(update=_options_of(request))
        job = job.write(name, collect=rows[name], to=writer)
    if AGGREGATES in outputs:
        job = job.aggregate(outputs[AGGREGATES], to=request.outputs.get(AGGREGATES))
    _check_columns(job, request.source)
    return job
