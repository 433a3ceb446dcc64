"""Read only the columns that somebody needs."""

from __future__ import annotations

from dataclasses import replace

from hyped_beam.ir.graph import Graph


def narrow_source(graph: Graph) -> Graph:
    """Shrink the source to the columns that edges name, in its own order.

    An edge that takes all of the source keeps all. No column may be left: rows are counted without.
    """
    source = graph.source
    named: set[str] = set()
    for node in graph.nodes.values():
        for edge in node.inputs.values():
            if edge.node == source.id:
                if not edge.path:
                    return graph
                named.add(edge.path[0])
    columns = tuple(name for name in source.operation.columns if name in named)
    if columns == source.operation.columns:
        return graph
    unread = source.operation.unread + len(source.operation.columns) - len(columns)
    narrowed = replace(
        source,
        operation=replace(source.operation, columns=columns, unread=unread),
        feature={name: source.feature[name] for name in columns},
    )
    return graph.with_nodes(narrowed if node is source else node for node in graph.nodes.values())
