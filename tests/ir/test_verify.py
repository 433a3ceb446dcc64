from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from hyped_beam.ir import verify as rules
from hyped_beam.ir.builder import GraphBuilder
from hyped_beam.ir.graph import Constant, Edge, Graph, Kind, Node, Sink, Source
from hyped_beam.ir.scope import DATASET, SOURCE_ROWS, Scope, ScopeKind
from hyped_beam.ir.verify import BrokenGraphError, verify
from hyped_beam.types import features

INT = features.value("int64")
TEXT = features.value("string")


class Operation:
    """What the graph must know of an operation, and no more."""

    repeatable = True

    def __init__(self, *, passes_inputs: bool = False) -> None:
        self.passes_inputs = passes_inputs

    def identity(self):
        return id(self)

    def describe(self):
        return ""


SOURCE, CONST, MAP, PACK, SINK = range(5)


@pytest.fixture
def graph() -> Graph:
    builder = GraphBuilder()
    source = builder.add_source({"n": INT, "t": TEXT})
    one = builder.add(Kind.CONST, Constant(pa.scalar(1)), feature=INT, name="const")
    column = Edge(source.node, ("n",))
    both = {"left": column, "right": one}
    mapped = builder.add(Kind.MAP, Operation(), feature=INT, name="map", inputs=both, scope=SOURCE_ROWS)
    packed = builder.add(
        Kind.MAP,
        Operation(passes_inputs=True),
        feature={"a": INT},
        name="pack",
        inputs={"a": mapped},
        scope=SOURCE_ROWS,
    )
    builder.add(
        Kind.SINK, Sink("rows"), feature={"a": INT}, name="rows", inputs={"input": packed}, scope=SOURCE_ROWS
    )
    return builder.build()


def changed(graph: Graph, number: int, **changes: object) -> Graph:
    return graph.with_nodes(
        replace(node, **changes) if node.id == number else node for node in graph.nodes.values()
    )


def added(graph: Graph, node: Node) -> Graph:
    return graph.with_nodes([*graph.nodes.values(), node])


def with_rows_of(graph: Graph, maker: int) -> Graph:
    """The graph with rows, as scope 2, that a node makes."""
    made = Scope(2, ScopeKind.ROWS, (SOURCE_ROWS,), "filter", node=maker)
    return replace(graph, scopes=(*graph.scopes, made))


def test_a_graph_that_keeps_to_all_rules_passes(graph):
    verify(graph)


def test_every_rule_has_a_test_that_breaks_it():
    assert {rule.__name__ for rule in rules.RULES} == {case.values[0] for case in BROKEN}


