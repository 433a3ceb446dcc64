"""The verifier: what every graph keeps to, one rule a function; run after every pass in tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hyped_beam.ir.graph import Edge, Graph, Kind, Node, makers
from hyped_beam.ir.scope import BASE_SCOPES, DATASET, ScopeKind, reaches
from hyped_beam.types import features
from hyped_beam.types.features import Feature


class BrokenGraphError(AssertionError):
    """A graph that breaks a rule: a defect of this package, never of the user's flow."""


def verify(graph: Graph) -> None:
    """Check a graph against every rule; those of its nodes rely on its scopes.

    Raises:
        BrokenGraphError: It breaks some; all are listed.
    """
    scopes, *others = RULES
    broken = list(scopes(graph)) or [found for rule in others for found in rule(graph)]
    if broken:
        raise BrokenGraphError("\n".join(broken))


def _edges(graph: Graph) -> Iterator[tuple[Node, Edge]]:
    for node in graph.nodes.values():
        for edge in node.inputs.values():
            yield node, edge


def _feature(graph: Graph, edge: Edge) -> Feature | None:
    """The type of what an edge carries; None where another rule finds fault with the edge."""
    try:
        return graph.feature(edge)
    except KeyError:
        return None


def scopes_are_rows_or_groups(graph: Graph) -> Iterator[str]:
    """A scope other than the dataset and its rows is one of rows, or of groups of rows, that a node makes."""
    for scope in graph.scopes[len(BASE_SCOPES) :]:
        if scope.kind not in (ScopeKind.ROWS, ScopeKind.GROUPS):
            yield f"scope {scope.id} is a second one of {scope.kind.value}"
        if len(scope.parents) != 1:
            yield f"scope {scope.id} has {len(scope.parents)} parents, where there is one"
        if (scope.members is None) == (scope.kind is ScopeKind.GROUPS):
            yield f"scope {scope.id} is one of {scope.kind.value}, and its members are {scope.members}"
        if scope.node is None:
            yield f"no node makes scope {scope.id}"


def nodes_stand_behind_their_inputs(graph: Graph) -> Iterator[str]:
    """Each node comes after all that it uses, so there is no cycle and nothing is missing."""
    seen: set[int] = set()
    for node in graph.nodes.values():
        for name, edge in node.inputs.items():
            if edge.node not in seen:
                yield f"%{node.id} uses {edge} as {name!r} before it is there"
        seen.add(node.id)


def numbers_are_keys(graph: Graph) -> Iterator[str]:
    """A node stands under its own number."""
    for number, node in graph.nodes.items():
        if number != node.id:
            yield f"%{node.id} stands under {number}"


def paths_lead_somewhere(graph: Graph) -> Iterator[str]:
    """Each edge's path names fields that are there."""
    for node, edge in _edges(graph):
        if edge.node not in graph.nodes:
            continue
        feature = graph.nodes[edge.node].feature
        for name in edge.path:
            inner = features.fields(feature)
            if name not in inner:
                yield f"%{node.id} uses {edge}, but there is no {name!r}"
                break
            feature = inner[name]


def there_is_one_source(graph: Graph) -> Iterator[str]:
    """Exactly one source; it has no inputs, and its type names the columns that it reads."""
    sources = [node for node in graph.nodes.values() if node.kind is Kind.SOURCE]
    if len(sources) != 1:
        yield f"{len(sources)} sources, where there is one"
    for node in sources:
        if node.inputs:
            yield f"the source %{node.id} has inputs"
        if tuple(node.feature) != node.operation.columns:
            read = node.operation.columns
            yield f"the source %{node.id} says it reads {read}, its type {tuple(node.feature)}"


