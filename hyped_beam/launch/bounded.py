"""Running a bounded job: prepares outputs, runs the pipeline, reads back what it made."""

from __future__ import annotations

import hashlib
import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from hyped_beam.errors import DefinitionError
from hyped_beam.io import commit
from hyped_beam.io.commit import Destination
from hyped_beam.io.readers.base import Reader
from hyped_beam.io.writers.base import Writer
from hyped_beam.ir.graph import Constant
from hyped_beam.ir.text import graph_text
from hyped_beam.launch.profiles import load_profile
from hyped_beam.launch.progress import watching
from hyped_beam.launch.running import import_beam, run_pipeline
from hyped_beam.nodes.configuration import Configured
from hyped_beam.plan.planner import Plan
from hyped_beam.types import features


@dataclass(frozen=True)
class BoundedResult:
    """What a bounded job made.

    Attributes:
        rows: The number of rows of each output.
        shards: The files of each output, in the order of the source.
        values: The values of aggregates, a record batch of one row by the name of the output.
        seconds: How long it ran.
    """

    rows: Mapping[str, int]
    shards: Mapping[str, list[str]]
    values: Mapping[str, pa.RecordBatch]
    seconds: float


def run_bounded(  # noqa: PLR0913 - what a job is told, all by name
    plan: Plan,
    reader: Reader,
    writers: Mapping[str, Writer],
    *,
    processes: int,
    runner: str,
    work: Path,
    options: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
    source: str | None = None,
) -> BoundedResult:
    """Run a plan over a bounded source.

    Args:
        plan: The plan.
        reader: The source.
        writers: Where the plan's outputs go, by their names.
        processes: How many processes compute.
        runner: The name of a runner profile.
        work: A folder for what only this job needs.
        options: Beam's options.
        progress: Called with the number of ranges that are done and of all.
        source: The fingerprint of the source, where the reader reads only a copy of it.

    Raises:
        InputError: An output folder holds something else.
        NodeError: A node raised.
        JobError: The job failed for another reason.
    """
    import_beam()
    from hyped_beam.lowering.bounded import Finish, build
    from hyped_beam.lowering.range_job import RangeJob

    started = time.monotonic()
    profile = load_profile(runner)
    destinations = tuple(
        Destination(name=output.name, writer=writers[output.name], schema=output.schema)
        for output in plan.scan.outputs
    )
    values_path = str(work / "aggregates.arrow") if plan.finish is not None else None
    fingerprint = _fingerprint(plan, source or reader.fingerprint())
    overwrite = _overwrite(writers)
    commit.prepare(destinations, fingerprint, overwrite)
    finish = Finish(plan.scan.aggregates, plan.finish, values_path)
    job = RangeJob(
        reader.scan(plan.scan.columns),
        plan.scan.shared_by(processes),
        destinations,
        _empty_batch(plan),
        resume=overwrite == "resume",
    )
    with watching(destinations, reader, progress):
        run_pipeline(lambda pipeline: build(pipeline, reader, job, finish, processes), profile, options)
    manifests = [commit.read_manifest(destination) for destination in destinations]
    return BoundedResult(
        rows={found.name: made.rows for found, made in zip(destinations, manifests, strict=True)},
        shards={found.name: made.paths for found, made in zip(destinations, manifests, strict=True)},
        values=_read_values(plan, values_path),
        seconds=time.monotonic() - started,
    )


def _overwrite(writers: Mapping[str, Writer]) -> str:
    """What is done with earlier output; all outputs of a job are done together, so they must agree."""
    wanted = {writer.overwrite for writer in writers.values()} or {"error"}
    if len(wanted) > 1:
        raise DefinitionError(
            f"the outputs of a job say different things as overwrite=: {', '.join(sorted(wanted))}",
            hint="give all writers of a job the same",
        )
    return wanted.pop()


def _fingerprint(plan: Plan, source: str) -> dict[str, str]:
    """What decides what is written, so that only the same job is resumed."""
    graph = plan.graph.renumbered()  # the numbers say what else was recorded into the flow
    described = [graph_text(graph)]  # which cuts what is long
    for node in graph.nodes.values():
        described += [repr(node.feature), _described(node.operation)]
    program = hashlib.sha256("\n".join(described).encode()).hexdigest()
    return {"program": program, "source": source}


def _described(operation: Any) -> str:
    """The whole of a node's configuration, and its code where that is not ours."""
    if isinstance(operation, Constant):
        return repr(operation.scalar.as_py())
    if not isinstance(operation, Configured):
        return ""
    try:
        configuration = operation.model_dump_json()
    except ValueError:  # something that JSON has no form for
        configuration = operation.describe()
    code: Any = getattr(operation, "_function", None) or type(operation)
    try:
        source = "" if code.__module__.startswith("hyped_beam.") else inspect.getsource(code)
    except (OSError, TypeError):  # typed at a prompt
        source = ""
    return f"{configuration} {source}"


def _empty_batch(plan: Plan) -> pa.RecordBatch:
    source = plan.graph.source.feature
    columns = {name: pa.nulls(0, features.to_arrow(feature)) for name, feature in source.items()}
    return pa.RecordBatch.from_pydict(columns)


def _read_values(plan: Plan, path: str | None) -> dict[str, pa.RecordBatch]:
    if path is None or plan.finish is None:
        return {}
    with pa.OSFile(path) as file, pa.ipc.open_stream(file) as stream:
        row = stream.read_next_batch()
    (output,) = plan.finish.outputs
    return {output.name: row}
