"""`sort` and `unique` against plain Python."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from datasets import LargeList, List, Value
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionTypeError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import evaluate, flow_of

KINDS = {
    pa.int8(): st.integers(-3, 3),
    pa.uint64(): st.sampled_from([0, 1, 2**63, 2**64 - 1]),
    pa.float32(): st.sampled_from([0.0, 1.5, -2.0, math.inf, -math.inf, math.nan]),
    pa.string(): st.text("aé😀", max_size=2),
    pa.binary(): st.binary(max_size=1),
    pa.bool_(): st.booleans(),
    pa.decimal128(9, 2): st.decimals(-2, 2, places=2),
    pa.timestamp("s", "UTC"): st.none(),
    pa.timestamp("us"): st.datetimes(),
    pa.date32(): st.dates(),
}


def order(item):
    return (1, 0) if isinstance(item, float) and math.isnan(item) else (0, item)


def in_order(items, *, descending=False):
    present = sorted((item for item in items if item is not None), key=order, reverse=descending)
    return [None] * (len(items) - len(present)) + present


def first_of_each(items):
    seen, kept = set(), []
    for item in items:
        key = "nan" if isinstance(item, float) and math.isnan(item) else item
        if key not in seen:
            seen.add(key)
            kept.append(item)
    return kept


@pytest.mark.parametrize("element", KINDS, ids=str)
@given(data=st.data())
def test_sort_and_unique(element, same_as_python, data):
    items = st.lists(st.none() | KINDS[element], max_size=6)
    values = data.draw(st.lists(st.none() | items, max_size=6))
    same_as_python(lambda src: src.x.sort(), in_order, values, element)
    same_as_python(
        lambda src: src.x.sort(descending=True),
        lambda items: in_order(items, descending=True),
        values,
        element,
    )
    same_as_python(lambda src: src.x.unique(), first_of_each, values, element)


def test_both_zeros_are_one():
    table = pa.table({"x": [[-0.0, 0.0, 1.0]]})
    (kept,) = evaluate(flow_of(table.schema).x.unique(), table).to_pylist()
    assert [math.copysign(1, value) for value in kept] == [-1, 1]


def test_a_fixed_length_survives_sorting_only():
    kind = List(Value("int64"), length=2)
    src = flow_of({"x": kind})
    assert feature_of(src.x.sort()) == kind
    assert feature_of(src.x.unique()) == List(Value("int64"))
    assert feature_of(flow_of({"x": LargeList(Value("string"))}).x.unique()) == LargeList(Value("string"))
    table = pa.table({"x": pa.array([[0, 0], [2, 1], None, [3, None]], pa.list_(pa.int64(), 2)).slice(1)})
    assert evaluate(src.x.sort(), table).to_pylist() == [[1, 2], None, [None, 3]]
    assert evaluate(src.x.sort(), table.slice(0, 1)).to_pylist() == [[1, 2]]
    assert evaluate(src.x.unique(), table).to_pylist() == [[2, 1], None, [3, None]]


def test_nulls_alone():
    table = pa.table({"x": pa.array([[None, None], [], None], pa.list_(pa.null()))})
    assert evaluate(flow_of(table.schema).x.sort(), table).to_pylist() == [[None, None], [], None]
    assert evaluate(flow_of(table.schema).x.unique(), table).to_pylist() == [[None], [], None]


def test_lists_without_an_order_are_refused():
    src = flow_of({"x": List({"a": Value("int64")})})
    with pytest.raises(DefinitionTypeError, match="a list of numbers, texts"):
        src.x.sort()


def test_nulls_last(same_as_python):
    values = [[2, None, 1, None], [None], [], None]
    for descending in (False, True):
        same_as_python(
            lambda src, descending=descending: src.x.sort(descending=descending, nulls_last=True),
            lambda items, descending=descending: [
                *sorted((item for item in items if item is not None), reverse=descending),
                *(item for item in items if item is None),
            ],
            values,
            pa.int64(),
        )


@given(data=st.data())
def test_integers_far_apart(same_as_python, data):
    far = st.sampled_from([-(2**63), 2**63 - 1, 0, 5, -5])
    values = data.draw(st.lists(st.none() | st.lists(st.none() | far, max_size=6), max_size=6))
    same_as_python(lambda src: src.x.sort(), in_order, values, pa.int64())
    same_as_python(lambda src: src.x.unique(), first_of_each, values, pa.int64())


@pytest.mark.parametrize(
    "element", [pa.int64(), pa.float64(), pa.string(), pa.struct([("a", pa.int8())])], ids=str
)
def test_more_elements_than_are_looked_at_together(element):
    """Lists that end at, cross, and are longer than the portions in which they are worked on."""
    random = np.random.default_rng(0)
    lengths = [0, 0, 16_384, 3, 40_000, 0, *random.integers(0, 50, 500), 0]
    numbers = [random.integers(0, 60, length).tolist() for length in lengths]
    if pa.types.is_string(element):
        numbers = [[f"{item:02}" for item in items] for items in numbers]
    if pa.types.is_floating(element):
        numbers = [[item / 2 for item in items] for items in numbers]
    values = [[None if item == items[0] else item for item in items] for items in numbers]
    if pa.types.is_struct(element):
        rows = [[{"a": item} for item in items] for items in values]
        table = pa.table({"x": pa.array([*rows, None], pa.list_(element))})
        found = evaluate(flow_of(table.schema).x.unique(), table).to_pylist()
        assert found == [*([{"a": item} for item in first_of_each(items)] for items in values), None]
        return
    table = pa.table({"x": pa.array([*values, None], pa.list_(element))})
    src = flow_of(table.schema)
    assert evaluate(src.x.sort(), table).to_pylist() == [*map(in_order, values), None]
    assert evaluate(src.x.unique(), table).to_pylist() == [*map(first_of_each, values), None]


def test_zeros_are_ordered_alike_whatever_came_before():
    table = pa.table({"x": [[0.0], [0.0, -0.0]]})
    src = flow_of(table.schema)
    for rows in (table, table.slice(1)):
        last = evaluate(src.x.sort(), rows).to_pylist()[-1]
        assert [math.copysign(1, value) for value in last] == [-1, 1]


def test_structs_are_compared_field_by_field():
    kind = pa.list_(pa.struct([("a", pa.int64()), ("b", pa.struct([("c", pa.string())]))]))
    same, other = {"a": 1, "b": {"c": "x"}}, {"a": 1, "b": None}
    items = [same, other, None, {"a": 1, "b": {"c": None}}, same, None, {"a": None, "b": None}, other]
    table = pa.table({"x": pa.array([items, None, [same]], kind)})
    found = evaluate(flow_of(table.schema).x.unique(), table).to_pylist()
    assert found == [[same, other, None, {"a": 1, "b": {"c": None}}, {"a": None, "b": None}], None, [same]]


def test_lists_of_lists_have_no_duplicates_to_find():
    src = flow_of({"x": List(List(Value("int64")))})
    with pytest.raises(DefinitionTypeError, match=r"unique\(\) cannot compare the elements") as raised:
        src.x.unique()
    assert "structs of them" in raised.value.hint
