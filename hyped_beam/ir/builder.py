"""`GraphBuilder`: what a flow records into."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cloudpickle

from hyped_beam.errors import CallSite
from hyped_beam.ir.equality import EqualValues
from hyped_beam.ir.graph import Edge, Graph, Kind, Node, Operation, Source
from hyped_beam.ir.scope import BASE_SCOPES, DATASET, SOURCE_ROWS, Scope, ScopeKind
from hyped_beam.types.features import Feature


@dataclass
class GraphBuilder:
    """A graph that grows: what a `DataFlow` records into.

    Attributes:
        nodes: The nodes so far.
        scopes: The scopes so far.
        groups: The KEYS nodes so far, by the scope whose rows they group, and the values that they are.
        origin: How the graph came about, for messages: "fitted", "frozen" or "loaded"; empty for one that was
            recorded from its source on.
    """

    nodes: dict[int, Node] = field(default_factory=dict)
    scopes: list[Scope] = field(default_factory=lambda: list(BASE_SCOPES))
    groups: dict[Hashable, list[Node]] = field(default_factory=dict)
    origin: str = ""

    def __post_init__(self) -> None:
        self._values = EqualValues(self.nodes, self.scopes)
        self._names = _Names(scope.name for scope in self.scopes)

    def add(  # noqa: PLR0913 - the fields of a node, all by name
        self,
        kind: Kind,
        operation: Operation,
        *,
        feature: Feature,
        name: str,
        inputs: Mapping[str, Edge] | None = None,
        scope: int = DATASET,
        site: CallSite | None = None,
        options: Any = None,
        input_scope: int | None = None,
    ) -> Edge:
        """Append a node; returns the edge that carries its whole output."""
        number = len(self.nodes)
        self.nodes[number] = Node(
            number, kind, name, operation, dict(inputs or {}), scope, feature, site, options, input_scope
        )
        return Edge(number)

    def add_scope(
        self,
        kind: ScopeKind,
        name: str,
        *,
        parent: int = DATASET,
        members: int | None = None,
        site: CallSite | None = None,
    ) -> int:
        """Append a scope, whose node is the one that is added next; returns its number."""
        number = len(self.scopes)
        unique = self._names.unique(name)
        self.scopes.append(Scope(number, kind, (parent,), unique, len(self.nodes), members, site))
        return number

    def add_source(self, columns: Mapping[str, Feature], site: CallSite | None = None) -> Edge:
        """Append the source."""
        operation = Source(tuple(columns))
        return self.add(Kind.SOURCE, operation, feature=columns, name="source", scope=SOURCE_ROWS, site=site)

    def scope_of(self, edge: Edge) -> int:
        """The scope that what an edge carries belongs to."""
        return self.nodes[edge.node].scope

    def values_of(self, inputs: Mapping[str, Edge]) -> Hashable:
        """Equal for inputs of the same names, in order, and equal values, though these were written twice."""
        return self._values.of(inputs)

    def equal_node(self, wanted: Node, parents: Sequence[int]) -> Node | None:
        """The first node that gives the same as one that was not added; None if none does.

        Args:
            wanted: The node; its number says nothing.
            parents: Of a node that makes rows the scopes of those that it makes them of.
        """
        return self._values.node(wanted, parents)

    def fork(self) -> GraphBuilder:
        """A copy to which nodes can be added without touching this one."""
        groups = {of: list(nodes) for of, nodes in self.groups.items()}
        return GraphBuilder(dict(self.nodes), list(self.scopes), groups, self.origin)

    def build(self) -> Graph:
        """The graph as it stands."""
        return Graph(dict(self.nodes), tuple(self.scopes))

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def __reduce__(self) -> tuple[Any, ...]:
        # Nodes may be of __main__ or of a function. What is known of equal values is found anew.
        return _restored, (cloudpickle.dumps((self.nodes, self.scopes, self.groups, self.origin)),)


def _restored(content: bytes) -> GraphBuilder:
    return GraphBuilder(*pickle.loads(content))  # noqa: S301 - a part of what somebody unpickles already


class _Names:
    """Names of scopes, each of which is there once."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._numbers: dict[str, Iterator[int]] = {}

    def unique(self, name: str) -> str:
        """A name, with the first number behind it that makes it another one where it is taken."""
        shown = name
        while shown in self._taken:
            shown = f"{name} {next(self._numbers.setdefault(name, itertools.count(2)))}"
        self._taken.add(shown)
        return shown