def scopes_agree(graph: Graph) -> Iterator[str]:
    """The rows that a node runs on reach those of each input, and those of an aggregate's value."""
    for node in graph.nodes.values():
        runs_on = _rows_of(graph, node)
        for name, edge in node.inputs.items():
            if edge.node in graph.nodes and not reaches(graph.scopes, runs_on, graph.nodes[edge.node].scope):
                yield f"%{node.id} runs on scope {runs_on}, which does not reach {edge}, its {name!r}"
        if node.input_scope is not None and not reaches(graph.scopes, node.input_scope, node.scope):
            yield f"%{node.id} reduces rows of scope {node.input_scope}, which do not reach {node.scope}"
        if node.kind is Kind.CONST and node.scope != DATASET and not hasattr(node.operation, "values"):
            yield f"the constant %{node.id} is one value, in scope {node.scope}"


def _rows_of(graph: Graph, node: Node) -> int:
    if node.input_scope is not None:
        return node.input_scope
    parents = graph.scopes[node.scope].parents
    return parents[0] if node.kind is Kind.ROWS and parents else node.scope


def rows_are_made(graph: Graph) -> Iterator[str]:
    """Rows and groups that a node is about are made by a node of the graph, which is about them itself."""
    for node in graph.nodes.values():
        for maker in makers(
            graph, [node.scope] if node.input_scope is None else [node.scope, node.input_scope]
        ):
            made = graph.nodes.get(maker)
            if made is None:
                yield f"%{node.id} is about rows that %{maker} makes, which is not there"
            elif made.kind not in (Kind.ROWS, Kind.KEYS):
                yield f"%{node.id} is about rows that %{maker} makes, a {made.kind.value}"
        if node.kind is Kind.ROWS and not graph.scopes[node.scope].parents:
            yield f"%{node.id} makes rows of scope {node.scope}, which has no parents to make them of"
        if (node.input_scope is None) == (node.kind in (Kind.KEYS, Kind.AGGREGATE)):
            yield f"%{node.id} is a {node.kind.value}, and its input scope is {node.input_scope}"


def constants_are_values(graph: Graph) -> Iterator[str]:
    """A CONST has no inputs, and its value has the Arrow type of its feature."""
    for node in graph.nodes.values():
        if node.kind is not Kind.CONST:
            continue
        if node.inputs:
            yield f"the constant %{node.id} has inputs"
        held = getattr(node.operation, "values", None)
        declared, found = (
            features.to_arrow(node.feature),
            (held if held is not None else node.operation.scalar).type,
        )
        if not found.equals(declared):
            yield f"the constant %{node.id} is {found}, declared {declared}"


def passed_inputs_keep_their_types(graph: Graph) -> Iterator[str]:
    """Where an operation `passes_inputs`, each field of the output has the type of the input of that name."""
    for node in graph.nodes.values():
        if not getattr(node.operation, "passes_inputs", False):
            continue
        declared = features.fields(node.feature)
        for name, edge in node.inputs.items():
            given = _feature(graph, edge)
            if given is not None and not (name in declared and features.same(declared[name], given)):
                yield f"%{node.id} passes {edge} on as {name!r} in another type"


def sinks_are_ends(graph: Graph) -> Iterator[str]:
    """Nothing uses a sink; a sink has one input, whose type it has, and a name of its own."""
    sinks = {node.id for node in graph.sinks}
    for node, edge in _edges(graph):
        if edge.node in sinks:
            yield f"%{node.id} uses the sink %{edge.node}"
    for sink in graph.sinks:
        edges = list(sink.inputs.values())
        if len(edges) != 1:
            yield f"the sink %{sink.id} has {len(edges)} inputs"
        elif (carried := _feature(graph, edges[0])) is not None and not features.same(carried, sink.feature):
            given, declared = features.describe(carried), features.describe(sink.feature)
            yield f"the sink %{sink.id} is {declared}, its input {given}"
    names = [node.operation.name for node in graph.sinks]
    if len(names) != len(set(names)):
        yield f"two sinks with one name: {names}"


RULES: tuple[Callable[[Graph], Iterator[str]], ...] = (
    scopes_are_rows_or_groups,
    nodes_stand_behind_their_inputs,
    numbers_are_keys,
    paths_lead_somewhere,
    there_is_one_source,
    scopes_agree,
    rows_are_made,
    constants_are_values,
    passed_inputs_keep_their_types,
    sinks_are_ends,
)
