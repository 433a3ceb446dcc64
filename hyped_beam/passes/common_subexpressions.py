"""Compute what is the same once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

from hyped_beam.ir.graph import Edge, Graph, Kind, Node
from hyped_beam.types import features

_MERGED = (Kind.CONST, Kind.MAP, Kind.AGGREGATE)


def common_subexpressions(graph: Graph) -> Graph:
    """Merge nodes of equal kind, operation, inputs, type, rows and options into the first of them.

    Inputs are compared after merging, so that whole expressions merge. The name is no option here: the
    first keeps its name and its place in the user's code. What is not repeatable is never merged.
    """
    nodes: list[Node] = []
    alike: dict[Hashable, list[Node]] = {}
    merged: dict[int, int] = {}
    how_they_run: dict[int, str] = {}
    for node in graph.nodes.values():
        if any(edge.node in merged for edge in node.inputs.values()):
            node = replace(node, inputs=_redirected(node.inputs, merged))  # noqa: PLW2901 - the same node
        if node.kind in _MERGED and node.operation.repeatable:
            candidates = alike.setdefault(_key(node, how_they_run), [])
            first = next((other for other in candidates if features.same(other.feature, node.feature)), None)
            if first is not None:
                merged[node.id] = first.id
                continue
            candidates.append(node)
        nodes.append(node)
    return graph.with_nodes(nodes)


def _redirected(inputs: Mapping[str, Edge], merged: Mapping[int, int]) -> dict[str, Edge]:
    return {
        name: Edge(merged[edge.node], edge.path) if edge.node in merged else edge
        for name, edge in inputs.items()
    }


def _key(node: Node, how_they_run: dict[int, str]) -> Hashable:
    options = node.options
    how_it_runs = how_they_run.get(id(options))
    if how_it_runs is None:
        how_it_runs = how_they_run[id(options)] = _without_name(options)
    key: list[Hashable] = [node.kind, node.operation.identity(), node.scope, how_it_runs]
    for name, edge in node.inputs.items():  # in the order given: a node that takes any names may go by it
        key += (name, edge.node, edge.path)
    return tuple(key)


def _without_name(options: Any) -> str:
    return "" if options is None else repr([(name, value) for name, value in options if name != "name"])
