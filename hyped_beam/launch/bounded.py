"""Running a bounded job: checks it, prepares outputs, runs the pipeline, reads back what it made."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from hyped_beam.errors import DefinitionError, InputError
from hyped_beam.execute.states import from_bytes
from hyped_beam.io import commit
from hyped_beam.io.commit import Claim, Destination
from hyped_beam.io.preparing import remove_unrecorded
from hyped_beam.io.readers.base import Reader, cuts
from hyped_beam.io.writers.base import Writer
from hyped_beam.ir.graph import Constant
from hyped_beam.ir.text import graph_text
from hyped_beam.launch.profiles import Profile, load_profile
from hyped_beam.launch.progress import DoneInMarks, DoneInOutput, ReportProgress, watching
from hyped_beam.launch.result import NodeTime
from hyped_beam.launch.running import check_options, import_beam, run_pipeline
from hyped_beam.launch.times import node_times
from hyped_beam.nodes.configuration import Configured
from hyped_beam.plan.planner import Plan
from hyped_beam.types import features

if TYPE_CHECKING:
    import apache_beam as beam

    from hyped_beam.lowering.range_job import RangeJob


@dataclass(frozen=True)
class BoundedResult:
    """What a bounded job made.

    Attributes:
        rows_in: The number of rows of the source.
        rows: The number of rows of each output.
        shards: The files of each output, in the order of the source.
        values: The values of aggregates, a record batch of one row by the name of the output.
        states: What the values come from, as `StateTree.to_batch` writes it down; None without aggregates.
        seconds: How long it ran.
        node_seconds: How long its parts took.
    """

    rows_in: int
    rows: Mapping[str, int]
    shards: Mapping[str, list[str]]
    values: Mapping[str, pa.RecordBatch]
    states: pa.RecordBatch | None
    seconds: float
    node_seconds: tuple[NodeTime, ...]


@dataclass(frozen=True)
class BoundedJob:
    """A job whose outputs are ready to be written; made by `prepare_bounded`.

    Attributes:
        plan: The plan.
        reader: The source.
        destinations: Its outputs.
        processes: How many processes compute.
        profile: Where it runs.
        options: Beam's options.
        work: A folder for what only this job needs.
        resume: Whether ranges that are done already are left as they are.
        claim: The folders of its outputs, once they are ready to be written to.
    """

    plan: Plan
    reader: Reader
    destinations: tuple[Destination, ...]
    processes: int
    profile: Profile
    options: Mapping[str, Any]
    work: Path
    resume: bool
    claim: Claim | None = None

    def run(self, progress: ReportProgress | None = None, pool: str | None = None) -> BoundedResult:
        """Run it, and wait until it is done.

        Args:
            progress: What is told how far it is.
            pool: The name of a pool of processes of its own (`execute.pool.own_pool`).

        Raises:
            NodeError: A node raised.
            JobError: The job failed for another reason.
        """
        started = time.monotonic()
        marks = self._marks
        if marks is not None:
            marks.mkdir(exist_ok=True)
        ranges = 0 if progress is None else max(len(self.reader.ranges()), 1)
        done = DoneInOutput(self.destinations) if marks is None else DoneInMarks(marks)
        job = self.range_job()  # lives as long as the run: what cannot travel is found in it
        with self._taken_back_on_failure(), watching(done, ranges, progress):
            run_pipeline(lambda pipeline: self.fill(pipeline, job, pool), self.profile, self.options)
        manifests = {made.name: commit.read_manifest(made) for made in self.destinations}
        report = json.loads(self._report_path.read_text(encoding="utf-8"))
        return BoundedResult(
            rows_in=report["rows_in"],
            rows={name: made.rows for name, made in manifests.items()},
            shards={name: made.paths for name, made in manifests.items()},
            values=_read_values(self.plan, self._values_path),
            states=self._read_states(),
            seconds=time.monotonic() - started,
            node_seconds=node_times(self.plan, report["timings"]),
        )

    def range_job(self) -> RangeJob:
        """What is done with each range."""
        from hyped_beam.lowering.range_job import RangeJob

        return RangeJob(
            self.reader.scan(self.plan.scan.columns),
            self.plan.scan.shared_by(self.processes),
            self.destinations,
            _empty_batch(self.plan),
            resume=self.resume,
            marks=None if self._marks is None else str(self._marks),
            read_here=self.reader.reads_here(self.processes),
        )

    def fill(self, pipeline: beam.Pipeline, job: RangeJob, pool: str | None = None) -> None:
        """Put it into a pipeline.

        Args:
            pipeline: The pipeline.
            job: What is done with each range.
            pool: As for `run`.
        """
        from hyped_beam.lowering.bounded import Finish, build

        finish = Finish(
            self.plan.scan.aggregates, self.plan.finish, self._values_path, str(self._report_path)
        )
        build(pipeline, self.reader, job, finish, self.processes, pool)

    @property
    def _marks(self) -> Path | None:
        """Where a job that commits nothing says which ranges are done."""
        return None if self.destinations else self.work / "done"

    @property
    def _values_path(self) -> str | None:
        return None if self.plan.finish is None else str(self.work / "aggregates.arrow")

    def _read_states(self) -> pa.RecordBatch | None:
        if self._values_path is None:
            return None
        return from_bytes(Path(f"{self._values_path}.states").read_bytes())

    @property
    def _report_path(self) -> Path:
        return self.work / "report.json"

    @contextlib.contextmanager
    def _taken_back_on_failure(self) -> Iterator[None]:
        """A context whose failure leaves ranges that can be resumed, or nothing.

        Input that is wrong has to be mended, which makes it another one: what was made of it is of no use.
        """
        try:
            yield
        except InputError:
            if self.claim is not None:
                self.claim.withdraw()
            raise
        except BaseException:
            if self.claim is not None:
                self.claim.withdraw_if_empty()
            raise

    def remove_unfinished(self) -> None:
        """Remove what was being written when processes were ended."""
        if self.destinations:
            remove_unrecorded(self.destinations)


def prepare_bounded(
    plan: Plan,
    reader: Reader,
    writers: Mapping[str, Writer],
    *,
    processes: int,
    runner: str,
    work: Path,
    options: Mapping[str, Any] | None = None,
) -> BoundedJob:
    """Check all that can be checked before a job runs, and make its output folders ready.

    Args:
        plan: The plan.
        reader: The source.
        writers: Where the plan's outputs go, by their names.
        processes: How many processes compute.
        runner: The name of a runner profile.
        work: A folder for what only this job needs.
        options: Beam's options.

    Raises:
        DefinitionError: An option or the runner is not known, or outputs contradict each other.
        InputError: The source is not what it should be, or an output folder holds something else.
    """
    job = bounded_job(plan, reader, writers, processes=processes, runner=runner, work=work, options=options)
    fingerprint = _fingerprint(plan, reader.fingerprint())
    claim = commit.prepare(job.destinations, fingerprint, _overwrite(writers), reader.inputs())
    return replace(job, claim=claim)


def bounded_job(
    plan: Plan,
    reader: Reader,
    writers: Mapping[str, Writer],
    *,
    processes: int,
    runner: str,
    work: Path,
    options: Mapping[str, Any] | None = None,
) -> BoundedJob:
    """A job whose outputs are not ready, to be looked at; see `prepare_bounded`."""
    import_beam()
    profile = load_profile(runner)
    check_options(options or {})
    destinations = tuple(
        Destination(name=output.name, writer=writers[output.name], schema=output.schema)
        for output in plan.scan.outputs
    )
    resume = _overwrite(writers) == "resume"
    return BoundedJob(plan, reader, destinations, processes, profile, dict(options or {}), work, resume)


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
    return {"program": program, "source": source, "cut of the source": cuts()}


def _described(operation: Any) -> str:
    """The whole of a node's configuration, and its code where that is not ours."""
    if isinstance(operation, Constant):
        return repr(operation.scalar.as_py())
    if not isinstance(operation, Configured):
        return ""
    try:
        configuration = operation.written()
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
