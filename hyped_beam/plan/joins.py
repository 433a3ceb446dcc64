"""How values of groups get back to rows: from one place to every process, or each to where it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from hyped_beam.ir.graph import Graph, Kind, Node
from hyped_beam.ir.scope import DATASET, domain_of
from hyped_beam.nodes.tables import TableByKey
from hyped_beam.plan.levels import Levels
from hyped_beam.types import features
from hyped_beam.types.features import Feature

PARTITIONS = 32
"""How many partitions of keys there are: always as many, so that outputs are the same on every runner."""

BROADCAST_BYTES = 256 << 20
BROADCAST_ROWS = 16 << 20
"""A source of no more than both has no more groups than a process holds beside a range of rows."""

TABLE_BYTES = 64 << 20
TABLE_ROWS = 4 << 20
"""A table of no more than both is held by each process, with all of its columns."""

FEW_KEYS = 10_000
"""Groups that a process holds without anybody noticing."""

_TOLD = {
    "auto": f"in jobs by a shuffle if the table has over {TABLE_BYTES >> 20} MB",
    "broadcast": "",
    "shuffle": "in jobs by a shuffle",
}
"""What is said of a lookup outside of jobs, by its `join`."""

_BITS = {"int8": 8, "uint8": 8, "bool": 1, "bool_": 1}


@dataclass(frozen=True)
class Extent:
    """How large a source is, as far as it tells before it is read.

    Attributes:
        size: Its bytes as they are stored; None where they are not known.
        rows: Its rows; None where they are not known.
    """

    size: int | None = None
    rows: int | None = None

    def is_within(self, size: int, rows: int) -> bool:
        """Whether it is known to be no larger."""
        return self.size is not None and self.size <= size and (self.rows or 0) <= rows


@dataclass(frozen=True)
class Choice:
    """How the values of some groups get to the rows.

    Attributes:
        shuffled: Whether by a shuffle; otherwise they are put together in one place, and broadcast.
        reason: Why, where nobody has said so.
        open: Whether it is chosen once the job is known, or its source.
    """

    shuffled: bool
    reason: str = ""
    open: bool = False

    @property
    def how(self) -> str:
        """Where the groups are put together."""
        return "by a shuffle" if self.shuffled else "in one place"


def choose_joins(levels: Levels, extent: Extent | None) -> Mapping[int, Choice]:
    """The choice for each grouping whose groups are found by a scan, by the number of its KEYS node.

    It depends on the flow and on the source alone, so that it is the same on every runner.

    Args:
        levels: The levels of the graph.
        extent: How large the source is; None where there is none yet.
    """
    graph = levels.graph
    together = _put_together(graph)
    return {
        node.id: _choice(node, together.get(node.scope), extent)
        for node in graph.nodes.values()
        if node.kind is Kind.KEYS and not levels.is_constant(node) and levels.is_reduced(node)
    }


def _choice(node: Node, user: Node | None, extent: Extent | None) -> Choice:
    if user is not None:
        return Choice(shuffled=False, reason=f"%{user.id} takes all groups")
    if node.operation.join != "auto":
        return Choice(shuffled=node.operation.join == "shuffle")
    most = _most_keys(node.feature)
    if most is not None and most <= FEW_KEYS:
        return Choice(shuffled=False, reason=f"at most {most:,} keys")
    if extent is None:
        told = f"by a shuffle if the source has over {_shown(BROADCAST_BYTES)}"
        return Choice(shuffled=False, reason=told, open=True)
    if extent.is_within(BROADCAST_BYTES, BROADCAST_ROWS):
        return Choice(shuffled=False, reason="the source is small")
    if extent.size is None:
        return Choice(shuffled=True, reason="the source does not tell its size")
    return Choice(shuffled=True, reason=f"the source has {_shown(extent.size)}")


def choose_lookups(levels: Levels) -> Mapping[int, Choice]:
    """The choice for each lookup of rows of the source in a second table, by the number of its node.

    Raises:
        InputError: The table is missing or damaged.
    """
    return {node.id: _choice_of_table(node.operation.table_by_key()) for node in lookups(levels)}


def open_lookups(levels: Levels) -> Mapping[int, Choice]:
    """What is said of lookups outside of jobs: that the process holds the table, and what jobs would do."""
    return {
        node.id: Choice(shuffled=False, reason=_TOLD[join], open=join != "broadcast")
        for node in lookups(levels)
        for join in (node.operation.table_by_key().join,)
    }


def lookups(levels: Levels) -> list[Node]:
    """The nodes that look values of the source's rows up in a second table."""
    return [
        node
        for node in levels.graph.nodes.values()
        if node.kind is Kind.MAP and levels.in_scan(node.scope) and table_of(node.operation) is not None
    ]


def table_of(operation: Any) -> TableByKey | None:
    """The table in which an operation looks its input up; None where it is no lookup."""
    found: TableByKey | None = operation.table_by_key() if hasattr(operation, "table_by_key") else None
    return found


def _choice_of_table(table: TableByKey) -> Choice:
    if table.join != "auto":
        return Choice(shuffled=table.join == "shuffle")
    extent = Extent(*table.reader.extent())
    if extent.is_within(TABLE_BYTES, TABLE_ROWS):
        return Choice(shuffled=False, reason="the table is small")
    told = "does not tell its size" if extent.size is None else f"has {_shown(extent.size)}"
    return Choice(shuffled=True, reason=f"the table {told}")


def _put_together(graph: Graph) -> dict[int, Node]:
    """By the scope of groups what needs all of them at once: an aggregate over them, or groups of them.

    What tells them apart by their numbers does, too.
    """
    found: dict[int, Node] = {}
    for node in graph.nodes.values():
        rows = node.input_scope
        if rows is None and getattr(node.operation, "tells_rows_apart", False):
            rows = node.scope
        if rows is None:
            continue
        groups = domain_of(graph.scopes, rows)
        is_within = node.input_scope is not None and domain_of(graph.scopes, node.scope) == groups
        if groups != DATASET and graph.scopes[groups].members is not None and not is_within:
            found.setdefault(groups, node)
    return found


def _most_keys(feature: Feature) -> int | None:
    """How many keys there can be; None where there is no telling."""
    counts = [_most_values(key) for key in features.fields(feature).values()]
    known = [count for count in counts if count is not None]
    return prod(known) if len(known) == len(counts) else None


def _most_values(feature: Feature) -> int | None:
    """How many values a key may have, null among them."""
    if features.family(feature) is features.Family.NULL:
        return 1
    classes = getattr(feature, "num_classes", None)
    if classes is not None:
        return int(classes) + 1
    bits = _BITS.get(getattr(feature, "dtype", ""))
    return None if bits is None else 2**bits + 1


def _shown(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MB" if size >= 1 << 20 else f"{size / (1 << 10):,.0f} KB"
