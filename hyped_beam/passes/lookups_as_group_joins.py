"""Look up each key once: lookups of rows become lookups of the groups that have the key."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from hyped_beam.ir.graph import Edge, Graph, Keys, Kind, Node
from hyped_beam.ir.scope import DATASET, Scope, ScopeKind

_KEY = "key"


def lookups_as_group_joins(graph: Graph, chosen: Collection[int]) -> Graph:
    """Have some lookups done for the groups of the rows by what is looked up; rows find it by the key.

    So a lookup is a value of groups like any other: what a shuffle does for these it does for the table.

    Args:
        graph: The graph.
        chosen: The numbers of the lookups, each a MAP node with one input.
    """
    if not chosen:
        return graph
    nodes: list[Node] = []
    scopes = list(graph.scopes)
    made: dict[tuple[int, Edge], Node] = {}
    free = max(graph.nodes) + 1
    for node in graph.nodes.values():
        if node.id not in chosen:
            nodes.append(node)
            continue
        ((name, edge),) = node.inputs.items()
        keys = made.get((node.scope, edge))
        if keys is None:
            keys = made[node.scope, edge] = _keys_of(graph, node, edge, free, len(scopes))
            scopes.append(_groups(node, keys))
            nodes.append(keys)
            free += 1
        nodes.append(replace(node, scope=keys.scope, inputs={name: Edge(keys.id, (_KEY,))}))
    return replace(graph.with_nodes(nodes), scopes=tuple(scopes))


def _keys_of(graph: Graph, node: Node, edge: Edge, number: int, scope: int) -> Node:
    return Node(
        number,
        Kind.KEYS,
        "keys",
        Keys(join="shuffle"),
        {_KEY: edge},
        scope,
        {_KEY: graph.feature(edge)},
        node.site,
        input_scope=node.scope,
    )


def _groups(node: Node, keys: Node) -> Scope:
    name = f"keys of {node.name} (%{node.id})"
    return Scope(keys.scope, ScopeKind.GROUPS, (DATASET,), name, keys.id, node.scope, node.site)
