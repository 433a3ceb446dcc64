"""The text form of a graph: one line a node, for snapshots, plans and reading aloud."""

from __future__ import annotations

from hyped_beam.ir.graph import Graph, Kind, Node
from hyped_beam.types import features


def graph_text(graph: Graph) -> str:
    """A graph as text, one node a line.

    A line reads: number, kind, name and configuration, inputs, type, rows.
    """
    width = max((len(_call(node)) for node in graph.nodes.values()), default=0)
    width = min(width, 72)
    lines = [
        f"{_call(node):<{width}}  : {features.describe(node.feature)}  [{graph.scopes[node.scope].name}]"
        if node.kind is not Kind.SINK
        else _call(node)
        for node in graph.nodes.values()
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _call(node: Node) -> str:
    inputs = ", ".join(
        str(edge) if name == "input" and len(node.inputs) == 1 else f"{name}={edge}"
        for name, edge in node.inputs.items()
    )
    if node.kind is Kind.SOURCE:
        return f"%{node.id} = source"
    if node.kind is Kind.CONST:
        return f"%{node.id} = const {node.operation.describe()}"
    if node.kind is Kind.SINK:
        return f"sink {node.operation.describe()} <- {inputs}"
    configuration = node.operation.describe()
    shown = f"[{configuration}]" if configuration else ""
    return f"%{node.id} = {node.kind.value} {node.name}{shown}({inputs})"
