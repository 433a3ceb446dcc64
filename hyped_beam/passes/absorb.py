"""Let two nodes be one where what lies between them need not be made."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hyped_beam.ir.graph import Graph, Kind, Node
from hyped_beam.nodes.registry import snake_case


def absorb(graph: Graph) -> Graph:
    """Replace a node and the one behind it by the node that `absorb` of the first one's operation gives.

    It is asked where the whole output of the first is the only input of the second, nothing else uses it
    (else it would be made anyway), both are repeatable, and neither asks to run in another way than the
    other. The new node stands in the place of the second, with its call site, and with its name where the
    user gave it one; it may be absorbed again.
    """
    users = Counter(edge.node for node in graph.nodes.values() for edge in node.inputs.values())
    nodes: dict[int, Node] = {}
    for node in graph.nodes.values():
        producer = _producer(node, nodes, users)
        operation = None if producer is None else producer.operation.absorb(node.operation)
        if producer is None or operation is None:
            nodes[node.id] = node
            continue
        del nodes[producer.id]
        named = getattr(node.options, "name", None)
        nodes[node.id] = replace(
            node,
            operation=operation,
            name=named or snake_case(type(operation).__name__),
            inputs=producer.inputs,
        )
    return graph.with_nodes(nodes.values())


def _producer(node: Node, nodes: dict[int, Node], users: Counter[int]) -> Node | None:
    """The node that may absorb a node."""
    if node.kind is not Kind.MAP or len(node.inputs) != 1:
        return None
    (edge,) = node.inputs.values()
    producer = nodes[edge.node]
    if edge.path or users[producer.id] > 1 or producer.kind is not Kind.MAP or producer.scope != node.scope:
        return None
    return producer if _run_alike(producer, node) else None


def _run_alike(producer: Node, consumer: Node) -> bool:
    if not (producer.operation.repeatable and consumer.operation.repeatable):
        return False
    left, right = producer.options, consumer.options
    if left is right or left is None or right is None:
        return left is right
    return bool(left.model_copy(update={"name": None}) == right.model_copy(update={"name": None}))
