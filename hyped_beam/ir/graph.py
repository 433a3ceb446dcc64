"""The graph: nodes of a few kinds, joined by edges that name an output and a path into it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

import pyarrow as pa

from hyped_beam.errors import CallSite
from hyped_beam.ir.scope import BASE_SCOPES, DATASET, SOURCE_ROWS, Scope, lineage
from hyped_beam.types import features
from hyped_beam.types.features import Feature


class Kind(enum.Enum):
    """What a node is to the compiler, which knows nothing else about it."""

    SOURCE = "source"
    CONST = "const"
    MAP = "map"
    ROWS = "rows"
    KEYS = "keys"
    AGGREGATE = "aggregate"
    SINK = "sink"


class Operation(Protocol):
    """What a node computes, as much of it as the graph must know."""

    @property
    def repeatable(self) -> bool:
        """Whether running it again on the same input gives the same and does no harm."""

    def identity(self) -> Hashable:
        """Equal for two operations that compute the same."""

    def describe(self) -> str:
        """Its configuration in a few characters, for plans and pictures."""


@dataclass(frozen=True)
class Source:
    """The rows that enter the flow.

    Attributes:
        columns: Names of the columns that are read.
        unread: How many further columns there are.
    """

    columns: tuple[str, ...]
    unread: int = 0
    repeatable: bool = True

    def identity(self) -> Hashable:  # noqa: D102 - see Operation
        return self.columns

    def describe(self) -> str:  # noqa: D102
        return ", ".join(self.columns)


@dataclass(frozen=True)
class Constant:
    """A value that is the same everywhere."""

    scalar: pa.Scalar
    repeatable: bool = True

    def identity(self) -> Hashable:  # noqa: D102
        return (str(self.scalar.type), repr(self.scalar.as_py()))

    def describe(self) -> str:  # noqa: D102
        shown = repr(self.scalar.as_py())
        return shown if len(shown) <= 40 else shown[:37] + "..."  # noqa: PLR2004


@dataclass(frozen=True)
class GroupConstant:
    """A value of each group of a fitted flow, in the order of the groups' keys."""

    values: pa.Array
    repeatable: bool = True

    def identity(self) -> Hashable:  # noqa: D102
        return id(self.values)

    def describe(self) -> str:  # noqa: D102
        return f"{len(self.values):,} groups"


Join: TypeAlias = Literal["auto", "broadcast", "shuffle"]
"""How values find the rows with their key: all go to every process, or each to where it is used.

"auto" lets the plan choose."""


@dataclass(frozen=True)
class Keys:
    """The keys of groups.

    Attributes:
        known: The keys that a fitted flow has seen, a struct of them; None where they are found by running.
        unseen: What is done with a key that is not among the known ones: values are "null", or an "error".
        join: How values of groups that are found by running get back to the rows.
    """

    known: pa.StructArray | None = None
    unseen: str = "null"
    join: Join = "auto"
    repeatable: bool = True

    def identity(self) -> Hashable:  # noqa: D102
        return self.join if self.known is None else (id(self.known), self.unseen)

    def describe(self) -> str:  # noqa: D102
        if self.known is not None:
            return f"{len(self.known):,} groups"
        return "" if self.join == "auto" else f"join={self.join}"


@dataclass(frozen=True)
class Sink:
    """An output of the flow."""

    name: str
    repeatable: bool = False

    def identity(self) -> Hashable:  # noqa: D102
        return self.name

    def describe(self) -> str:  # noqa: D102
        return repr(self.name)


