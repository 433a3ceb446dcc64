"""A batch: its values, repeated for the rows that belong to theirs."""

from __future__ import annotations

import datasets
import pyarrow as pa
import pytest

from hyped_beam.execute.batch import Batch, take_value
from hyped_beam.ir.graph import Edge
from hyped_beam.ir.scope import BASE_SCOPES, DATASET, SOURCE_ROWS, Scope, ScopeKind

EXPLODED, GROUPS = 2, 3
SCOPES = (
    *BASE_SCOPES,
    Scope(EXPLODED, ScopeKind.ROWS, (SOURCE_ROWS,), "explode"),
    Scope(GROUPS, ScopeKind.GROUPS, (DATASET,), "groups", members=SOURCE_ROWS),
)


@pytest.fixture
def batch():
    batch = Batch({0: {"n": pa.array([1, 2, 3]), "s": {"x": pa.array(["a", "b", None])}}}, 3)
    batch.add_rows(EXPLODED, SOURCE_ROWS, pa.array([0, 0, 2]))
    batch.values[1] = pa.array([10, 20])
    batch.add_rows(GROUPS, DATASET, pa.array([0, 0]))
    batch.maps[SOURCE_ROWS, GROUPS] = pa.array([1, 0, None])
    batch.values[2] = pa.array([7])
    return batch


def resolved(batch, edge, scope, at):
    return batch.resolve(edge, scope, at, SCOPES)


def test_values_are_repeated_along_the_way(batch):
    assert resolved(batch, Edge(0, ("n",)), SOURCE_ROWS, EXPLODED).to_pylist() == [1, 1, 3]
    assert resolved(batch, Edge(0, ("s", "x")), SOURCE_ROWS, EXPLODED).to_pylist() == ["a", "a", None]
    assert resolved(batch, Edge(0, ("s",)), SOURCE_ROWS, EXPLODED)["x"].to_pylist() == ["a", "a", None]
    assert resolved(batch, Edge(1), GROUPS, SOURCE_ROWS).to_pylist() == [20, 10, None]
    assert resolved(batch, Edge(1), GROUPS, EXPLODED).to_pylist() == [20, 20, None]


def test_one_value_stays_one(batch):
    assert resolved(batch, Edge(2), DATASET, EXPLODED) == pa.scalar(7)
    batch.values[3] = pa.scalar("c")
    assert resolved(batch, Edge(3), DATASET, EXPLODED) == pa.scalar("c")
    assert resolved(batch, Edge(0, ("n",)), SOURCE_ROWS, SOURCE_ROWS).to_pylist() == [1, 2, 3]


def test_what_was_repeated_goes_with_its_value(batch):
    first = resolved(batch, Edge(0, ("n",)), SOURCE_ROWS, EXPLODED)
    assert resolved(batch, Edge(0, ("n",)), SOURCE_ROWS, EXPLODED) is first
    batch.release([0])
    assert batch.values.keys() == {1, 2}
    assert not batch.aligned


def test_rows_know_where_they_came_from(batch):
    assert [batch.source_row(SCOPES, EXPLODED, row) for row in (0, 1, 2, None)] == [0, 0, 2, None]
    assert batch.source_row(SCOPES, SOURCE_ROWS, 1) == 1
    assert batch.source_row(SCOPES, GROUPS, 1) is None
    assert list(batch.origins(SCOPES, EXPLODED)) == [0, 0, 2]
    assert list(batch.origins(SCOPES, SOURCE_ROWS)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        (datasets.Array2D(shape=(1, 2), dtype="int64"), [[[1, 2]], [[3, 4]], [[5, 6]]]),
        (datasets.List(datasets.Value("string")), [["a"], None, []]),
        ({"x": datasets.Value("int64")}, [{"x": 1}, None, {"x": None}]),
        (datasets.Value("null"), [None, None, None]),
        (datasets.List(datasets.Value("int64"), length=2), [[1, 2], None, [3, 4]]),
    ],
)
def test_values_of_any_type_are_taken(feature, values):
    features = datasets.Features({"v": feature})
    column = datasets.Dataset.from_dict({"v": values}, features=features).data.table.column("v").chunk(0)
    taken = take_value(column, pa.array([2, None, 0, 0, 1]))
    assert taken.type == column.type
    assert taken.to_pylist() == [values[2], None, values[0], values[0], values[1]]
    assert len(take_value(column, pa.array([], pa.int64()))) == 0
