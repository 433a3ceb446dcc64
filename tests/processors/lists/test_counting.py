"""Counts of elements against `collections.Counter`."""

from __future__ import annotations

import datetime
import decimal
import math
from collections import Counter

import datasets
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam import FlowError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import evaluate, flow_of

KINDS = {
    pa.int64(): st.integers(-2, 2),
    pa.string(): st.sampled_from(["", "a", "b", "\U0001f600"]),
    pa.large_binary(): st.sampled_from([b"", b"\xff"]),
    pa.bool_(): st.booleans(),
    pa.decimal128(5, 2): st.sampled_from([decimal.Decimal("1.00"), decimal.Decimal("1.50")]),
    pa.date32(): st.sampled_from([datetime.date(2002, 8, 22), datetime.date(1969, 1, 1)]),
    pa.list_(pa.int64()): st.lists(st.integers(0, 1), max_size=2),
    pa.struct({"a": pa.int64()}): st.fixed_dictionaries({"a": st.none() | st.integers(0, 1)}),
}


def counted(items):
    present = [item for item in items if item is not None]
    counts = Counter(map(repr, present))
    first = {repr(item): item for item in reversed(present)}
    return [{"value": first[key], "count": count} for key, count in counts.items()]


@pytest.mark.parametrize("element", KINDS, ids=str)
@given(data=st.data())
def test_as_a_counter(element, same_as_python, data):
    elements = st.none() | KINDS[element]
    values = data.draw(st.lists(st.none() | st.lists(elements, max_size=6), max_size=5))
    same_as_python(lambda src: src.x.value_counts(), counted, values, element)


def test_nan_and_zeros():
    nan = math.nan
    table = pa.table({"x": [[nan, 0.0, -0.0, nan], [-0.0]]})
    (first, second) = evaluate(flow_of(table.schema).x.value_counts(), table).to_pylist()
    assert math.isnan(first[0]["value"])
    assert [(first[0]["count"]), first[1]] == [2, {"value": 0.0, "count": 2}]
    assert math.copysign(1, second[0]["value"]) == 1


def test_lists_of_a_fixed_size_of_nulls_and_of_labels():
    fixed = pa.table({"x": pa.array([[1, 1], None, [2, None]], pa.list_(pa.int64(), 2))})
    assert evaluate(flow_of(fixed.schema).x.value_counts(), fixed).to_pylist() == [
        [{"value": 1, "count": 2}],
        None,
        [{"value": 2, "count": 1}],
    ]
    nulls = pa.table({"x": pa.array([[None, None], [], None], pa.list_(pa.null()))})
    assert evaluate(flow_of(nulls.schema).x.value_counts(), nulls).to_pylist() == [[], [], None]
    label = datasets.ClassLabel(names=["a", "b"])
    made = feature_of(flow_of({"x": datasets.LargeList(label)}).x.value_counts())
    assert made == datasets.LargeList({"value": label, "count": datasets.Value("int64")})


def test_more_elements_than_are_looked_at_together():
    values = [[number % 7 for number in range(row % 50)] for row in range(3000)]
    table = pa.table({"x": pa.array([None, *values, []], pa.list_(pa.int64()))})
    found = evaluate(flow_of(table.schema).x.value_counts(), table).to_pylist()
    assert found == [None, *map(counted, values), []]


def test_text_is_refused():
    with pytest.raises(FlowError, match="has no method 'value_counts'"):
        flow_of(pa.schema({"t": pa.string()})).t.value_counts()
