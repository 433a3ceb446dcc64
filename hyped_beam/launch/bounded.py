"""Running a bounded job: checks it, prepares outputs, runs the pipeline, reads back what it made."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from hyped_beam.errors import DefinitionError, FlowError, InputError
from hyped_beam.execute.pool import interrupt_pool
from hyped_beam.execute.timing import Timings, add_timings
from hyped_beam.io import commit
from hyped_beam.io.commit import Check, Claim, Destination
from hyped_beam.io.readers.base import Reader, cuts
from hyped_beam.io.writers.base import Writer
from hyped_beam.ir.text import graph_text
from hyped_beam.launch.caching import Caching, prepare_caching
from hyped_beam.launch.profiles import Profile, load_profile
from hyped_beam.launch.progress import DoneInMarks, DoneInOutput, ReportProgress, watching
from hyped_beam.launch.result import CacheUse, NodeTime
from hyped_beam.launch.running import check_options, check_program, import_beam, run_pipeline
from hyped_beam.launch.times import node_times
from hyped_beam.nodes.fingerprint import program_digest
from hyped_beam.plan.planner import AGGREGATES, Plan, ScanStage
from hyped_beam.plan.program import Program
from hyped_beam.plan.tables import pinned_tables
from hyped_beam.tasks.local import run_scans
from hyped_beam.tasks.materialized_files import MaterializedFolder
from hyped_beam.tasks.partition_job import PartitionJob
from hyped_beam.tasks.partitions import PartitionProgram
from hyped_beam.tasks.range_job import RangeJob
from hyped_beam.tasks.reduce_task import ReduceTask
from hyped_beam.types import features

if TYPE_CHECKING:
    import apache_beam as beam


@dataclass(frozen=True)
class BoundedResult:
    """What a bounded job made.

    Attributes:
        rows_in: The number of rows of the source.
        rows: The number of rows of each output.
        shards: The files of each output, in the order of the source.
        values: The values of aggregates, a record batch of one row by the name of the output.
        states: What the values come from, as `StateTrees.to_bytes` writes it down, for a job that keeps it.
        seconds: How long it ran.
        node_seconds: How long its parts took.
        cache: How much of the aggregates came from the cache; None for a job without one.
    """

    rows_in: int
    rows: Mapping[str, int]
    shards: Mapping[str, list[str]]
    values: Mapping[str, pa.RecordBatch]
    states: bytes
    seconds: float
    node_seconds: tuple[NodeTime, ...]
    cache: CacheUse | None = None


@dataclass(frozen=True)
class BoundedJob:
    """A job whose outputs are ready to be written; made by `prepare_bounded`.

    Attributes:
        plan: The plan.
        reader: The source.
        destinations: Its outputs of rows.
        group_destinations: Its outputs of groups, which are written once all rows are read.
        partition_destinations: Its outputs of groups that are in partitions of their keys.
        processes: How many processes compute.
        profile: Where it runs.
        options: Beam's options.
        work: A folder for what only this job needs.
        claims: The folders of its outputs, of each kind, as its own, from when they are ready to its end.
        caching: What is kept of its aggregates from one job to another; None for nothing.
        keeps_states: Whether its result has the states of its aggregates.
        run_name: A name for this run of it, by which processes share the limits of its nodes.
        tables: What reads the tables that are looked up in.
    """

    plan: Plan
    reader: Reader
    destinations: tuple[Destination, ...]
    group_destinations: tuple[Destination, ...]
    partition_destinations: tuple[Destination, ...]
    processes: int
    profile: Profile
    options: Mapping[str, Any]
    work: Path
    claims: tuple[Claim, ...] = ()
    caching: Caching | None = None
    keeps_states: bool = False
    run_name: str = ""
    tables: tuple[Any, ...] = ()

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
        if self._marks is not None:
            self._marks.mkdir(exist_ok=True)
        scans = self.scans()  # live as long as the run: what cannot travel is found in them
        with self._taken_back_on_failure(), self._watched(progress):
            if self.profile.runner is None:
                run_scans(self.reader, scans, self.processes, self.work, pool)
            else:
                fill = partial(self.fill, scans=scans, pool=pool)
                stop = partial(interrupt_pool, pool) if self.profile.own_processes else None
                run_pipeline(fill, self.profile, self.options, stop)
        outputs = (made for kind in self.kinds for made in kind)
        manifests = {made.name: commit.read_manifest(made) for made in outputs}
        reports = [json.loads(Path(reduce.report_path).read_text(encoding="utf-8")) for _, reduce in scans]
        timings: Timings = {}
        for report in reports:
            add_timings(timings, report["timings"])
        return BoundedResult(
            rows_in=reports[-1]["rows_in"],
            rows={name: made.rows for name, made in manifests.items()},
            shards={name: made.paths for name, made in manifests.items()},
            values=_read_values(self.work / "aggregates.arrow"),
            states=(self.work / "states.arrow").read_bytes() if self.keeps_states else b"",
            seconds=time.monotonic() - started,
            node_seconds=node_times(self.plan, timings),
            cache=None
            if self.caching is None
            else self.caching.use([report["timings"] for report in reports]),
        )

    @property
    def kinds(self) -> tuple[tuple[Destination, ...], ...]:
        """The outputs by what they hold, each kind committed by itself; those that there are."""
        kinds = (self.destinations, self.group_destinations, self.partition_destinations)
        return tuple(kind for kind in kinds if kind)

    def with_claims(self, claims: Sequence[Claim]) -> BoundedJob:
        """The job as the owner of the folders of its outputs."""
        claimed = {made.name: made for claim in claims for made in claim.destinations}

        def own(kind: tuple[Destination, ...]) -> tuple[Destination, ...]:
            return tuple(claimed[made.name] for made in kind)

        return replace(
            self,
            destinations=own(self.destinations),
            group_destinations=own(self.group_destinations),
            partition_destinations=own(self.partition_destinations),
            claims=tuple(claims),
        )

    def scans(self) -> list[tuple[RangeJob, ReduceTask]]:
        """What is done with each range of each scan, and after it; only the last one writes rows."""
        return [
            (self._range_job(number, one.scan), self._finish(number, one))
            for number, one in enumerate(self.plan.stages)
        ]

    def _range_job(self, number: int, scan: Program) -> RangeJob:
        is_last = scan is self.plan.scan
        return RangeJob(
            self.reader.scan(scan.columns, scan.condition),
            scan.sharing_limits(self.run_name),
            self.destinations if is_last else (),
            _empty_batch(self.plan, scan.columns),
            marks=str(self._marks) if self._marks is not None and is_last else None,
            kept=MaterializedFolder(str(self.work), number, self._kept_by),
            under_way=str(self._under_way) if is_last else "",
            driver_reads=self.reader.driver_reads(self.processes),
            cache=None if self.caching is None else self.caching.of_scan(number),
        )

    @property
    def _kept_by(self) -> dict[int, int]:
        """The scan that keeps the values of a node for later ones, by the number of the node."""
        return {node: number for number, one in enumerate(self.plan.stages) for node in one.scan.materialized}

    def _finish(self, number: int, one: ScanStage) -> ReduceTask:
        is_last = one.scan is self.plan.scan
        return ReduceTask(
            one.scan.gathered,
            None if one.reduce is None else one.reduce.sharing_limits(self.run_name),
            self.group_destinations if is_last else (),
            values_path=str(self.work / "aggregates.arrow"),
            report_path=str(self.work / f"report-{number}.json"),
            partitions=self._partitions(number),
            states_path=str(self.work / "states.arrow") if is_last and self.keeps_states else None,
            checks=self._checks if is_last else (),
        )

    @property
    def _checks(self) -> tuple[Check, ...]:
        """What must hold for what the last scan makes to count: that all that was read is what it was."""
        return tuple(partial(_check_unchanged, one) for one in (self.reader, *self.tables))

    def _partitions(self, number: int) -> PartitionJob | None:
        program = PartitionProgram.after(self.plan, number)
        is_last = number == len(self.plan.stages) - 1
        if program is None:
            return None
        program = replace(program, program=program.program.sharing_limits(self.run_name))
        destinations = self.partition_destinations if is_last else ()
        checks = self._checks if is_last else ()
        return PartitionJob(program, destinations, str(self.work / "groups"), checks)

    def fill(
        self, pipeline: beam.Pipeline, scans: Sequence[tuple[RangeJob, ReduceTask]], pool: str | None = None
    ) -> None:
        """Put it into a pipeline.

        Args:
            pipeline: The pipeline.
            scans: What is done with each range, and after each scan.
            pool: As for `run`.
        """
        from hyped_beam.lowering.bounded import build

        build(pipeline, self.reader, scans, self.processes, pool, isolate=self.profile.own_processes)

    @property
    def _marks(self) -> Path | None:
        """Where a job that commits nothing says which ranges are done."""
        return None if self.destinations else self.work / "done"

    @property
    def _under_way(self) -> Path:
        """Where ranges say how far they are, if somebody watches."""
        return self.work / "under-way"

    @contextlib.contextmanager
    def _watched(self, progress: ReportProgress | None) -> Iterator[None]:
        """A context in which it is told how far the job is."""
        if progress is None:
            yield
            return
        self._under_way.mkdir(exist_ok=True)
        done = DoneInOutput(self.destinations) if self._marks is None else DoneInMarks(self._marks)
        sizes = {part.number: part.rows for part in self.reader.ranges()} or {0: 0}
        with watching(done, self._under_way, sizes, progress):
            yield

    @contextlib.contextmanager
    def _taken_back_on_failure(self) -> Iterator[None]:
        """A context whose failure leaves ranges that can be resumed, or nothing.

        Input that is wrong has to be mended, which makes it another one: what was made of it is of no use.
        """
        try:
            yield
        except InputError:
            for claim in self.claims:
                claim.withdraw()
            raise
        except BaseException:
            # an interruption may strike between the making of a file and the note of it
            with contextlib.suppress(FlowError, OSError):
                self.remove_unfinished()
            for claim in self.claims:
                claim.withdraw_if_empty()
            raise
        for claim in self.claims:
            claim.release()

    def give_up(self) -> None:
        """Let other jobs have its folders, and leave nothing there where it has done nothing."""
        for claim in self.claims:
            claim.withdraw_if_empty()

    def remove_unfinished(self) -> None:
        """Remove what was being written when processes were ended."""
        for claim in self.claims:
            claim.remove_unfinished()


def prepare_bounded(  # noqa: PLR0913 - what a job is made of
    plan: Plan,
    reader: Reader,
    writers: Mapping[str, Writer],
    *,
    processes: int,
    runner: str,
    work: Path,
    options: Mapping[str, Any] | None = None,
    cache: str | None = None,
    is_synced: bool = True,
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
        cache: The folder that states of aggregates are kept in from one job to another; None for none.
        is_synced: Whether what it writes survives a machine that stops.

    Raises:
        DefinitionError: An option or the runner is not known, or outputs contradict each other.
        InputError: The source is not what it should be, or an output folder holds something else.
    """
    reader = reader.pinned()
    given = plan
    plan, tables = pinned_tables(plan)
    job = bounded_job(plan, reader, writers, processes=processes, runner=runner, work=work, options=options)
    fingerprint = _fingerprint(given, reader, writers)
    check_program(job.options, job.profile)
    outputs = [made for kind in job.kinds for made in kind]
    commit.check_outputs(outputs, _overwrite(writers), reader.inputs())
    caching = prepare_caching(cache, plan, reader, writers)
    kinds = [[replace(made, is_synced=is_synced) for made in kind] for kind in job.kinds]
    claims = commit.prepare_kinds(kinds, fingerprint, _overwrite(writers), verify=_verify(writers))
    job = replace(job.with_claims(claims), caching=caching, run_name=uuid.uuid4().hex)
    return replace(job, tables=tables)


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
    profile = load_profile(runner)
    if profile.runner is not None:
        import_beam()
    check_options(options or {}, profile)
    rows, groups, partitions = (
        tuple(
            Destination(name=output.name, writer=writers[output.name], schema=output.schema)
            for output in outputs
        )
        for outputs in (plan.scan.outputs, plan.group_outputs, plan.partition_outputs)
    )
    return BoundedJob(plan, reader, rows, groups, partitions, processes, profile, dict(options or {}), work)


