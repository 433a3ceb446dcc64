"""The text form of a graph: one line a node, for snapshots, plans and reading aloud."""

from __future__ import annotations

from hyped_beam.errors import escaped
from hyped_beam.ir.graph import Graph, Kind, Node
from hyped_beam.types import features

_WIDEST = 72
"""Where the types begin at the latest; a longer line pushes only its own type to the right."""


def graph_text(graph: Graph) -> str:
    """A graph as text, one node a line.

    A line reads: number, kind, name and configuration, inputs, type, rows.
    """
    calls = {number: _call(node) for number, node in graph.nodes.items()}
    width = min(max(map(len, calls.values()), default=0), _WIDEST)
    lines = [
        calls[number]
        if node.kind is Kind.SINK
        else f"{calls[number]:<{width}}  : {_type(node)}  [{graph.scopes[node.scope].name}]"
        for number, node in graph.nodes.items()
    ]
    return escaped("\n".join(lines) + "\n")


def _type(node: Node) -> str:
    return features.describe(node.feature)


def _call(node: Node) -> str:
    sole = list(node.inputs) == ["input"]
    inputs = ", ".join(str(edge) if sole else f"{name}={edge}" for name, edge in node.inputs.items())
    if node.kind is Kind.SOURCE:
        return f"%{node.id} = source"
    if node.kind is Kind.CONST:
        return f"%{node.id} = const {node.operation.describe()}"
    if node.kind is Kind.SINK:
        return f"sink {node.operation.describe()} <- {inputs}"
    configuration = node.operation.describe()
    shown = f"[{configuration}]" if configuration else ""
    return f"%{node.id} = {node.kind.value} {node.name}{shown}({inputs})"
