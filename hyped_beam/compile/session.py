"""One call of the command line: loads the target, prints it, draws it, runs it."""

from __future__ import annotations

import warnings

from hyped_beam.compile.arguments import Request
from hyped_beam.compile.beam_options import beam_options
from hyped_beam.compile.console import Console
from hyped_beam.compile.overrides import resolve_target
from hyped_beam.compile.target import load_target
from hyped_beam.dsl.flow import DataFlow
from hyped_beam.dsl.job import Job
from hyped_beam.launch.profiles import load_profile
from hyped_beam.launch.reach import ExposedRunnerWarning, who_else
from hyped_beam.launch.running import check_program


def run_request(request: Request, console: Console) -> None:
    """Do all that was asked for.

    Args:
        request: What was asked for.
        console: Where it is printed.

    Raises:
        FlowError: Something is wrong, or the job failed.
    """
    options = beam_options(request.rest)
    profile = load_profile(request.runner)
    asked = resolve_target(load_target(request.target, request.modules, request.hosts), request)
    form = request.form or (None if request.run or request.plot else "plan")
    if form == "proto" and isinstance(asked, Job):
        _print_pipeline(asked, request, options, console)
    elif form is not None:
        console.show(form, _as_text(asked, form, request))
    if request.plot is not None:
        from hyped_beam.dsl.plot import save

        plan = asked.plan()
        save(plan.graph, request.plot, joins=plan.joins)
    if request.run and isinstance(asked, Job):
        check_program(options, profile)
        reach = who_else(profile, options)
        if reach is not None:
            console.note(reach)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExposedRunnerWarning)  # it is what was just said
            _run(asked, request, options, console)


def _as_text(asked: Job | DataFlow, form: str, request: Request) -> str:
    if form == "plan":
        return asked.explain(cache=request.cache)
    plan = asked.plan()
    if form == "ir":
        from hyped_beam.ir.text import graph_text

        return graph_text(plan.graph)
    from hyped_beam.dsl.plot import dot_text

    return dot_text(plan.graph, joins=plan.joins)


def _print_pipeline(job: Job, request: Request, options: dict[str, object], console: Console) -> None:
    from hyped_beam.compile.pipeline import as_bytes, as_text
    from hyped_beam.dsl.running import pipeline_proto

    proto = pipeline_proto(job, runner=request.runner, options=options, num_proc=request.num_proc)
    if console.is_for_bytes:
        console.show_bytes(as_bytes(proto))
    else:
        console.show("proto", as_text(proto))


def _run(job: Job, request: Request, options: dict[str, object], console: Console) -> None:
    console.begin(output.writer.path for output in job.outputs.values())
    result = job.run(
        runner=request.runner,
        options=options,
        num_proc=request.num_proc,
        progress=console.progress,
        cache=request.cache,
    )
    console.close()
    console.done(result, job.aggregates_path)