def _overwrite(writers: Mapping[str, Writer]) -> str:
    """What is done with earlier output; all outputs of a job are done together, so they must agree."""
    return str(_same("overwrite", [writer.overwrite for writer in writers.values()] or ["error"]))


def _verify(writers: Mapping[str, Writer]) -> bool:
    """Whether checksums are compared; outputs must agree, as their records are the same."""
    return bool(_same("verify", [writer.verify for writer in writers.values()] or [True]))


def _same(option: str, said: Sequence[object]) -> object:
    """What all writers say of an option."""
    if len(set(said)) > 1:
        raise DefinitionError(
            f"the outputs of a job say different things as {option}=: {', '.join(sorted({*map(str, said)}))}",
            hint="give all writers of a job the same",
        )
    return said[0]


def _check_unchanged(reader: Any) -> None:
    reader.check_unchanged()  # not its bound method: some readers travel as simpler ones


def _fingerprint(plan: Plan, reader: Reader, writers: Mapping[str, Writer]) -> dict[str, str]:
    """What decides what is written, so that only the same job is resumed; nodes tell what tables hold."""
    graph = plan.graph.renumbered()  # the numbers say what else was recorded into the flow
    nodes = [(repr(node.feature), node.operation) for node in graph.nodes.values()]
    formats = [type(writer) for writer in writers.values()]  # which may be the user's own, as readers may
    program = program_digest([graph_text(graph), nodes, formats])
    source = f"{reader.fingerprint()} {program_digest(type(reader))}"
    return {
        "program": program,
        "source, or other versions of its files,": source,
        "cut of the source": cuts(),
    }


def _empty_batch(plan: Plan, names: Sequence[str]) -> pa.RecordBatch:
    source = plan.graph.source.feature
    columns = {name: pa.nulls(0, features.to_arrow(source[name])) for name in names}
    return pa.RecordBatch.from_pydict(columns)


def _read_values(path: Path) -> dict[str, pa.RecordBatch]:
    if not path.exists():
        return {}
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
        return {AGGREGATES: stream.read_next_batch()}
