"""Drop what no output needs."""

from __future__ import annotations

from hyped_beam.ir.graph import Graph, Kind


def prune(graph: Graph) -> Graph:
    """Keep the sinks, what they need, and the source.

    A node that is not repeatable is dropped like any other: a flow promises values, not side effects.
    """
    needed: set[int] = set()
    kept = []
    for node in reversed(list(graph.nodes.values())):
        if node.kind in (Kind.SINK, Kind.SOURCE) or node.id in needed:
            kept.append(node)
            needed.update(edge.node for edge in node.inputs.values())
    return graph.with_nodes(reversed(kept))
