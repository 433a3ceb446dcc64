"""Drop what no output needs."""

from __future__ import annotations

from hyped_beam.ir.graph import Graph, Kind, needs


def prune(graph: Graph) -> Graph:
    """Keep the sinks, what they need, what makes the rows that they are about, and the source.

    A node that is not repeatable is dropped like any other: a flow promises values, not side effects.
    """
    needed: set[int] = set()
    kept = []
    for node in reversed(list(graph.nodes.values())):
        if node.kind in (Kind.SINK, Kind.SOURCE) or node.id in needed:
            kept.append(node)
            needed |= needs(graph, node)
    return graph.with_nodes(reversed(kept))
