"""The error for values of different rows that are used together: which rows, and what to write instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hyped_beam.errors import CallSite, DefinitionError
from hyped_beam.ir.builder import GraphBuilder
from hyped_beam.ir.scope import DATASET, Scope, ScopeKind, paths, reaches


def different_rows(
    parts: str, builder: GraphBuilder, used: Mapping[str, int], site: CallSite | None
) -> DefinitionError:
    """The error for inputs that meet in no rows.

    Args:
        parts: What they are, such as "the inputs of Add".
        builder: The graph of the flow.
        used: The scope of each input, by the name of the input.
        site: The line that mixes them.
    """
    scopes = builder.scopes
    first, second = _apart(scopes, used)
    names = (next(name for name, scope in used.items() if scope == one) for one in (first, second))
    rows = ", ".join(
        f"{name!r} has {described(scopes[scope])}" for name, scope in zip(names, (first, second), strict=True)
    )
    return DefinitionError(
        f"{parts} belong to different rows: {rows}",
        site=site,
        hint=_hint(builder, first, second),
    )


def described(scope: Scope) -> str:
    """What the rows of a scope are, and where they were made."""
    at = f", made at {scope.site}" if scope.site else ""
    if scope.kind is ScopeKind.DATASET:
        return "one value for the whole dataset"
    if scope.kind is ScopeKind.GROUPS:
        return f"a value for each of the {scope.name}{at}"
    return f"the rows of {scope.name}{at}" if scope.kind is ScopeKind.ROWS else "the rows of the source"


def _apart(scopes: Sequence[Scope], used: Mapping[str, int]) -> tuple[int, int]:
    """Two of the scopes that do not reach each other."""
    distinct = sorted(set(used.values()) - {DATASET})
    return next(
        (one, other)
        for one in distinct
        for other in distinct
        if one != other and not reaches(scopes, one, other) and not reaches(scopes, other, one)
    )


def _hint(builder: GraphBuilder, one: int, other: int) -> str:
    scopes = builder.scopes
    kinds = {scopes[one].kind, scopes[other].kind}
    groups = next((scopes[scope] for scope in (one, other) if scopes[scope].kind is ScopeKind.GROUPS), None)
    if groups is not None and kinds != {ScopeKind.GROUPS}:
        rest = other if groups.id == one else one
        members = groups.members if groups.members is not None else DATASET
        if paths(scopes, members, rest):
            rows = scopes[rest].name
            if not _are_chosen(builder, members, rest):
                return (
                    f"one row has several of {scopes[members].name}: aggregate them per row first, as "
                    "in Sum().call(Sum().call(x, by=ops.each(row)), by=row.key), or collect at the rows of "
                    f"{scopes[members].name}: ops.align(row, to=x)"
                )
            return (
                f"these are groups of {scopes[members].name} only; for one of all {rows}, group {rows} and "
                "choose with where=: Mean().call(x, by=..., where=condition)"
            )
        return "group the rows themselves: by=..."
    if kinds == {ScopeKind.GROUPS}:
        return "use both at the rows that they are groups of"
    if kinds == {ScopeKind.ROWS} and scopes[one].parents == scopes[other].parents:
        return (
            "make the rows once and use them for both, filter by both conditions (a & b), or aggregate back "
            "with by=ops.each(...); equal calls make the same rows, unless a node that they use is not "
            "repeatable"
        )
    return (
        "a value of all rows can be used at filtered or exploded ones, not the other way round; "
        "aggregate these back with by=ops.each(...)"
    )


def _are_chosen(builder: GraphBuilder, rows: int, among: int) -> bool:
    """Whether some rows are those of others for which conditions are true."""
    (*made, _), *_ = paths(builder.scopes, rows, among)
    nodes = [builder.scopes[scope].node for scope in made]
    return all(
        node is not None and getattr(builder.nodes[node].operation, "condition", lambda: None)() is not None
        for node in nodes
    )
