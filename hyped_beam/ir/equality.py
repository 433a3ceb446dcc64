"""Which nodes give the same: equal in kind, operation, inputs, type, rows and options."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hyped_beam.ir.graph import Edge, Kind, Node
from hyped_beam.ir.scope import Scope
from hyped_beam.types import features

_EQUAL_KINDS = (Kind.CONST, Kind.MAP, Kind.ROWS, Kind.KEYS, Kind.AGGREGATE)


def same_options(one: Any, other: Any) -> bool:
    """Whether two nodes run in the same way; what they are called does not matter."""
    return _how_it_runs(one) == _how_it_runs(other)


class EqualNodes:
    """The nodes of a graph by what they give, as they are met, in order."""

    def __init__(self) -> None:
        self._alike: dict[Hashable, list[Node]] = {}
        self._how_they_run: dict[int, str] = {}

    def first(self, node: Node, parents: Sequence[int]) -> Node:
        """The first node that gives the same: this one, if none that was met before does.

        Args:
            node: The node; its inputs are those that were the first of their kind.
            parents: Of a node that makes rows the scopes of those that it makes them of.
        """
        if node.kind not in _EQUAL_KINDS or not node.operation.repeatable:
            return node
        candidates = self._alike.setdefault(self._key(node, parents), [])
        found = next((other for other in candidates if features.same(other.feature, node.feature)), None)
        if found is None:
            candidates.append(node)
        return found or node

    def _key(self, node: Node, parents: Sequence[int]) -> Hashable:
        options = node.options
        how_it_runs = self._how_they_run.get(id(options))
        if how_it_runs is None:
            how_it_runs = self._how_they_run[id(options)] = _how_it_runs(options)
        key: list[Hashable] = [
            node.kind,
            node.operation.identity(),
            _rows_of(node, parents),
            how_it_runs,
        ]
        for name, edge in node.inputs.items():  # in the order given: a node that takes any names may go by it
            key += (name, edge.node, edge.path)
        return tuple(key)


class EqualValues:
    """Which values of a graph that grows are the same, found when it is asked for."""

    def __init__(self) -> None:
        self._nodes = EqualNodes()
        self._firsts: list[int] = []

    def same(
        self,
        nodes: Mapping[int, Node],
        scopes: Sequence[Scope],
        one: Mapping[str, Edge],
        other: Mapping[str, Edge],
    ) -> bool:
        """Whether inputs have the same names, in order, and the same values.

        Args:
            nodes: All nodes so far.
            scopes: All scopes so far.
            one: Inputs by name.
            other: Inputs by name.
        """
        for number in range(len(self._firsts), len(nodes)):
            node = nodes[number]
            parents = scopes[node.scope].parents
            redirected = replace(node, inputs={name: self._first(edge) for name, edge in node.inputs.items()})
            self._firsts.append(self._nodes.first(redirected, parents).id)
        return [(name, self._first(edge)) for name, edge in one.items()] == [
            (name, self._first(edge)) for name, edge in other.items()
        ]

    def _first(self, edge: Edge) -> Edge:
        first = self._firsts[edge.node]
        return edge if first == edge.node else Edge(first, edge.path)


def _rows_of(node: Node, parents: Sequence[int]) -> Hashable:
    """The rows that a node is about; of one that makes rows or groups, those that it makes them of."""
    if node.kind is Kind.KEYS:
        return node.rows
    if node.kind is Kind.ROWS:
        return tuple(parents)
    return (node.scope, node.rows)


def _how_it_runs(options: Any) -> str:
    return "" if options is None else repr([(name, value) for name, value in options if name != "name"])
