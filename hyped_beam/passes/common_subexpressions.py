"""Compute what is the same once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

from hyped_beam.ir.graph import Edge, Graph, Kind, Node
from hyped_beam.ir.scope import DATASET, Scope
from hyped_beam.types import features

_MERGED = (Kind.CONST, Kind.MAP, Kind.ROWS, Kind.KEYS, Kind.AGGREGATE)


def common_subexpressions(graph: Graph) -> Graph:
    """Merge nodes of equal kind, operation, inputs, type, rows and options into the first of them.

    Inputs are compared after merging, so that whole expressions merge; where two nodes make the same rows or
    groups, so do what is computed for these. The name is no option here: the first keeps its name and its
    place in the user's code. What is not repeatable is never merged.
    """
    nodes: list[Node] = []
    alike: dict[Hashable, list[Node]] = {}
    merged: dict[int, int] = {}
    scopes: dict[int, int] = {}
    how_they_run: dict[int, str] = {}
    for node in graph.nodes.values():
        node = _redirected(node, merged, scopes)  # noqa: PLW2901 - the same node
        if node.kind in _MERGED and node.operation.repeatable:
            candidates = alike.setdefault(_key(graph, node, scopes, how_they_run), [])
            first = next((other for other in candidates if features.same(other.feature, node.feature)), None)
            if first is not None:
                merged[node.id] = first.id
                if node.kind in (Kind.ROWS, Kind.KEYS):
                    scopes[node.scope] = first.scope
                continue
            candidates.append(node)
        nodes.append(node)
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
    if scopes and (node.scope in scopes or node.rows in scopes):
        rows = None if node.rows is None else scopes.get(node.rows, node.rows)
        node = replace(node, scope=scopes.get(node.scope, node.scope), rows=rows)
    if not any(edge.node in merged for edge in node.inputs.values()):
        return node
    inputs = {
        name: Edge(merged[edge.node], edge.path) if edge.node in merged else edge
        for name, edge in node.inputs.items()
    }
    return replace(node, inputs=inputs)


def _rows_of(graph: Graph, node: Node, scopes: Mapping[int, int]) -> Hashable:
    """The rows that a node is about; of one that makes rows or groups, those that it makes them of."""
    if node.kind is Kind.KEYS:
        return node.rows
    if node.kind is Kind.ROWS:
        return tuple(scopes.get(parent, parent) for parent in graph.scopes[node.scope].parents)
    return (node.scope, node.rows)


def _key(graph: Graph, node: Node, scopes: Mapping[int, int], how_they_run: dict[int, str]) -> Hashable:
    options = node.options
    how_it_runs = how_they_run.get(id(options))
    if how_it_runs is None:
        how_it_runs = how_they_run[id(options)] = _without_name(options)
    key: list[Hashable] = [
        node.kind,
        node.operation.identity(),
        _rows_of(graph, node, scopes),
        how_it_runs,
    ]
    for name, edge in node.inputs.items():  # in the order given: a node that takes any names may go by it
        key += (name, edge.node, edge.path)
    return tuple(key)


def _without_name(options: Any) -> str:
    return "" if options is None else repr([(name, value) for name, value in options if name != "name"])
