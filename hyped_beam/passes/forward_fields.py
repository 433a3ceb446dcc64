"""Take fields of packed structs from where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hyped_beam.ir.graph import Edge, Graph, Node


def forward_fields(graph: Graph) -> Graph:
    """Let an edge into a field of a struct that was packed from its inputs start at that input.

    Which nodes pack says the attribute `passes_inputs` of their operation: each field of the output is
    the input of that name, unchanged. Such a struct is null in no row, so nothing is lost by going past
    it. Its rows may be others than the input's: the node says itself for which rows it runs.
    """
    nodes: dict[int, Node] = {}
    for node in graph.nodes.values():
        inputs = {name: _origin(edge, nodes) for name, edge in node.inputs.items()}
        is_moved = any(inputs[name] is not edge for name, edge in node.inputs.items())
        nodes[node.id] = replace(node, inputs=inputs) if is_moved else node
    return graph.with_nodes(nodes.values())


def _origin(edge: Edge, nodes: Mapping[int, Node]) -> Edge:
    while edge.path:
        packed = nodes[edge.node]
        if not getattr(packed.operation, "passes_inputs", False) or edge.path[0] not in packed.inputs:
            break
        passed = packed.inputs[edge.path[0]]
        edge = Edge(passed.node, (*passed.path, *edge.path[1:]))
    return edge
