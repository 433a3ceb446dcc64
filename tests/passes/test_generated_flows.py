"""Generated flows compute the same before and after all passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from hyped_beam import Processor
from hyped_beam.aggregators import Count, Max, Sum
from hyped_beam.dsl.aggregates import AggregateState
from hyped_beam.dsl.outputs import AGGREGATES, ROWS, Outputs, graph_of
from hyped_beam.execute.stage import StageRunner
from hyped_beam.ir.graph import Graph, Kind
from hyped_beam.ir.scope import DATASET
from hyped_beam.nodes.aggregator import AggregatorRuntime
from hyped_beam.nodes.call import constant
from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.pack import pack
from hyped_beam.nodes.refs import Ref, builder_of, edge_of, feature_of
from hyped_beam.nodes.runtime import ProcessorRuntime
from hyped_beam.passes import PASSES, optimise
from hyped_beam.plan.planner import make_plan
from hyped_beam.testing import flow_of
from hyped_beam.types import arrays, features
from hyped_beam.types.features import Family
from hyped_beam.types.patterns import AnyColumn, BooleanColumn, Int64Column, ListColumn, StringColumn

SCHEMA = pa.schema(
    {
        "a": pa.int64(),
        "b": pa.int64(),
        "s": pa.string(),
        "m": pa.struct({"x": pa.int64(), "y": pa.struct({"t": pa.string()})}),
        "unused": pa.float64(),
    }
)


class Plus(Processor):
    """The sum, which wraps, so that nothing overflows."""

    accepts_scalars = True
    step: int = 0

    def process(self, left: Int64Column, right: Int64Column) -> Int64Column:
        return pc.add(pc.add(left, right), self.step)


class Added(Processor):
    """As `Plus`, row by row; None where an input is."""

    def process_row(self, left: int, right: int) -> int:
        return (left + right) % 1000


class Marked(Processor):
    mark: str = "!"

    def setup(self) -> None:
        self.suffix = self.mark * 2

    def process(self, text: StringColumn) -> StringColumn:
        return pc.binary_join_element_wise(text, self.suffix, "")


class Missing(Processor):
    def process(self, value: AnyColumn) -> BooleanColumn:
        return pc.is_null(value)


class Flag(Processor):
    def process(self, value: BooleanColumn) -> Int64Column:
        return pc.cast(value, pa.int64())


class Parts(Processor):
    separator: str

    def output(self, text: Any) -> Any:
        return features.list_of(text)

    def process(self, text: StringColumn) -> pa.Array:
        return pc.split_pattern(text, self.separator)

    def absorb(self, consumer: Any) -> Any:
        return PartCount(separator=self.separator) if isinstance(consumer, Size) else None


class Size(Processor):
    def process(self, items: ListColumn) -> Int64Column:
        return pc.list_value_length(items)


class PartCount(Processor):
    separator: str

    def process(self, text: StringColumn) -> Int64Column:
        return pc.add(pc.count_substring(text, self.separator), 1)


class Ticks(Processor):
    """Not repeatable to the compiler, though a test can compare it."""

    repeatable = False

    def process(self, value: Int64Column) -> Int64Column:
        return pc.multiply(value, 2)


integers = st.none() | st.integers(-5, 5)
texts = st.none() | st.text("ab !", max_size=4)
structs = st.none() | st.fixed_dictionaries(
    {"x": integers, "y": st.none() | st.fixed_dictionaries({"t": texts})}
)
rows = st.fixed_dictionaries({"a": integers, "b": integers, "s": texts, "m": structs, "unused": st.none()})
tables = st.lists(rows, max_size=6).map(lambda found: pa.RecordBatch.from_pylist(found, schema=SCHEMA))


@st.composite
def flows(draw: Callable[..., Any]) -> tuple[Ref, Outputs]:  # noqa: C901 - one branch per kind of step
    """A small flow, and what to ask of it."""
    source = flow_of(SCHEMA)
    builder = builder_of(source)
    known = [source.a, source.b, source.s, source.m, source.m.x, source.m.y.t, source]

    def one(family: Family | None = None, *, constants: bool = True) -> Any:
        """A ref or a constant of a family."""
        fitting = [ref for ref in known if family in (None, features.family(feature_of(ref)))]
        if constants and family in (Family.INTEGER, Family.STRING) and draw(st.integers(0, 3)) == 0:
            literal = draw(
                st.integers(-2, 2) if family is Family.INTEGER else st.sampled_from(["", "a", "b!"])
            )
            return Ref(builder, constant(builder, literal), features.value(_DTYPES[family]))
        return draw(st.sampled_from(fitting or known[:1]))

    def step() -> Ref:
        made = draw(st.sampled_from(_STEPS))
        if made is Plus:
            return Plus(step=draw(st.integers(0, 1))).call(
                left=one(Family.INTEGER), right=one(Family.INTEGER)
            )
        if made is Added:
            return Added().call(left=one(Family.INTEGER, constants=False), right=one(Family.INTEGER))
        if made is Marked:
            return Marked(mark=draw(st.sampled_from("!?"))).call(one(Family.STRING))
        if made is Size:
            words = Parts(separator=draw(st.sampled_from(" a"))).call(one(Family.STRING))
            if draw(st.booleans()):
                known.append(words)
            return Size().call(words)
        if made is Flag:
            return Flag().call(Missing().call(one()))
        if made is Ticks:
            return Ticks().call(one(Family.INTEGER, constants=False))
        if made is pack:
            packed = pack({"p": one(), "q": {"r": one(), "k": draw(st.integers(0, 1))}, "c": draw(integers)})
            known.extend([packed.p, packed.q.r, packed.q.k, packed.q])
            return packed
        raise AssertionError(made)

    known.extend(step() for _ in range(draw(st.integers(0, 8))))
    number = st.integers(0, len(known) - 1)
    asked = {f"c{position}": known[position] for position in draw(st.sets(number, max_size=4))}
    numbers = [
        ref
        for ref in known
        if features.family(feature_of(ref)) is Family.INTEGER
        and builder_of(ref).scope_of(edge_of(ref)) != DATASET  # constants have no rows to aggregate
    ]
    aggregated = {
        f"{node.__name__}{position}": node().call(draw(st.sampled_from(numbers)))
        for position, node in enumerate(draw(st.lists(st.sampled_from([Count, Sum, Max]), max_size=3)))
    }
    return source, Outputs({"a": source.a, **asked}, aggregated or None)


_DTYPES = {Family.INTEGER: "int64", Family.STRING: "string"}
_STEPS = [Plus, Added, Marked, Size, Flag, Ticks, pack, pack]


def interpreted(graph: Graph, batch: pa.RecordBatch) -> dict[str, Any]:
    """What the sinks of a graph get, each node computed by itself in the order of the graph."""
    values: dict[int, Any] = {}
    found = {}
    for node in graph.nodes.values():
        in_rows = node.scope != 0
        rows = batch.num_rows if in_rows else 1
        inputs = {name: arrays.at_path(values[edge.node], edge.path) for name, edge in node.inputs.items()}
        output_type = features.to_arrow(node.feature)
        if node.kind is Kind.SOURCE:
            values[node.id] = {name: batch.column(name) for name in node.operation.columns}
        elif node.kind is Kind.CONST:
            values[node.id] = node.operation.scalar
        elif node.kind is Kind.MAP:
            value = _run(node.operation, output_type, inputs, rows)
            values[node.id] = value if in_rows else arrays.whole(value, 1)[0]
        elif node.kind is Kind.AGGREGATE:
            given_features = {name: graph.feature(edge) for name, edge in node.inputs.items()}
            state_type = node.operation.state_type(given_features)
            runtime = AggregatorRuntime(node.operation, state_type, output_type)
            values[node.id] = runtime.finish(runtime.update(inputs, Groups.whole(batch.num_rows)))[0]
        else:
            columns = arrays.columns_of(inputs["input"], rows)
            found[node.operation.name] = {name: column.to_pylist() for name, column in columns.items()}
    return found


def _run(operation: Any, output_type: pa.DataType, inputs: dict[str, Any], rows: int) -> Any:
    runtime = ProcessorRuntime(operation, output_type)
    setup = runtime.hook("setup")
    if setup is not None:
        setup()
    return runtime.run(inputs, rows)


def executed(graph: Graph, batch: pa.RecordBatch) -> dict[str, Any]:
    """What the sinks of a graph get from the planner and the stage executor."""
    plan = make_plan(graph)
    with StageRunner(plan.scan) as runner:
        result = runner.run(runner.source_batch(batch))
    found = {ROWS: result.outputs[ROWS].to_pydict()}
    if plan.reduce is not None:
        state = AggregateState(plan)
        state.add(result.states)
        found[AGGREGATES] = {name: [value] for name, value in state.value().items()}
    return found


@st.composite
def with_constant_structs(draw: Callable[..., Any]) -> tuple[Ref, Outputs]:
    """A constant struct and list beside rows: columns of them are made at the sink."""
    source = flow_of(SCHEMA)
    packed = pack({"a": source.a, "c": {"k": draw(integers), "l": [draw(st.integers(0, 9))]}})
    return source, Outputs({"packed": packed, "c": packed.c, "l": packed.c.l})


@settings(max_examples=20, deadline=None)
@given(with_constant_structs(), tables)
def test_constants_that_are_structs_become_columns(flow, batch):
    source, outputs = flow
    graph = graph_of(builder_of(source), outputs)
    assert executed(optimise(graph, verify=True), batch) == interpreted(graph, batch)


@settings(max_examples=120, deadline=None)
@given(flows(), tables)
def test_optimised_flows_compute_the_same(flow, batch):
    source, outputs = flow
    graph = graph_of(builder_of(source), outputs)
    wanted = interpreted(graph, batch)
    optimised = optimise(graph, verify=True)
    assert interpreted(optimised, batch) == wanted
    assert executed(optimised, batch) == wanted


@settings(max_examples=60, deadline=None)
@given(flows(), tables, st.sampled_from(list(dict.fromkeys(PASSES))))
def test_each_pass_computes_the_same(flow, batch, run):
    source, outputs = flow
    graph = graph_of(builder_of(source), outputs)
    assert interpreted(run(graph), batch) == interpreted(graph, batch)


@settings(max_examples=60, deadline=None)
@given(flows())
def test_optimising_never_adds_work(flow):
    source, outputs = flow
    graph = graph_of(builder_of(source), outputs)
    optimised = optimise(graph)
    assert set(optimised.nodes) <= set(graph.nodes)
    assert [sink.operation.name for sink in optimised.sinks] == [sink.operation.name for sink in graph.sinks]