BROKEN = [
    pytest.param(
        "nodes_stand_behind_their_inputs",
        lambda graph: graph.with_nodes(reversed(graph.nodes.values())),
        "%3 uses %2 as 'a' before it is there",
        id="wrong order",
    ),
    pytest.param(
        "nodes_stand_behind_their_inputs",
        lambda graph: changed(graph, MAP, inputs={"left": Edge(MAP)}),
        "%2 uses %2 as 'left' before it is there",
        id="cycle",
    ),
    pytest.param(
        "nodes_stand_behind_their_inputs",
        lambda graph: graph.with_nodes(node for node in graph.nodes.values() if node.id != CONST),
        "%2 uses %1 as 'right' before it is there",
        id="missing node",
    ),
    pytest.param(
        "numbers_are_keys",
        lambda graph: Graph({**graph.nodes, 9: graph.nodes[CONST]}),
        "%1 stands under 9",
        id="wrong number",
    ),
    pytest.param(
        "paths_lead_somewhere",
        lambda graph: changed(graph, MAP, inputs={"left": Edge(SOURCE, ("m",))}),
        "%2 uses %0.m, but there is no 'm'",
        id="no such column",
    ),
    pytest.param(
        "paths_lead_somewhere",
        lambda graph: changed(graph, MAP, inputs={"left": Edge(SOURCE, ("n", "x"))}),
        "%2 uses %0.n.x, but there is no 'x'",
        id="no struct",
    ),
    pytest.param(
        "there_is_one_source",
        lambda graph: graph.with_nodes(node for node in graph.nodes.values() if node.id != SOURCE),
        "0 sources, where there is one",
        id="no source",
    ),
    pytest.param(
        "there_is_one_source",
        lambda graph: added(graph, Node(7, Kind.SOURCE, "source", Source(()), {}, SOURCE_ROWS, {})),
        "2 sources, where there is one",
        id="two sources",
    ),
    pytest.param(
        "there_is_one_source",
        lambda graph: changed(graph, SOURCE, inputs={"input": Edge(CONST)}),
        "the source %0 has inputs",
        id="source with inputs",
    ),
    pytest.param(
        "there_is_one_source",
        lambda graph: changed(graph, SOURCE, operation=Source(("n",))),
        "the source %0 says it reads ('n',), its type ('n', 't')",
        id="columns differ from type",
    ),
    pytest.param(
        "scopes_are_rows_or_groups",
        lambda graph: replace(graph, scopes=(*graph.scopes, Scope(2, ScopeKind.ROWS, (), "filter", node=2))),
        "scope 2 has 0 parents, where there is one",
        id="rows made of nothing",
    ),
    pytest.param(
        "scopes_are_rows_or_groups",
        lambda graph: replace(
            graph, scopes=(*graph.scopes, Scope(2, ScopeKind.GROUPS, (DATASET,), "by", node=2))
        ),
        "scope 2 is one of groups, and its members are None",
        id="groups of nothing",
    ),
    pytest.param(
        "scopes_agree",
        lambda graph: changed(graph, CONST, scope=SOURCE_ROWS),
        "the constant %1 is one value, in scope 1",
        id="constant in rows",
    ),
    pytest.param(
        "scopes_agree",
        lambda graph: changed(graph, MAP, scope=DATASET),
        "%2 runs on scope 0, which does not reach %0.n, its 'left'",
        id="map outside its rows",
    ),
    pytest.param(
        "rows_are_made",
        lambda graph: changed(
            replace(
                graph, scopes=(*graph.scopes, Scope(2, ScopeKind.ROWS, (SOURCE_ROWS,), "filter", node=9))
            ),
            PACK,
            scope=2,
        ),
        "%3 is about rows that %9 makes, which is not there",
        id="rows that nobody makes",
    ),
    pytest.param(
        "rows_are_made",
        lambda graph: changed(
            replace(
                graph, scopes=(*graph.scopes, Scope(2, ScopeKind.ROWS, (SOURCE_ROWS,), "filter", node=MAP))
            ),
            PACK,
            scope=2,
        ),
        "%3 is about rows that %2 makes, a map",
        id="rows that a map makes",
    ),
    pytest.param(
        "rows_are_made",
        lambda graph: changed(graph, MAP, input_scope=SOURCE_ROWS),
        "%2 is a map, and its input scope is 1",
        id="a map of rows put together",
    ),
    pytest.param(
        "rows_are_made",
        lambda graph: changed(graph, MAP, kind=Kind.ROWS, scope=DATASET),
        "%2 makes rows of scope 0, which has no parents to make them of",
        id="rows in the dataset",
    ),
    pytest.param(
        "constants_are_values",
        lambda graph: changed(graph, CONST, inputs={"input": Edge(SOURCE)}),
        "the constant %1 has inputs",
        id="constant with inputs",
    ),
    pytest.param(
        "constants_are_values",
        lambda graph: changed(graph, CONST, operation=Constant(pa.scalar(1, pa.int8()))),
        "the constant %1 is int8, declared int64",
        id="constant of another type",
    ),
    pytest.param(
        "passed_inputs_keep_their_types",
        lambda graph: changed(graph, PACK, feature={"a": TEXT}),
        "%3 passes %2 on as 'a' in another type",
        id="passed on as another type",
    ),
    pytest.param(
        "passed_inputs_keep_their_types",
        lambda graph: changed(graph, PACK, inputs={"b": Edge(MAP)}),
        "%3 passes %2 on as 'b' in another type",
        id="passed on under another name",
    ),
    pytest.param(
        "sinks_are_ends",
        lambda graph: added(
            graph, Node(7, Kind.MAP, "map", Operation(), {"input": Edge(SINK)}, SOURCE_ROWS, INT)
        ),
        "%7 uses the sink %4",
        id="sink is used",
    ),
    pytest.param(
        "sinks_are_ends",
        lambda graph: changed(graph, SINK, inputs={}),
        "the sink %4 has 0 inputs",
        id="sink of nothing",
    ),
    pytest.param(
        "sinks_are_ends",
        lambda graph: changed(graph, SINK, feature={"a": TEXT}),
        "the sink %4 is {a: string}, its input {a: int64}",
        id="sink of another type",
    ),
    pytest.param(
        "sinks_are_ends",
        lambda graph: added(graph, replace(graph.nodes[SINK], id=7)),
        "two sinks with one name: ['rows', 'rows']",
        id="sinks of one name",
    ),
]


@pytest.mark.parametrize(("rule", "broken", "message"), BROKEN)
def test_a_broken_rule_is_told(graph, rule, broken, message):
    found = broken(graph)
    assert message in list(getattr(rules, rule)(found))
    with pytest.raises(BrokenGraphError) as error:
        verify(found)
    assert message in str(error.value).splitlines()


def test_all_problems_are_listed(graph):
    broken = changed(changed(graph, CONST, scope=SOURCE_ROWS), SINK, inputs={})
    with pytest.raises(BrokenGraphError) as error:
        verify(broken)
    assert str(error.value).splitlines() == [
        "the constant %1 is one value, in scope 1",
        "the sink %4 has 0 inputs",
    ]
