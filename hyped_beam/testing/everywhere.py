"""Running one flow through every entrance, and holding that each gives the same rows and aggregates."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import pickle
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cloudpickle
import pyarrow as pa

from hyped_beam.aggregators import Count
from hyped_beam.dsl.flow import DataFlow
from hyped_beam.dsl.outputs import ROWS, refuse_scans
from hyped_beam.dsl.rows import Split
from hyped_beam.errors import DefinitionError, FlowError
from hyped_beam.io.writers.arrow import ArrowDatasetWriter
from hyped_beam.ir.graph import Edge
from hyped_beam.ir.scope import DATASET
from hyped_beam.nodes.json_form import module_of
from hyped_beam.nodes.refs import Ref, builder_of
from hyped_beam.plan.planner import AGGREGATES, Plan
from hyped_beam.testing.differences import Rows, rows_differ, values_differ
from hyped_beam.testing.runners import Place, run_in_places
from hyped_beam.types.scratch import ScratchFolder

MOST_ROWS = 10_000
"""All of the data is computed some thirty times, and some of them as one batch."""


FEW_ROWS = 7
"""A size of batches that cuts most data unevenly: what a node gives must not depend on it."""

_OF_BATCHES = (
    "batch_process",
    "build",
    "abatch_process",
    "apply(IterableDataset)",
    "apply(IterableDatasetDict)",
    "consume",
    "as_transform",
)
"""The entrances that see only some of the rows at a time."""


@dataclass(frozen=True)
class Entrances:
    """Which entrances gave the same.

    Attributes:
        compared: Their names, in the order in which they were tried.
        left_out: Those that the flow cannot be used through, or that this machine has not, and why.
    """

    compared: tuple[str, ...]
    left_out: Mapping[str, str]


def assert_same_everywhere(
    flow: DataFlow,
    data: Any,
    collect: Any = None,
    aggregators: Any = None,
    *,
    runners: Sequence[Place] | None = None,
    num_proc: Sequence[int] = (1,),
    new_process: bool = False,
) -> Entrances:
    """Run a flow through every entrance, and check that rows, features and aggregates are the same.

    The entrances are `apply` on the four kinds of dataset, `batch_process`, `abatch_process`, `consume`, jobs
    on each runner, `as_transform` and the command line. They are tried with the flow as it is, with what
    `build` makes of it, saved and loaded, and pickled. Where rows need aggregates, those are also fitted and
    frozen: on these rows, which has to give the same, and on the first half of them, where all
    entrances have to agree on all rows. Floats are compared bit for bit, and one NaN is as good as another.

    Args:
        flow: The flow.
        data: A `datasets.Dataset` of at most 10,000 rows. Where it lies in several parts, jobs have several
            ranges.
        collect: As for `apply`; may be left out for a flow whose outputs are fixed.
        aggregators: As for `apply`.
        runners: On which runners jobs are run, as for `assert_same_on`. By default `local` and `direct`, and
            `prism` where its program is on this machine.
        num_proc: With how many processes `apply` and jobs are run.
        new_process: Whether the command line runs in a process of its own, which takes some seconds, with the
            flow as it is, fitted and frozen.

    Returns:
        The names of what was compared, and of what was left out.

    Raises:
        TypeError: The data is no dataset.
        ValueError: It has too many rows.
        AssertionError: Two entrances differ; it says which, in which row and column, and the values.

    Example:
        >>> import datasets
        >>> from hyped_beam import DataFlow
        >>> from hyped_beam.aggregators import Mean
        >>> from hyped_beam.testing import assert_same_everywhere
        >>> rows = datasets.Dataset.from_dict({"n": [1.0, 2.0, 6.0]})
        >>> flow = DataFlow(features=rows.features)
        >>> n = flow.src_features.n
        >>> told = assert_same_everywhere(flow, rows, {"d": n - Mean().call(n)}, runners=["local"])
        >>> [name for name in told.compared if name.startswith("fitted: job")]
        ['fitted: job on local']
        >>> told.left_out["batch_process"]
        "the rows need 'mean' of all rows"
    """
    _check_data(data)
    with ScratchFolder() as scratch:
        trial = _Trial(data, scratch.path, num_proc, new_process=new_process)
        places = _places(runners, trial)
        asked = _Asked(flow, collect, aggregators)
        made, whole = trial.everything("", asked, places)
        if asked.plan.earlier and asked.rows:
            alone = _Made(made.rows), _Made(whole.rows)
            for name, form in trial.fitted_forms(asked, data):
                trial.compare_form(name, form, alone)
            half = data.select(range(min(len(data), (len(data) + 1) // 2)))
            for name, form in trial.fitted_forms(asked, half):
                trial.everything(f"{name} on other rows", form, places)
    return Entrances(tuple(trial.compared), trial.left_out)


def _check_data(data: object) -> None:
    import datasets

    if not isinstance(data, datasets.Dataset):
        msg = f"assert_same_everywhere takes a datasets.Dataset, got {type(data).__name__}"
        raise TypeError(msg)
    if len(data) > MOST_ROWS:
        msg = f"{len(data):,} rows are too many to compute over and over: give data.select(range(1000))"
        raise ValueError(msg)


def _places(runners: Sequence[Place] | None, trial: _Trial) -> Sequence[Place]:
    if runners is not None:
        return runners
    from hyped_beam.launch.profiles import load_profile
    from hyped_beam.launch.servers import find_program

    try:
        find_program(load_profile("prism"))
    except DefinitionError as error:
        trial.left_out["job on prism"] = error.message
        return ("local", "direct")
    return ("local", "direct", "prism")


class _Made(NamedTuple):
    """What an entrance gave.

    Attributes:
        rows: The rows of each output; those of a single one are named "rows".
        aggregates: The values of aggregates, or None where the entrance gives none.
        json: The aggregates as they are written to a file, or None where they are not.
    """

    rows: Mapping[str, Rows]
    aggregates: Any = None
    json: bytes | None = None


class _Asked:
    """A flow, and what is asked of it.

    Attributes:
        flow: The flow.
        given: The arguments that ask for it.
        plan: The plan of it.
        rows: The outputs of rows, by name.
        aggregators: The aggregates; None for none.
        target: The file that it was saved in, if it was.
        modules: The modules of its nodes that loading it needs.
    """

    def __init__(
        self,
        flow: DataFlow,
        collect: Any = None,
        aggregators: Any = None,
        *,
        target: str | None = None,
        modules: Sequence[str] = (),
    ) -> None:
        self.flow = flow
        self.target = target
        self.modules = modules
        self.given = {"collect": collect, "aggregators": aggregators}
        self.plan: Plan = flow.plan(**self.given)
        if collect is None and aggregators is None:
            collect, aggregators = (flow.outputs.get(name) for name in (ROWS, AGGREGATES))
        self.collect = collect
        self.rows = collect if isinstance(collect, Split) else {} if collect is None else {ROWS: collect}
        self.aggregators = aggregators if self.plan.has_aggregates else None

    @property
    def refused(self) -> str | None:
        """Why single batches cannot be computed; None if they can."""
        if not self.rows:
            return "no rows are asked for"
        try:
            refuse_scans(self.plan, "a batch")
        except DefinitionError as error:
            return error.message.split(" (")[0]
        return None


@dataclass
class _Trial:
    """The data, and what was compared so far."""

    data: Any
    folder: Path
    num_proc: Sequence[int]
    new_process: bool
    compared: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.table = _table_of(self.data)
        # in one range, so that sums of floats round as those of one batch do
        self.whole = _in_one_range(self.data)
        self.numbers = iter(range(1_000_000))

    def path(self, name: str = "") -> str:
        """A path that nobody has used."""
        return str(self.folder / f"{next(self.numbers)}{name}")

    # -------------------------------------------------------------------------------------------- comparing

    def everything(self, form: str, asked: _Asked, places: Sequence[Place]) -> tuple[_Made, _Made]:
        """Compare all entrances of a flow and its other forms; returns its rows of data cut and whole."""
        named = f"{form}: " if form else ""
        made = _applied(*asked.flow.apply(self.data, **asked.given, load_from_cache_file=False))
        whole = _applied(*asked.flow.apply(self.whole, **asked.given, load_from_cache_file=False))._replace(
            json=self.written(asked)
        )
        self.compared.append(f"{named}apply(Dataset)")
        for name, run in self.over_data(asked, places):
            self.compare(f"{named}{name}", run, made, f"{named}apply(Dataset)")
        for name, run in self.over_one_range(asked):
            self.compare(f"{named}{name}", run, whole, f"{named}apply(Dataset)")
        for other, again in self.other_forms(asked, named):
            self.compare_form(f"{named}{other}", again, (made, whole))
        return made, whole

    def compare_form(self, form: str, asked: _Asked, wanted: tuple[_Made, _Made]) -> None:
        """Compare some entrances of another form of a flow with what the flow gives."""
        made, whole = wanted
        what = "apply(Dataset)"
        self.compare(
            f"{form}: {what}",
            lambda: _applied(*asked.flow.apply(self.data, **asked.given, load_from_cache_file=False)),
            made,
            what,
        )
        for name, run in self.over_data(asked, ("local",), briefly=True):
            self.compare(f"{form}: {name}", run, made, what)
        for name, run in self.over_one_range(asked, briefly=True):
            self.compare(f"{form}: {name}", run, whole, what)

    def compare(self, name: str, run: Callable[[], _Made], wanted: _Made, reference: str) -> None:
        """Run an entrance, and compare what it gives."""
        made = run()
        if list(made.rows) != list(wanted.rows):
            raise AssertionError(
                f"{name} gives the outputs {list(made.rows)}, {reference} {list(wanted.rows)}"
            )
        for output, rows in wanted.rows.items():
            problem = rows_differ(rows, made.rows[output])
            if problem is not None:
                which = "" if output == ROWS else f"the part {output!r} of "
                raise AssertionError(f"{which}{name} {problem} as {reference} has")
        if made.aggregates is not None and wanted.aggregates is not None:
            problem = values_differ(wanted.aggregates, made.aggregates)
            if problem is not None:
                raise AssertionError(f"{name} {problem} as {reference} has")
        if made.json is not None and wanted.json is not None and made.json != wanted.json:
            shown = f"{made.json.decode().strip():.300}, not {wanted.json.decode().strip():.300}"
            raise AssertionError(f"{name} has the aggregates {shown} as a job on local has")
        self.compared.append(name)

    def written(self, asked: _Asked) -> bytes | None:
        """The aggregates as a job writes them to a file; None where there are none."""
        if asked.aggregators is None:
            return None
        job = asked.flow.job(source=self.whole).aggregate(asked.aggregators, to=self.path(".json"))
        return next(run_in_places(job, ("local",), (1,))).files["aggregates.json"]

    # -------------------------------------------------------------------------------------------- entrances

    def over_data(
        self, asked: _Asked, places: Sequence[Place], *, briefly: bool = False
    ) -> Iterator[tuple[str, Callable[[], _Made]]]:
        """The entrances that take a dataset as it lies, in several ranges."""
        import datasets

        flow, given = asked.flow, asked.given
        if not briefly:
            yield (
                f"apply(Dataset, batch_size={FEW_ROWS})",
                partial(self.applied, flow, given, batch_size=FEW_ROWS),
            )
        for number in (n for n in self.num_proc if n > 1 and not briefly):
            yield (
                f"apply(Dataset, num_proc={number})",
                partial(self.applied, flow, given, num_proc=number),
            )
        if len(asked.rows) <= 1 and not briefly:
            splits = datasets.DatasetDict({"all": self.data})
            for fit_on in ("each", "all") if asked.plan.earlier else (None,):
                shown = "" if fit_on is None else f", fit_on={fit_on!r}"
                if fit_on == "all" and self.not_fitted(asked):
                    continue
                yield (
                    f"apply(DatasetDict{shown})",
                    partial(self.applied_split, flow, given, splits, fit_on),
                )
        job = flow.job(source=self.data)
        for name, ref in asked.rows.items():
            job = job.write(name, collect=ref, to=ArrowDatasetWriter(self.path()))
        if asked.aggregators is not None:
            job = job.aggregate(asked.aggregators, to=self.path(".json"))
        for run in run_in_places(job, places, self.num_proc if not briefly else (1,)):
            rows = {name: _of_streams([run.files[path] for path in run.shards[name]]) for name in asked.rows}
            where = run.where.replace("'", "").removesuffix(" with num_proc=1")
            yield f"job on {where}", partial(_Made, rows, run.result.aggregates)

    def applied(self, flow: DataFlow, given: Mapping[str, Any], **options: Any) -> _Made:
        return _applied(*flow.apply(self.data, **given, **options, load_from_cache_file=False))

    def applied_split(
        self, flow: DataFlow, given: Mapping[str, Any], splits: Any, fit_on: str | None
    ) -> _Made:
        return _applied_split(*flow.apply(splits, **given, fit_on=fit_on, load_from_cache_file=False))

    def not_fitted(self, asked: _Asked) -> bool:
        """Whether rows cannot be fitted."""
        try:
            asked.flow.fit(self.data.select([]), collect=asked.collect)
        except DefinitionError:
            return True
        return False

    def over_one_range(
        self, asked: _Asked, *, briefly: bool = False
    ) -> Iterator[tuple[str, Callable[[], _Made]]]:
        """The entrances that take single batches, iterables and files."""
        import datasets

        refused = asked.refused
        if refused is None:
            yield "batch_process", lambda: _Made({ROWS: self.batch(asked)})
            yield "build", lambda: self.built(asked)
            yield "abatch_process", lambda: self.awaited(asked)
            yield "apply(IterableDataset)", lambda: _iterated(*self.lazily(asked, self.iterable()))
            splits = datasets.IterableDatasetDict({"all": self.iterable()})
            yield "apply(IterableDatasetDict)", lambda: _iterated_split(*self.lazily(asked, splits))
            yield "consume", lambda: self.consumed(asked)
            if not briefly:
                yield "as_transform", lambda: self.transformed(asked)
        else:
            self.left_out.update({name: refused for name in _OF_BATCHES if name not in self.left_out})
        yield (
            "command line",
            lambda: self.on_command_line(asked, new_process=self.new_process and not briefly),
        )

    def batch(self, asked: _Asked) -> Rows:
        return Rows(asked.flow.batch_process(self.table, collect=asked.collect))

    def built(self, asked: _Asked) -> _Made:
        built, live = asked.flow.build(**asked.given)
        rows = Rows(built.batch_process(self.table))
        return _Made({ROWS: rows}, None if live is None else live.snapshot())

    def awaited(self, asked: _Asked) -> _Made:
        built, live = asked.flow.build(**asked.given)
        with ThreadPoolExecutor(1) as thread:  # where the caller's has an event loop already, as in notebooks
            rows = thread.submit(lambda: asyncio.run(built.abatch_process(self.table))).result()
        return _Made({ROWS: Rows(rows)}, None if live is None else live.snapshot())

    def iterable(self) -> Any:
        import datasets

        if len(self.whole):
            return self.whole.to_iterable_dataset()
        return datasets.IterableDataset.from_generator(_no_rows, features=self.data.features)

    def lazily(self, asked: _Asked, data: Any) -> Any:
        return asked.flow.apply(data, **asked.given, batch_size=max(len(self.data), 1))

    def consumed(self, asked: _Asked) -> _Made:
        result = ArrowDatasetWriter(self.path()).consume(self.lazily(asked, self.iterable()))
        shards = [Path(path).read_bytes() for path in result.shards[ROWS]]
        return _Made({ROWS: _of_streams(shards)}, result.aggregates)

    def transformed(self, asked: _Asked) -> _Made:
        import apache_beam as beam

        from hyped_beam.launch.direct import DirectRunner

        out = self.path(".arrow")
        (batch,) = self.table.to_batches() or [pa.RecordBatch.from_pylist([], self.table.schema)]
        with beam.Pipeline(runner=DirectRunner()) as pipeline:
            made = pipeline | beam.Create([batch]) | asked.flow.as_transform(collect=asked.collect)
            _ = made | beam.Map(_write_stream, out)
        return _Made({ROWS: Rows(pa.ipc.open_stream(out).read_all())})

    def on_command_line(self, asked: _Asked, *, new_process: bool) -> _Made:
        """The flow as a target of the command line, over a file: saved as it is, others in a script."""
        source = self.path(".arrow")
        _write_stream(self.table, source)
        command = [asked.target or self.script(asked), "--run", "--runner", "local", "--input", source]
        folders = {name: self.path(".arrow") for name in asked.rows}
        command += [f"--output={name}={folder}" for name, folder in folders.items()]
        told = None if asked.aggregators is None else Path(self.path(".json"))
        command += [] if told is None else [f"--output={AGGREGATES}={told}"]
        command += [f"--module={name}" for name in asked.modules]
        _run_command(command, new_process=new_process)
        rows = {
            name: _of_streams([path.read_bytes() for path in _shards(folder)])
            for name, folder in folders.items()
        }
        return _Made(rows, json=None if told is None else told.read_bytes())

    def script(self, asked: _Asked) -> str:
        """A script whose variable `flow` is the flow, with its outputs fixed."""
        content, script = Path(self.path()), Path(self.path(f"_{uuid.uuid4().hex}.py"))
        script = script.with_name(f"flow_{script.name}")
        content.write_bytes(cloudpickle.dumps(asked.flow.build(**asked.given)[0]))
        script.write_text(
            f"import pickle\nflow = pickle.load(open({str(content)!r}, 'rb'))\n", encoding="utf-8"
        )
        return f"{script}:flow"

    # ------------------------------------------------------------------------------------------------ forms

    def other_forms(self, asked: _Asked, named: str) -> Iterator[tuple[str, _Asked]]:
        """The same flow, as it comes back from a file and from pickle."""
        path = Path(self.path(".json"))
        try:
            asked.flow.save(path, **asked.given)
        except DefinitionError as error:
            self.left_out[f"{named}saved and loaded"] = error.message
        else:
            nodes = json.loads(path.read_text(encoding="utf-8"))["nodes"]
            modules = sorted({name for node in nodes if (name := module_of(node.get("operation")))})
            loaded = DataFlow.load(path, modules=modules)
            yield "saved and loaded", _Asked(loaded, target=str(path), modules=modules)
        yield "pickled", _Asked(*_pickled((asked.flow, *asked.given.values())))

    def fitted_forms(self, asked: _Asked, data: Any) -> Iterator[tuple[str, _Asked]]:
        """The flow with what its rows need taken from some rows: by a fit, and frozen."""
        try:
            yield "fitted", _Asked(asked.flow.fit(_in_one_range(data), collect=asked.collect))
        except DefinitionError as error:
            self.left_out["fitted"] = self.left_out["frozen"] = error.message
            return
        try:
            yield "frozen", _Asked(_frozen(asked, data))
        except FlowError as error:
            self.left_out["frozen"] = error.message


def _frozen(asked: _Asked, data: Any) -> DataFlow:
    """The flow with its aggregates taken from a batch: in a copy, for what holds them has to be recorded."""
    flow, collect = _pickled((asked.flow, asked.collect))
    plan = flow.plan(collect=collect)
    builder = builder_of(flow.src_features)
    scan = plan.earlier[0].scan
    wanted = {
        Edge(step.node): builder.nodes[step.node] for step in scan.aggregates if step.node in builder.nodes
    }
    for combine in scan.combines:
        if combine.grouping is not None and combine.grouping.node in builder.nodes:
            node = builder.nodes[combine.grouping.node]
            wanted[Edge(node.id, (next(iter(node.feature)),))] = node
    aggregators = {}
    for number, (edge, node) in enumerate(wanted.items()):
        feature = node.feature[edge.path[0]] if edge.path else node.feature
        ref = Ref(builder, edge, feature, node.scope)
        aggregators[f"a{number}"] = ref if node.scope == DATASET else Count().call(ref)
    built, live = flow.build(aggregators=aggregators)
    built.batch_process(_table_of(data))
    return flow.freeze(live, collect=collect)


# ------------------------------------------------------------------------------------------------- in and out


def _table_of(data: Any) -> pa.Table:
    import datasets

    schema = datasets.Features(data.features).arrow_schema
    return data.with_format("arrow")[:].cast(schema).combine_chunks()


def _in_one_range(data: Any) -> Any:
    import datasets

    return datasets.Dataset(_table_of(data), info=datasets.DatasetInfo(features=data.features))


def _pickled(given: tuple[Any, ...]) -> Any:
    return pickle.loads(cloudpickle.dumps(given))  # noqa: S301 - of this process


def _of_dataset(data: Any) -> Rows:
    return Rows(data.with_format("arrow")[:], data.features)


def _applied(rows: Any, aggregates: Any) -> _Made:
    if rows is None:
        return _Made({}, aggregates)
    if isinstance(rows, Mapping):
        return _Made({str(name): _of_dataset(part) for name, part in rows.items()}, aggregates)
    return _Made({ROWS: _of_dataset(rows)}, aggregates)


def _applied_split(rows: Any, aggregates: Any) -> _Made:
    return _applied(None if rows is None else rows["all"], aggregates and aggregates["all"])


def _iterated(rows: Any, live: Any) -> _Made:
    tables = list(rows.with_format("arrow").iter(batch_size=1000))
    schema = rows.features.arrow_schema
    table = pa.concat_tables([table.cast(schema) for table in tables]) if tables else schema.empty_table()
    return _Made({ROWS: Rows(table, rows.features)}, None if live is None else live.snapshot())


def _no_rows() -> Iterator[dict[str, Any]]:
    yield from ()


def _iterated_split(rows: Any, live: Any) -> _Made:
    return _iterated(rows["all"], live and live["all"])


def _of_streams(shards: Sequence[bytes]) -> Rows:
    import datasets

    tables = [pa.ipc.open_stream(content).read_all() for content in shards]
    schema = tables[0].schema
    return Rows(pa.concat_tables(tables), datasets.Features.from_arrow_schema(schema))


def _write_stream(rows: Any, path: str) -> None:
    with pa.ipc.new_stream(path, rows.schema) as stream:
        stream.write(rows)


def _shards(folder: str) -> list[Path]:
    return sorted(path for path in Path(folder).glob("*.arrow") if path.is_file())


def _run_command(command: Sequence[str], *, new_process: bool) -> None:
    if new_process:
        program = [sys.executable, "-m", "hyped_beam.compile", *command]
        done = subprocess.run(program, check=False, capture_output=True, text=True)  # noqa: S603 - our own
        status, said = done.returncode, done.stderr
    else:
        from hyped_beam.compile.__main__ import main

        known, paths = set(sys.modules), list(sys.path)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
            status = main(command)
        sys.path[:] = paths
        for name in {name for name in set(sys.modules) - known if name.startswith("flow_")}:
            cloudpickle.unregister_pickle_by_value(sys.modules.pop(name))
        said = errors.getvalue()
    if status:
        raise AssertionError(f"the command line ends with status {status}: {said.strip()}")
