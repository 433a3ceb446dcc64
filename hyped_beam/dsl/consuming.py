"""Writing a dataset with a writer: as a job, that of the flow which was lazily applied where there is one."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict

from hyped_beam.dsl.aggregates import AggregateState, LiveAggregates
from hyped_beam.dsl.flow import DataFlow
from hyped_beam.dsl.lazy import StageIterable
from hyped_beam.dsl.outputs import ROWS, graph_with_sinks, plan_of
from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError
from hyped_beam.io.readers.base import Reader
from hyped_beam.io.readers.dataset import DatasetReader
from hyped_beam.io.writers.base import Writer
from hyped_beam.launch.bounded import BoundedJob, BoundedResult, prepare_bounded
from hyped_beam.launch.progress import ReportProgress
from hyped_beam.launch.result import JobReport, JobResult, NodeTime
from hyped_beam.launch.signals import ended_cleanly
from hyped_beam.nodes.refs import builder_of
from hyped_beam.plan.planner import AGGREGATES, Plan
from hyped_beam.types.scratch import ScratchFolder


@dataclass(frozen=True)
class Part:
    """A dataset that is written: one split, or all there is.

    Attributes:
        reader: Where its rows come from.
        plan: What is computed of them.
        state: Where its aggregates live; None where there are none.
        aggregates: Those that are known already.
    """

    reader: Reader
    plan: Plan
    state: AggregateState | None = None
    aggregates: Any = None


def consume(writer: Writer, data: Any, progress: ReportProgress | None) -> JobResult:
    """Write a dataset; see `Writer.consume`."""
    data, aggregates = _unpaired(data)
    if isinstance(data, (DatasetDict, IterableDatasetDict)):
        known = aggregates if isinstance(aggregates, Mapping) else {}
        parts = {str(name): _part(split, known.get(name)) for name, split in data.items()}
        folder = writer.path.rstrip("/")
        writers = {name: writer.model_copy(update={"path": f"{folder}/{name}"}) for name in parts}
        results = _run(parts, writers, progress)
        return _result(writers, results, {name: _values(parts[name], made) for name, made in results.items()})
    part = _part(data, aggregates)
    results = _run({ROWS: part}, {ROWS: writer}, progress)
    return _result({ROWS: writer}, results, _values(part, results[ROWS]))


def _unpaired(data: Any) -> tuple[Any, Any]:
    if isinstance(data, tuple) and len(data) == 2:  # noqa: PLR2004 - a pair
        if data[0] is None:
            raise DefinitionError(
                "there are no rows to write: the flow was asked only for aggregates",
                site=CallSite.nearest(),
                hint="say which columns: flow.apply(ds, collect={...}, aggregators={...})",
            )
        return data
    return data, None


def _part(data: Any, aggregates: Any) -> Part:
    if isinstance(data, IterableDataset):
        stage = _unchanged_stage(data)
        if stage is not None and stage.origin is not None:
            plan = stage.origin.plan
            bounded = plan.with_batch_size(stage.origin.batch_size)
            source = DatasetReader(stage.origin.data, features=plan.graph.source.feature)
            return Part(source.selecting(list(plan.graph.source.feature)), bounded, stage.state)
    elif not isinstance(data, Dataset):
        raise DefinitionTypeError(
            "consume() takes a Dataset, an IterableDataset, a dict of them, or what flow.apply returned, "
            f"got {type(data).__name__}",
            site=CallSite.nearest(),
        )
    reader = DatasetReader(data)
    flow = DataFlow(features=reader)
    plan = plan_of(graph_with_sinks(builder_of(flow.src_features), {ROWS: flow.src_features}, None))
    return Part(reader, plan, aggregates=aggregates)


def _unchanged_stage(data: IterableDataset) -> StageIterable | None:
    """The stage whose rows, all and in order, the dataset is; None where something was put on top."""
    stage = data._ex_iterable
    if not isinstance(stage, StageIterable):
        return None
    begun_or_split = data.epoch or data._distributed or data._starting_state_dict
    return stage if not begun_or_split and data.features == stage.described else None


def _run(
    parts: Mapping[str, Part], writers: Mapping[str, Writer], progress: ReportProgress | None
) -> dict[str, BoundedResult]:
    with ended_cleanly(), contextlib.ExitStack() as held:
        jobs: dict[str, BoundedJob] = {}
        for name, part in parts.items():
            work = held.enter_context(ScratchFolder()).path
            job = prepare_bounded(
                part.plan,
                part.reader,
                {ROWS: writers[name]},
                processes=writers[name].num_proc or 1,
                runner="local",
                work=work,
            )
            held.callback(job.give_up)
            jobs[name] = replace(job, keeps_states=part.state is not None)
        made = {}
        for name, job in jobs.items():
            made[name] = job.run(progress)
            state = parts[name].state
            if state is not None:
                state.replace(made[name].states)
        return made


def _values(part: Part, made: BoundedResult) -> Any:
    row = made.values.get(AGGREGATES)
    if row is not None:
        return row.to_pylist()[0]
    known = part.aggregates
    return known.snapshot() if isinstance(known, LiveAggregates) else known


def _result(
    writers: Mapping[str, Writer], results: Mapping[str, BoundedResult], aggregates: Any
) -> JobResult:
    nodes: dict[str, NodeTime] = {}
    several = Counter(time.name for made in results.values() for time in made.node_seconds)
    for output, made in results.items():
        for time in made.node_seconds:
            name = f"{time.name} of {output}" if several[time.name] > 1 else time.name
            nodes[name] = replace(time, name=name)
    if isinstance(aggregates, Mapping) and not any(aggregates.values()) and ROWS not in results:
        aggregates = None  # no split has any
    done: Future[JobReport] = Future()
    done.set_result(
        JobReport(
            rows_in=sum(made.rows_in for made in results.values()),
            rows={name: made.rows[ROWS] for name, made in results.items()},
            shards={name: made.shards[ROWS] for name, made in results.items()},
            folders={name: writer.path for name, writer in writers.items()},
            aggregates=aggregates,
            seconds=sum(made.seconds for made in results.values()),
            node_seconds=tuple(nodes.values()),
        )
    )
    return JobResult(done)
