"""Row scopes: which rows a value belongs to, and which values may be used together."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class ScopeKind(enum.Enum):
    """How the rows of a scope come about."""

    DATASET = "dataset"
    SOURCE = "source rows"


@dataclass(frozen=True)
class Scope:
    """A set of rows.

    Attributes:
        id: Its number in the graph; parents have smaller ones.
        kind: How its rows come about.
        parents: The scopes whose rows its rows belong to, each by a total map.
        name: What to call it in plans and messages.
    """

    id: int
    kind: ScopeKind
    parents: tuple[int, ...]
    name: str


DATASET = 0
"""The scope with one row, the whole dataset; every other scope reaches it."""

SOURCE_ROWS = 1
"""The rows of the source."""

BASE_SCOPES = (
    Scope(DATASET, ScopeKind.DATASET, (), "dataset"),
    Scope(SOURCE_ROWS, ScopeKind.SOURCE, (DATASET,), "rows"),
)


def count_paths(scopes: Sequence[Scope], child: int, ancestor: int) -> int:
    """The number of paths by which the rows of `child` reach rows of `ancestor`."""
    if child == ancestor:
        return 1
    return sum(count_paths(scopes, parent, ancestor) for parent in scopes[child].parents)


def meeting_scope(scopes: Sequence[Scope], used: Iterable[int]) -> int | None:
    """The scope among `used` whose rows reach all the others by exactly one path; None if there is none.

    Every scope reaches the whole dataset, whatever lies between, and by definition in one way.
    """
    distinct = set(used) - {DATASET} or {DATASET}
    if len(distinct) == 1:
        return distinct.pop()
    for candidate in sorted(distinct, reverse=True):
        if all(count_paths(scopes, candidate, other) == 1 for other in distinct):
            return candidate
    return None
