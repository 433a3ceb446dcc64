"""Generated flows of many kinds of rows compute what plain Python computes, optimised or not, however cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import datasets
import pyarrow as pa
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import CollectList, Count, First, Max, Sum
from hyped_beam.dsl.outputs import ROWS, Outputs, graph_of
from hyped_beam.errors import DefinitionError
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.ir.scope import DATASET, SOURCE_ROWS, meeting_scope, paths, reaches
from hyped_beam.ir.text import graph_text
from hyped_beam.nodes.refs import Ref, builder_of, scope_of
from hyped_beam.passes import optimise
from hyped_beam.passes.prune import prune
from hyped_beam.plan.planner import make_plan
from hyped_beam.tasks.memory import run_here
from hyped_beam.testing import assert_same_on

SCHEMA = pa.schema({"k": pa.string(), "n": pa.int64(), "m": pa.int64(), "w": pa.list_(pa.int64())})
integers = st.none() | st.integers(-3, 6)
rows = st.fixed_dictionaries(
    {
        "k": st.sampled_from(["a", "b", None]),
        "n": integers,
        "m": integers,
        "w": st.none() | st.lists(integers, max_size=3),
    }
)
tables = st.lists(rows, max_size=8).map(lambda found: pa.Table.from_pylist(found, schema=SCHEMA))


@dataclass
class Known:
    """A ref and its values, as plain Python computes them."""

    ref: Ref
    values: list[Any]

    @property
    def scope(self) -> int:
        return scope_of(self.ref)


@dataclass
class Model:
    """The rows of each scope: how many there are, and which rows of a parent they belong to."""

    scopes: Sequence[Any]
    counts: dict[int, int]
    maps: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def origins(self, scope: int, ancestor: int) -> list[int]:
        if ancestor == DATASET:
            return [0] * self.counts[scope]
        (path,) = paths(self.scopes, scope, ancestor)
        found = list(range(self.counts[scope]))
        for child, parent in pairwise(path):
            found = [self.maps[child, parent][row] for row in found]
        return found

    def at(self, known: Known, scope: int) -> list[Any]:
        return [known.values[row] for row in self.origins(scope, known.scope)]

    def meet(self, *known: Known) -> int:
        scope = meeting_scope(self.scopes, [one.scope for one in known])
        if scope is None:
            raise DefinitionError("they meet nowhere")
        return scope

    def made(self, ref: Ref, parent: int, origins: list[int], values: Iterable[Any]) -> Known:
        """What is known of rows that were made of others."""
        self.counts[scope_of(ref)] = len(origins)
        self.maps[scope_of(ref), parent] = origins
        return Known(ref, list(values))


def in_order(key: Sequence[Any]) -> list[tuple[bool, Any]]:
    return [(value is None, value) for value in key]


def aggregated(node: Any, values: list[Any]) -> Any:
    present = [value for value in values if value is not None]
    return {
        "Count": len(present),
        "Sum": sum(present),
        "Max": max(present, default=None),
        "First": next(iter(present), None),
        "CollectList": present[:2],
    }[type(node).__name__]


@st.composite
def flows(  # noqa: C901, PLR0915 - one function per kind of step, which share what is known
    draw: Callable[..., Any],
) -> tuple[DataFlow, pa.Table, dict[str, Ref], list[dict[str, Any]]]:
    """A flow, a table, what to collect, and what comes of it."""
    table = draw(tables)
    flow = DataFlow(features=SCHEMA)
    source = flow.src_features
    model = Model(builder_of(source).scopes, {DATASET: 1, SOURCE_ROWS: table.num_rows})
    keys = [Known(source.k, table["k"].to_pylist())]
    numbers = [Known(source[name], table[name].to_pylist()) for name in ("n", "m")]
    lists = [Known(source.w, table["w"].to_pylist())]

    def plus() -> None:
        left, right = draw(st.sampled_from(numbers)), draw(st.sampled_from(numbers))
        ref = left.ref + right.ref
        pairs = zip(model.at(left, scope_of(ref)), model.at(right, scope_of(ref)), strict=True)
        numbers.append(Known(ref, [None if None in pair else sum(pair) for pair in pairs]))

    def condition() -> Known:
        number, bound = draw(st.sampled_from(numbers)), draw(st.integers(-2, 4))
        return Known(number.ref > bound, [None if n is None else n > bound for n in number.values])

    def chosen() -> None:
        number, where = draw(st.sampled_from(numbers)), condition()
        keep, rows = draw(st.booleans()), model.meet(number, where)
        ref = ops.partition(number.ref, where.ref)[0 if keep else 1]
        origins = [row for row, value in enumerate(model.at(where, rows)) if (value is True) == keep]
        values = model.at(number, rows)
        numbers.append(model.made(ref, rows, origins, (values[row] for row in origins)))

    def exploded() -> None:
        found = draw(st.sampled_from(lists))
        keep_empty = draw(st.booleans())
        ref = ops.explode(found.ref, keep_empty=keep_empty)
        made = [
            (row, item)
            for row, items in enumerate(found.values)
            for item in (items or ([None] if keep_empty else []))
        ]
        numbers.append(model.made(ref, found.scope, [row for row, _ in made], [item for _, item in made]))

    def distinct() -> None:
        number, key = draw(st.sampled_from(numbers)), draw(st.sampled_from([*keys, *numbers]))
        rows = model.meet(number, key)
        ref = ops.distinct(number.ref, by=key.ref)
        held = model.at(key, rows)
        origins = [row for row, value in enumerate(held) if held.index(value) == row]
        values = model.at(number, rows)
        numbers.append(model.made(ref, rows, origins, (values[row] for row in origins)))

    def aggregate() -> None:
        number = draw(st.sampled_from(numbers))
        node = draw(st.sampled_from([Count(), Sum(), Max(), First(), CollectList(limit=2)]))
        where = condition() if draw(st.integers(0, 3)) == 0 else None
        how = draw(st.sampled_from(["all", "by", "by", "each"]))
        given = [number, *([where] if where else [])]
        if how == "by":
            named = {
                f"k{at}": draw(st.sampled_from([*keys, *numbers])) for at in range(draw(st.integers(1, 2)))
            }
            join = draw(st.sampled_from(["auto", "shuffle"]))
            g = ops.group_by({name: key.ref for name, key in named.items()}, join=join)
            ref = node.call(number.ref, by=g, where=None if where is None else where.ref)
            members = model.meet(*named.values())
            of_rows = list(zip(*(model.at(key, members) for key in named.values()), strict=True))
            groups = sorted(set(of_rows), key=in_order)
            model.counts[g.scope] = len(groups)
            model.maps[members, g.scope] = [groups.index(key) for key in of_rows]
            keys.extend(Known(g.keys[name], [key[at] for key in groups]) for at, name in enumerate(named))
            scope = g.scope
        elif how == "each":
            outer = draw(st.sampled_from(numbers))
            ref = node.call(number.ref, by=ops.each(outer.ref), where=None if where is None else where.ref)
            scope = outer.scope
        else:
            ref = node.call(number.ref, where=None if where is None else where.ref)
            scope = DATASET
        members_of = model.scopes[scope].members
        used = [one.scope for one in given] + ([] if members_of is None else [members_of])
        rows = meeting_scope(model.scopes, used)
        assert rows is not None
        values, groups_of = model.at(number, rows), model.origins(rows, scope)
        taken = [True] * len(values) if where is None else model.at(where, rows)
        held: list[list[Any]] = [[] for _ in range(model.counts[scope])]
        for value, group, is_taken in zip(values, groups_of, taken, strict=True):
            if is_taken:
                held[group].append(value)
        into = lists if isinstance(node, CollectList) else numbers
        into.append(Known(ref, [aggregated(node, found) for found in held]))

    steps = [plus, chosen, exploded, distinct, aggregate, aggregate, aggregate]
    for step in draw(st.lists(st.sampled_from(steps), min_size=1, max_size=7)):
        try:
            step()
        except DefinitionError:
            continue  # what does not belong together is refused
    everything = [one for one in [*numbers, *lists, *keys] if one.scope in model.counts]
    scope = draw(st.sampled_from([one.scope for one in everything if one.scope != DATASET][::-1]))
    fitting = [one for one in everything if reaches(model.scopes, scope, one.scope)]
    asked = [one for one in fitting if one.scope == scope][-2:] + fitting[-5:]
    collect = {f"c{at}": one.ref for at, one in enumerate(asked)}
    columns = [model.at(one, scope) for one in asked]
    wanted = [dict(zip(collect, row, strict=True)) for row in zip(*columns, strict=True)]
    return flow, table, collect, wanted


def cut(table: pa.Table, ends: Iterable[int]) -> list[pa.RecordBatch]:
    """A table as batches, some of them perhaps empty."""
    columns = {
        name: pa.concat_arrays(table[name].chunks or [pa.array([], table.schema.field(name).type)])
        for name in SCHEMA.names
    }
    whole = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
    marks = [0, *sorted(end % (table.num_rows + 1) for end in ends), table.num_rows]
    return [whole.slice(start, stop - start) for start, stop in pairwise(marks)]


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(flows(), st.lists(st.integers(0, 8), max_size=3))
def test_generated_scopes_compute_what_python_computes(made, ends):
    flow, table, collect, wanted = made
    graph = graph_of(builder_of(flow.src_features), Outputs(collect))
    for one in (prune(graph), optimise(graph, verify=True)):
        note(graph_text(one))
        plan = make_plan(one)
        found = run_here(plan, cut(table, ends))[ROWS]
        assert pa.Table.from_batches(found).to_pylist() == wanted


@settings(max_examples=4)
@given(flows())
def test_generated_scopes_compute_the_same_as_a_job(made):
    flow, table, collect, wanted = made
    half = table.num_rows // 2
    parts = [datasets.Dataset(part) for part in (table.slice(0, half), table.slice(half)) if part.num_rows]
    data = datasets.concatenate_datasets(parts) if parts else datasets.Dataset(table)
    for num_proc in (1, 2):
        found, _ = flow.apply(data, collect=collect, num_proc=num_proc)
        assert found.to_list() == wanted
    job = flow.job(source=data).write(collect=collect, to=JsonDatasetWriter("out/"))
    assert_same_on(job, runners=["local", "direct"], num_proc=[1, 2])


@settings(max_examples=25)
@given(flows())
def test_generated_scopes_are_fitted(made):
    flow, table, collect, wanted = made
    plan = flow.plan(collect=collect)
    if plan.group_outputs or plan.partition_outputs or not plan.earlier:
        return
    try:
        fitted = flow.fit(datasets.Dataset(table), collect=collect)
    except DefinitionError as error:  # it is of the data at hand
        assert "ops.distinct()" in str(error)  # noqa: PT017 - most flows are fitted
        return
    assert fitted.batch_process(table).to_pylist() == wanted
