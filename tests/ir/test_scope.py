"""Scopes: which rows belong to which, and where values meet."""

from __future__ import annotations

from hyped_beam.ir.scope import (
    BASE_SCOPES,
    DATASET,
    SOURCE_ROWS,
    Scope,
    ScopeKind,
    domain_of,
    lineage,
    meeting_scope,
    paths,
    reaches,
)

FILTERED, EXPLODED, GROUPS, OTHERS, OF_FILTERED, OF_GROUPS = range(2, 8)
SCOPES = (
    *BASE_SCOPES,
    Scope(FILTERED, ScopeKind.ROWS, (SOURCE_ROWS,), "filter"),
    Scope(EXPLODED, ScopeKind.ROWS, (FILTERED,), "explode"),
    Scope(GROUPS, ScopeKind.GROUPS, (DATASET,), "groups by k", members=SOURCE_ROWS),
    Scope(OTHERS, ScopeKind.GROUPS, (DATASET,), "groups by l", members=SOURCE_ROWS),
    Scope(OF_FILTERED, ScopeKind.GROUPS, (DATASET,), "groups by m", members=FILTERED),
    Scope(OF_GROUPS, ScopeKind.GROUPS, (DATASET,), "groups by n", members=GROUPS),
)


def test_everything_reaches_the_whole_dataset_by_one_path():
    for scope in SCOPES[1:]:
        assert paths(SCOPES, scope.id, DATASET) == [(scope.id, DATASET)]
    assert not reaches(SCOPES, DATASET, SOURCE_ROWS)


def test_rows_reach_what_they_were_made_from_and_their_groups():
    assert paths(SCOPES, EXPLODED, OF_GROUPS) == [(EXPLODED, FILTERED, SOURCE_ROWS, GROUPS, OF_GROUPS)]
    assert reaches(SCOPES, EXPLODED, OF_FILTERED)
    assert not reaches(SCOPES, SOURCE_ROWS, OF_FILTERED)
    assert not reaches(SCOPES, GROUPS, SOURCE_ROWS)
    assert not reaches(SCOPES, GROUPS, OTHERS)


def test_two_paths_are_none():
    diamond = (*SCOPES, Scope(8, ScopeKind.ROWS, (FILTERED, SOURCE_ROWS), "join"))
    assert len(paths(diamond, 8, SOURCE_ROWS)) == 2
    assert not reaches(diamond, 8, SOURCE_ROWS)
    assert meeting_scope(diamond, [8, SOURCE_ROWS]) is None


def test_values_meet_at_the_rows_that_reach_all():
    assert meeting_scope(SCOPES, []) == DATASET
    assert meeting_scope(SCOPES, [DATASET, DATASET]) == DATASET
    assert meeting_scope(SCOPES, [DATASET, GROUPS]) == GROUPS
    assert meeting_scope(SCOPES, [SOURCE_ROWS, EXPLODED, GROUPS]) == EXPLODED
    assert meeting_scope(SCOPES, [OF_GROUPS, SOURCE_ROWS]) == SOURCE_ROWS
    assert meeting_scope(SCOPES, [OF_GROUPS, GROUPS]) == GROUPS
    assert meeting_scope(SCOPES, [FILTERED, OF_FILTERED, OTHERS]) == FILTERED
    assert meeting_scope(SCOPES, [GROUPS, OTHERS]) is None, "rows that reach both are not among them"
    assert meeting_scope(SCOPES, [SOURCE_ROWS, OF_FILTERED]) is None


def test_rows_and_groups_come_from_the_source():
    assert [scope.id for scope in lineage(SCOPES, EXPLODED)] == [EXPLODED, FILTERED, SOURCE_ROWS]
    assert [scope.id for scope in lineage(SCOPES, OF_GROUPS)] == [OF_GROUPS, GROUPS, SOURCE_ROWS]
    assert list(lineage(SCOPES, DATASET)) == []
    assert [domain_of(SCOPES, scope) for scope in (EXPLODED, OF_FILTERED, DATASET)] == [
        SOURCE_ROWS,
        OF_FILTERED,
        DATASET,
    ]
