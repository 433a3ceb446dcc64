"""`GraphBuilder`: what a flow records into."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

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
        groups: The KEYS nodes so far, by the scope whose rows they group.
    """

    nodes: dict[int, Node] = field(default_factory=dict)
    scopes: list[Scope] = field(default_factory=lambda: list(BASE_SCOPES))
    groups: dict[int, list[Node]] = field(default_factory=dict)
    _values: EqualValues = field(default_factory=EqualValues, repr=False, compare=False)

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
        rows: int | None = None,
    ) -> Edge:
        """Append a node; returns the edge that carries its whole output."""
        number = len(self.nodes)
        self.nodes[number] = Node(
            number, kind, name, operation, dict(inputs or {}), scope, feature, site, options, rows
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
        taken = {scope.name for scope in self.scopes}
        unique = next(shown for shown in _numbered(name) if shown not in taken)
        number = len(self.scopes)
        self.scopes.append(Scope(number, kind, (parent,), unique, len(self.nodes), members, site))
        return number

    def add_source(self, columns: Mapping[str, Feature], site: CallSite | None = None) -> Edge:
        """Append the source."""
        operation = Source(tuple(columns))
        return self.add(Kind.SOURCE, operation, feature=columns, name="source", scope=SOURCE_ROWS, site=site)

    def scope_of(self, edge: Edge) -> int:
        """The scope that what an edge carries belongs to."""
        return self.nodes[edge.node].scope

    def same_values(self, one: Mapping[str, Edge], other: Mapping[str, Edge]) -> bool:
        """Whether inputs have the same names, in order, and equal values, though these were written twice."""
        return self._values.same(self.nodes, self.scopes, one, other)

    def fork(self) -> GraphBuilder:
        """A copy to which nodes can be added without touching this one."""
        groups = {rows: list(nodes) for rows, nodes in self.groups.items()}
        return GraphBuilder(dict(self.nodes), list(self.scopes), groups)

    def build(self) -> Graph:
        """The graph as it stands."""
        return Graph(dict(self.nodes), tuple(self.scopes))

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name} {number}" for number in itertools.count(2))
