"""Running a bounded job: prepares outputs, runs the pipeline, reads back what it made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from hyped_beam.io import commit
from hyped_beam.io.commit import Destination
from hyped_beam.io.readers.base import Reader
from hyped_beam.io.writers.base import Writer
from hyped_beam.ir.text import graph_text
from hyped_beam.launch.profiles import load_profile
from hyped_beam.launch.running import run_pipeline
from hyped_beam.plan.planner import Plan
from hyped_beam.types import features


@dataclass(frozen=True)
class BoundedResult:
    """What a bounded job made.

    Attributes:
        rows: The number of rows of each output.
        shards: The files of each output, in the order of the source.
        values: The values of aggregates, by the name of the output.
    """

    rows: Mapping[str, int]
    shards: Mapping[str, list[str]]
    values: Mapping[str, Any] = field(default_factory=dict)


def run_bounded(
    plan: Plan,
    reader: Reader,
    writers: Mapping[str, Writer],
    *,
    processes: int,
    runner: str,
    work: Path,
    overwrite: str = "error",
    options: Mapping[str, Any] | None = None,
) -> BoundedResult:
    """Run a plan over a bounded source.

    Args:
        plan: The plan.
        reader: The source.
        writers: Where the plan's outputs go, by their names.
        processes: How many processes compute.
        runner: The name of a runner profile.
        work: A folder for what only this job needs.
        overwrite: What to do with outputs that are there: "error", "replace" or "resume".
        options: Beam's options.

    Raises:
        InputError: An output folder holds something else.
        NodeError: A node raised.
        JobError: The job failed for another reason.
    """
    from hyped_beam.lowering.bounded import Finish, build
    from hyped_beam.lowering.range_job import RangeJob

    profile = load_profile(runner)
    destinations = tuple(
        Destination(name=output.name, writer=writers[output.name], schema=output.schema)
        for output in plan.scan.outputs
    )
    values_path = str(work / "aggregates.arrow") if plan.finish is not None else None
    fingerprint = _fingerprint(plan, reader)
    commit.prepare(destinations, fingerprint, overwrite)
    finish = Finish(plan.scan.aggregates, plan.finish, values_path)
    job = RangeJob(reader, plan.scan, destinations, _empty_batch(plan))
    skip = frozenset(commit.done_ranges(destinations)) if overwrite == "resume" else frozenset()
    run_pipeline(lambda pipeline: build(pipeline, job, finish, processes, skip), profile, options)
    manifests = [commit.read_manifest(destination) for destination in destinations]
    return BoundedResult(
        rows={found.name: made.rows for found, made in zip(destinations, manifests, strict=True)},
        shards={found.name: made.paths for found, made in zip(destinations, manifests, strict=True)},
        values=_read_values(plan, values_path),
    )


def _fingerprint(plan: Plan, reader: Reader) -> str:
    described = graph_text(plan.graph) + reader.fingerprint()
    return hashlib.sha256(described.encode()).hexdigest()


def _empty_batch(plan: Plan) -> pa.RecordBatch:
    source = plan.graph.source.feature
    columns = {name: pa.array([], features.to_arrow(feature)) for name, feature in source.items()}
    return pa.RecordBatch.from_pydict(columns)


def _read_values(plan: Plan, path: str | None) -> dict[str, Any]:
    if path is None or plan.finish is None:
        return {}
    with pa.OSFile(path) as file, pa.ipc.open_stream(file) as stream:
        row = stream.read_next_batch()
    (output,) = plan.finish.outputs
    return {output.name: row.to_pylist()[0]}
