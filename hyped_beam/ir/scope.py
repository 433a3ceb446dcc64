"""Row scopes: which rows a value belongs to, and which values may be used together."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hyped_beam.errors import CallSite


class ScopeKind(enum.Enum):
    """How the rows of a scope come about."""

    DATASET = "dataset"
    SOURCE = "source rows"
    ROWS = "rows"
    GROUPS = "groups"


@dataclass(frozen=True)
class Scope:
    """A set of rows.

    Attributes:
        id: Its number in the graph; parents have smaller ones.
        kind: How its rows come about.
        parents: The scopes whose rows its rows belong to, each by a total map.
        name: What to call it in plans and messages.
        node: The node that makes its rows (a ROWS node) or finds its groups (a KEYS node), if one does.
        members: The scope whose rows belong to its groups; None where it has no groups.
        site: The line of the user's code that made it.
    """

    id: int
    kind: ScopeKind
    parents: tuple[int, ...]
    name: str
    node: int | None = None
    members: int | None = None
    site: CallSite | None = None


DATASET = 0
"""The scope with one row, the whole dataset; every other scope reaches it."""

SOURCE_ROWS = 1
"""The rows of the source."""

BASE_SCOPES = (
    Scope(DATASET, ScopeKind.DATASET, (), "dataset"),
    Scope(SOURCE_ROWS, ScopeKind.SOURCE, (DATASET,), "rows"),
)


def paths(scopes: Sequence[Scope], child: int, ancestor: int) -> list[tuple[int, ...]]:
    """The ways by which the rows of `child` reach rows of `ancestor`, each as the scopes along it."""
    if child == ancestor:
        return [(child,)]
    if child == DATASET:
        return []
    if ancestor == DATASET:
        return [(child, DATASET)]
    ends: dict[int, tuple[int, ...]] = {ancestor: (ancestor,)}  # behind groups only groups of them
    outer = ancestor
    while (members := scopes[outer].members) is not None:
        ends[members] = (members, *ends[outer])
        outer = members
    return _paths_to(scopes, child, ancestor, ends)


def _paths_to(
    scopes: Sequence[Scope], child: int, ancestor: int, ends: Mapping[int, tuple[int, ...]]
) -> list[tuple[int, ...]]:
    """The ways from a scope over those that it is made from to where one of the ends begins."""
    if child == ancestor:
        return [ends[child]]
    made_from = [
        (child, *rest)
        for parent in scopes[child].parents
        if parent != DATASET
        for rest in _paths_to(scopes, parent, ancestor, ends)
    ]
    return [*made_from, ends[child]] if child in ends else made_from


def reaches(scopes: Sequence[Scope], child: int, ancestor: int) -> bool:
    """Whether the rows of `child` reach those of `ancestor` by exactly one path."""
    return len(paths(scopes, child, ancestor)) == 1


def meeting_scope(scopes: Sequence[Scope], used: Iterable[int]) -> int | None:
    """The scope among `used` whose rows reach all the others by exactly one path; None if there is none.

    Every scope reaches the whole dataset, whatever lies between, and by definition in one way.
    """
    distinct = set(used) - {DATASET} or {DATASET}
    if len(distinct) == 1:
        return distinct.pop()
    for candidate in sorted(distinct, reverse=True):
        if all(reaches(scopes, candidate, other) for other in distinct):
            return candidate
    return None


def lineage(scopes: Sequence[Scope], scope: int) -> Iterator[Scope]:
    """The scopes from which the rows or groups of a scope are made, from itself outwards."""
    while scope != DATASET:
        found = scopes[scope]
        yield found
        scope = found.parents[0] if found.members is None else found.members


def domain_of(scopes: Sequence[Scope], scope: int) -> int:
    """The scope from whose rows those of `scope` are made step by step: the source's, groups, the dataset."""
    while scopes[scope].kind is ScopeKind.ROWS:
        (scope,) = scopes[scope].parents
    return scope
