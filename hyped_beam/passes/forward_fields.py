"""Take fields of packed structs from where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hyped_beam.ir.graph import Edge, Graph, Node
from hyped_beam.ir.scope import meeting_scope


def forward_fields(graph: Graph) -> Graph:
    """Let an edge into a field of a struct that was packed from its inputs start at that input.

    Which nodes pack says the attribute `passes_inputs` of their operation: each field of the output is
    the input of that name, unchanged. Such a struct is null in no row, so nothing is lost by going past
    it. An edge stays as it is where it alone holds its node in its rows: the sum of a constant packed
    beside a column of rows is taken over these rows.
    """
    nodes: dict[int, Node] = {}
    for node in graph.nodes.values():
        inputs = {name: _origin(edge, nodes) for name, edge in node.inputs.items()}
        if any(inputs[name] is not edge for name, edge in node.inputs.items()):
            nodes[node.id] = replace(node, inputs=_in_same_rows(node.inputs, inputs, nodes, graph))
        else:
            nodes[node.id] = node
    return graph.with_nodes(nodes.values())


def _origin(edge: Edge, nodes: Mapping[int, Node]) -> Edge:
    while edge.path:
        packed = nodes[edge.node]
        if not getattr(packed.operation, "passes_inputs", False) or edge.path[0] not in packed.inputs:
            break
        passed = packed.inputs[edge.path[0]]
        edge = Edge(passed.node, (*passed.path, *edge.path[1:]))
    return edge


def _in_same_rows(
    before: Mapping[str, Edge], after: dict[str, Edge], nodes: Mapping[int, Node], graph: Graph
) -> dict[str, Edge]:
    """The new edges; where they meet in other rows, those that lead out of the rows stay the old ones."""
    moved = [name for name in after if nodes[after[name].node].scope != nodes[before[name].node].scope]
    if not moved:
        return after
    rows_before = meeting_scope(graph.scopes, (nodes[edge.node].scope for edge in before.values()))
    rows_after = meeting_scope(graph.scopes, (nodes[edge.node].scope for edge in after.values()))
    if rows_before == rows_after:
        return after
    return {**after, **{name: before[name] for name in moved}}
