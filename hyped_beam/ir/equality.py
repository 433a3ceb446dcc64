"""Which nodes give the same: equal in kind, operation, inputs, type, rows and options."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hyped_beam.ir.graph import Edge, Kind, Node
from hyped_beam.ir.scope import Scope
from hyped_beam.types import features

_EQUAL_KINDS = (Kind.CONST, Kind.MAP, Kind.ROWS, Kind.KEYS, Kind.AGGREGATE)


class EqualNodes:
    """The nodes of a graph by what they give, as they are met, in order."""

    def __init__(self) -> None:
        self._alike: dict[Hashable, list[Node]] = {}
        self._how_they_run: dict[int, tuple[Any, str]] = {}

    def first(self, node: Node, parents: Sequence[int]) -> Node:
        """The first node that gives the same: this one, if none that was met before does.

        Args:
            node: The node; its inputs are those that were the first of their kind.
            parents: Of a node that makes rows the scopes of those that it makes them of.
        """
        if not _has_equals(node):
            return node
        candidates = self._alike.setdefault(self._key(node, parents), [])
        found = _of_the_same_type(node, candidates)
        if found is None:
            candidates.append(node)
        return found or node

    def met(self, node: Node, parents: Sequence[int]) -> Node | None:
        """The first node that was met and gives the same; None if none does."""
        if not _has_equals(node):
            return None
        return _of_the_same_type(node, self._alike.get(self._key(node, parents), ()))

    def _key(self, node: Node, parents: Sequence[int]) -> Hashable:
        options = node.options
        known = self._how_they_run.get(id(options))
        if known is None:  # the options are kept with it, so that no others get their id
            known = self._how_they_run[id(options)] = (options, _how_it_runs(options))
        key: list[Hashable] = [
            node.kind,
            node.operation.identity(),
            _rows_of(node, parents),
            known[1],
        ]
        for name, edge in node.inputs.items():  # in the order given: a node that takes any names may go by it
            key += (name, edge.node, edge.path)
        return tuple(key)


class EqualValues:
    """Which values of a graph that grows are the same, found when it is asked for.

    Each node is looked at once, so that it takes no longer in large graphs.

    Args:
        nodes: All nodes, which become more.
        scopes: All scopes, which become more.
    """

    def __init__(self, nodes: Mapping[int, Node], scopes: Sequence[Scope]) -> None:
        self._all = nodes
        self._scopes = scopes
        self._nodes = EqualNodes()
        self._firsts: list[int] = []

    def of(self, inputs: Mapping[str, Edge]) -> Hashable:
        """Equal for inputs of the same names, in order, and the same values."""
        self._look_at_new_ones()
        return tuple((name, self._first(edge)) for name, edge in inputs.items())

    def node(self, wanted: Node, parents: Sequence[int]) -> Node | None:
        """The first node that gives the same as one that is not in the graph; None if none does.

        Args:
            wanted: The node, with inputs of the graph.
            parents: Of a node that makes rows the scopes of those that it makes them of.
        """
        self._look_at_new_ones()
        return self._nodes.met(self._redirected(wanted), parents)

    def _look_at_new_ones(self) -> None:
        for number in range(len(self._firsts), len(self._all)):
            node = self._all[number]
            first = self._nodes.first(self._redirected(node), self._scopes[node.scope].parents)
            self._firsts.append(first.id)

    def _redirected(self, node: Node) -> Node:
        return replace(node, inputs={name: self._first(edge) for name, edge in node.inputs.items()})

    def _first(self, edge: Edge) -> Edge:
        first = self._firsts[edge.node]
        return edge if first == edge.node else Edge(first, edge.path)


def _has_equals(node: Node) -> bool:
    return node.kind in _EQUAL_KINDS and node.operation.repeatable


def _of_the_same_type(node: Node, candidates: Sequence[Node]) -> Node | None:
    return next((other for other in candidates if features.same(other.feature, node.feature)), None)


def _rows_of(node: Node, parents: Sequence[int]) -> Hashable:
    """The rows that a node is about; of one that makes rows or groups, those that it makes them of."""
    if node.kind is Kind.KEYS:
        return node.input_scope
    if node.kind is Kind.ROWS:
        return tuple(parents)
    return (node.scope, node.input_scope)


def _how_it_runs(options: Any) -> str:
    return "" if options is None else repr([(name, value) for name, value in options if name != "name"])