@dataclass(frozen=True, slots=True)
class Edge:
    """One input of a node: the output of another, or a field inside it.

    Attributes:
        node: Number of the node whose output is used.
        path: Names of the fields from that output inwards; empty for the whole.
    """

    node: int
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((f"%{self.node}", *self.path))


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A step of the flow.

    Attributes:
        id: Its number, unchanged by passes; inputs have smaller ones unless a pass made them.
        kind: What the compiler may do with it.
        name: What to call it in plans, pictures and messages.
        operation: What it computes.
        inputs: Its inputs by name.
        scope: The rows that its output belongs to; inputs of scopes that these reach are repeated for them.
        feature: The type of its output.
        site: The line of the user's code that made it.
        options: How it runs, opaque here.
        input_scope: Of an AGGREGATE or KEYS the scope whose rows are put together; None for all others.
    """

    id: int
    kind: Kind
    name: str
    operation: Any
    inputs: Mapping[str, Edge]
    scope: int
    feature: Feature
    site: CallSite | None = None
    options: Any = None
    input_scope: int | None = None


@dataclass(frozen=True)
class Graph:
    """A data flow. Its nodes come in an order in which each stands behind its inputs."""

    nodes: Mapping[int, Node]
    scopes: tuple[Scope, ...] = BASE_SCOPES

    @property
    def sinks(self) -> list[Node]:
        """The outputs, in the order in which they were asked for."""
        return [node for node in self.nodes.values() if node.kind is Kind.SINK]

    @property
    def source(self) -> Node:
        """The one source."""
        return next(node for node in self.nodes.values() if node.kind is Kind.SOURCE)

    def feature(self, edge: Edge) -> Feature:
        """The type of what an edge carries."""
        found = self.nodes[edge.node].feature
        for name in edge.path:
            found = features.fields(found)[name]
        return found

    def with_nodes(self, nodes: Iterable[Node]) -> Graph:
        """The same flow with other nodes."""
        return replace(self, nodes={node.id: node for node in nodes})

    def renumbered(self) -> Graph:
        """The same flow with its nodes numbered from 0, whatever else was recorded before them."""
        places = {number: place for place, number in enumerate(self.nodes)}
        rewired = self.rewire(lambda edge: Edge(places[edge.node], edge.path))
        used = sorted({scope for node in self.nodes.values() for scope in self._scopes_of(node)})
        numbers = {scope: number for number, scope in enumerate(dict.fromkeys((DATASET, SOURCE_ROWS, *used)))}
        scopes = [
            replace(
                self.scopes[scope],
                id=number,
                parents=tuple(numbers[parent] for parent in self.scopes[scope].parents),
                node=_renumbered(places, self.scopes[scope].node),
                members=_renumbered(numbers, self.scopes[scope].members),
            )
            for scope, number in numbers.items()
        ]
        nodes = {
            places[node.id]: replace(
                node,
                id=places[node.id],
                scope=numbers[node.scope],
                input_scope=_renumbered(numbers, node.input_scope),
            )
            for node in rewired.nodes.values()
        }
        return Graph(nodes, tuple(scopes))

    def _scopes_of(self, node: Node) -> set[int]:
        used = {node.scope} if node.input_scope is None else {node.scope, node.input_scope}
        return {made.id for scope in used for made in lineage(self.scopes, scope)}

    def rewire(self, new_edge: Callable[[Edge], Edge]) -> Graph:
        """The same flow with every edge replaced by what a function makes of it."""
        return self.with_nodes(
            replace(node, inputs={name: new_edge(edge) for name, edge in node.inputs.items()})
            if node.inputs
            else node
            for node in self.nodes.values()
        )


def makers(graph: Graph, scopes: Iterable[int]) -> set[int]:
    """The nodes that make the rows and groups of scopes, and those they are made from."""
    found = (made.node for scope in scopes for made in lineage(graph.scopes, scope))
    return {node for node in found if node is not None}


def needs(graph: Graph, node: Node) -> set[int]:
    """The nodes that a node waits for: its inputs, and what makes the rows that it and they are about."""
    scopes = {node.scope, *(graph.nodes[edge.node].scope for edge in node.inputs.values())}
    if node.input_scope is not None:
        scopes.add(node.input_scope)
    return ({edge.node for edge in node.inputs.values()} | makers(graph, scopes)) - {node.id}


def _renumbered(numbers: Mapping[int, int], number: int | None) -> int | None:
    return None if number is None else numbers.get(number)
