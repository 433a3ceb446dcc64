"""The verifier: what every graph keeps to, one rule a function; run after every pass in tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hyped_beam.ir.graph import Edge, Graph, Kind, Node
from hyped_beam.ir.scope import DATASET, meeting_scope
from hyped_beam.types import features


class BrokenGraphError(AssertionError):
    """A graph that breaks a rule: a defect of this package, never of the user's flow."""


def verify(graph: Graph) -> None:
    """Check a graph against every rule.

    Raises:
        BrokenGraphError: It breaks some; all are listed.
    """
    found = [problem for rule in RULES for problem in rule(graph)]
    if found:
        raise BrokenGraphError("\n".join(found))


def _edges(graph: Graph) -> Iterator[tuple[Node, Edge]]:
    for node in graph.nodes.values():
        for edge in node.inputs.values():
            yield node, edge


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
    """Exactly one source, and it has no inputs."""
    sources = [node for node in graph.nodes.values() if node.kind is Kind.SOURCE]
    if len(sources) > 1:
        yield f"{len(sources)} sources"
    for node in sources:
        if node.inputs:
            yield f"the source %{node.id} has inputs"
        if tuple(node.feature) != node.operation.columns:
            yield f"the source %{node.id} says it reads {node.operation.columns}, its type {tuple(node.feature)}"


def scopes_agree(graph: Graph) -> Iterator[str]:
    """A MAP or SINK is in the scope where its inputs meet; an AGGREGATE and a CONST are in no rows."""
    for node in graph.nodes.values():
        if node.kind in (Kind.CONST, Kind.AGGREGATE) and node.scope != DATASET:
            yield f"%{node.id} is a {node.kind.value}, in scope {node.scope}"
        used = [graph.nodes[edge.node].scope for edge in node.inputs.values() if edge.node in graph.nodes]
        if node.kind in (Kind.MAP, Kind.SINK) and used and meeting_scope(graph.scopes, used) != node.scope:
            yield f"%{node.id} is in scope {node.scope}, its inputs in {used}"


def sinks_are_ends(graph: Graph) -> Iterator[str]:
    """Nothing uses a sink; names of sinks are unique."""
    sinks = {node.id for node in graph.sinks}
    for node, edge in _edges(graph):
        if edge.node in sinks:
            yield f"%{node.id} uses the sink %{edge.node}"
    names = [node.operation.name for node in graph.sinks]
    if len(names) != len(set(names)):
        yield f"two sinks with one name: {names}"


RULES: tuple[Callable[[Graph], Iterator[str]], ...] = (
    nodes_stand_behind_their_inputs,
    numbers_are_keys,
    paths_lead_somewhere,
    there_is_one_source,
    scopes_agree,
    sinks_are_ends,
)
