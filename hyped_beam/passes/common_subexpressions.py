"""Compute what is the same once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hyped_beam.ir.equality import EqualNodes
from hyped_beam.ir.graph import Edge, Graph, Kind, Node
from hyped_beam.ir.scope import DATASET, Scope


def common_subexpressions(graph: Graph) -> Graph:
    """Merge nodes of equal kind, operation, inputs, type, rows and options into the first of them.

    Inputs are compared after merging, so that whole expressions merge; where two nodes make the same rows or
    groups, so do what is computed for these. The name is no option here: the first keeps its name and its
    place in the user's code. What is not repeatable is never merged.
    """
    nodes: list[Node] = []
    equal = EqualNodes()
    merged: dict[int, int] = {}
    scopes: dict[int, int] = {}
    for node in graph.nodes.values():
        node = _redirected(node, merged, scopes)  # noqa: PLW2901 - the same node
        parents = [scopes.get(parent, parent) for parent in graph.scopes[node.scope].parents]
        first = equal.first(node, parents)
        if first is node:
            nodes.append(node)
            continue
        merged[node.id] = first.id
        if node.kind in (Kind.ROWS, Kind.KEYS):
            scopes[node.scope] = first.scope
    return replace(graph.with_nodes(nodes), scopes=_merged_scopes(graph, scopes))


def _merged_scopes(graph: Graph, merged: Mapping[int, int]) -> tuple[Scope, ...]:
    if not merged:
        return graph.scopes
    return tuple(
        replace(
            scope,
            parents=tuple(merged.get(parent, parent) for parent in scope.parents),
            members=None if scope.members is None else merged.get(scope.members, scope.members),
        )
        if scope.id not in merged
        else replace(scope, parents=(DATASET,), members=None)  # nothing is of these rows any more
        for scope in graph.scopes
    )


def _redirected(node: Node, merged: Mapping[int, int], scopes: Mapping[int, int]) -> Node:
    if scopes and (node.scope in scopes or node.input_scope in scopes):
        rows = None if node.input_scope is None else scopes.get(node.input_scope, node.input_scope)
        node = replace(node, scope=scopes.get(node.scope, node.scope), input_scope=rows)
    if not any(edge.node in merged for edge in node.inputs.values()):
        return node
    inputs = {
        name: Edge(merged[edge.node], edge.path) if edge.node in merged else edge
        for name, edge in node.inputs.items()
    }
    return replace(node, inputs=inputs)
