"""Levels: how many scans of the source come before a value is known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from hyped_beam.ir.graph import Graph, Kind, Node, makers, needs
from hyped_beam.ir.scope import DATASET, SOURCE_ROWS, domain_of


class Levels:
    """The scan by which each value of a graph is known, from 0, and where it is computed.

    Values of the source's rows are computed within a scan. What belongs to the whole dataset or to groups is
    computed after one, from the states that the scan's aggregators have left; rows can use it in the next.

    Args:
        graph: The graph, pruned.

    Attributes:
        graph: The graph.
        fixed: The nodes that depend on constants alone and were not folded; each stage that uses one runs it.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.fixed = _from_constants(graph)
        self._levels: dict[int, int] = {}
        for node in graph.nodes.values():
            self._levels[node.id] = max((self._needed(node, used) for used in needs(graph, node)), default=0)

    def __getitem__(self, node: int) -> int:
        return self._levels[node]

    def is_constant(self, node: Node) -> bool:
        """Whether a value is there before anything runs."""
        return node.kind is Kind.CONST or (node.kind is Kind.KEYS and node.operation.known is not None)

    def in_scan(self, scope: int) -> bool:
        """Whether rows are the source's, or made from them."""
        return domain_of(self.graph.scopes, scope) == SOURCE_ROWS

    def runs_in_scan(self, node: Node) -> bool:
        """Whether a node runs on batches of the source; one that aggregates them leaves its states there."""
        if node.id in self.fixed or node.kind is Kind.CONST:
            return False
        return self.in_scan(node.scope if node.input_scope is None else node.input_scope)

    def is_reduced(self, node: Node) -> bool:
        """Whether a node's value comes about when the states of a scan are put together."""
        return (
            node.input_scope is not None and self.in_scan(node.input_scope) and not self.in_scan(node.scope)
        )

    def _needed(self, node: Node, number: int) -> int:
        used = self.graph.nodes[number]
        if self.is_constant(used) or number in self.fixed:
            return 0
        is_late = self.runs_in_scan(node) and not self.in_scan(used.scope)
        if self.is_reduced(node) and number == self.graph.scopes[node.scope].node:
            is_late = False  # an aggregate per group is computed beside the keys of its groups
        return self._levels[number] + is_late


def closure(
    graph: Graph, ends: Iterable[int], is_inside: Callable[[Node], bool], at_hand: Collection[int] = ()
) -> set[int]:
    """The nodes that some need, themselves among them, going on from those that a condition holds for.

    Args:
        graph: The graph.
        ends: The nodes to begin with.
        is_inside: Whether to go on to a node.
        at_hand: Nodes whose values are there: of what they need only what makes their rows is needed.
    """
    found: set[int] = set()
    waiting = list(ends)
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            node = graph.nodes[number]
            used = makers(graph, [node.scope]) if number in at_hand else needs(graph, node)
            waiting += (other for other in used if is_inside(graph.nodes[other]))
    return found


def _from_constants(graph: Graph) -> set[int]:
    fixed: set[int] = set()
    for node in graph.nodes.values():
        if (
            node.kind is Kind.MAP
            and node.scope == DATASET
            and all(
                edge.node in fixed or graph.nodes[edge.node].kind is Kind.CONST
                for edge in node.inputs.values()
            )
        ):
            fixed.add(node.id)
    return fixed
