"""Compute what is the same everywhere before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa

from hyped_beam.ir.graph import Constant, Graph, Kind, Node
from hyped_beam.ir.scope import DATASET
from hyped_beam.nodes.runtime import ProcessorRuntime
from hyped_beam.types import arrays, features


def fold_constants(graph: Graph) -> Graph:
    """Replace a node all of whose inputs are constants by its value.

    A node that is not repeatable, that needs an event loop or a variable of the environment of where it
    runs, is left to run. So is one that raises:
    `1 // 0` is an error only once a row needs it, and is then reported as any other, with its call site.
    """
    nodes: dict[int, Node] = {}
    for node in graph.nodes.values():
        nodes[node.id] = node
        value = _value(node, nodes) if _is_constant(node, nodes) else None
        if value is not None:
            constant = Constant(value)
            nodes[node.id] = replace(
                node,
                kind=Kind.CONST,
                operation=constant,
                name="const",
                inputs={},
                options=None,
                scope=DATASET,
            )
    return graph.with_nodes(nodes.values())


def _is_constant(node: Node, nodes: Mapping[int, Node]) -> bool:
    return (
        node.kind is Kind.MAP
        and bool(node.inputs)
        and all(_is_scalar(nodes[edge.node]) for edge in node.inputs.values())
        and node.operation.repeatable
        and not node.operation.from_environment
    )


def _is_scalar(node: Node) -> bool:
    return node.kind is Kind.CONST and isinstance(node.operation, Constant)


def _value(node: Node, nodes: Mapping[int, Node]) -> pa.Scalar | None:
    """What a node makes of its constants; None where only running it in place can tell."""
    runtime = ProcessorRuntime(node.operation, features.to_arrow(node.feature))
    if runtime.needs_loop:
        return None
    inputs = {
        name: arrays.at_path(nodes[edge.node].operation.scalar, edge.path)
        for name, edge in node.inputs.items()
    }
    try:
        return _run(runtime, inputs)
    except Exception:  # noqa: BLE001 - whatever it raises, it raises again where a row needs it
        return None


def _run(runtime: ProcessorRuntime, inputs: Mapping[str, arrays.Value]) -> pa.Scalar:
    setup, teardown = runtime.hook("setup"), runtime.hook("teardown")
    if setup is not None:
        setup()
    try:
        result = arrays.whole(runtime.run(inputs, 1), 1)
        if isinstance(result, pa.ExtensionArray):  # those of datasets return their storage as items
            return pa.ExtensionScalar.from_storage(result.type, result.storage[0])
        return result[0]
    finally:
        if teardown is not None:
            teardown()
