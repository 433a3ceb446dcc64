"""Buckets against numpy.digitize, and vectors with a single one against plain Python."""

from __future__ import annotations

import decimal
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam import FlowError, NodeError
from hyped_beam.aggregators import Quantiles
from hyped_beam.processors.buckets import Bucketize
from hyped_beam.testing import evaluate, flow_of

FLOATS = st.floats(width=16)
ASCENDING = st.lists(st.floats(width=16, allow_nan=False), max_size=5).map(sorted)


def bucket(value, boundaries):
    if value is None or boundaries is None or math.isnan(value):
        return None
    return int(np.digitize(value, boundaries)) if boundaries else 0


@given(st.lists(st.none() | FLOATS), ASCENDING)
def test_the_same_boundaries_for_all_rows(values, boundaries):
    table = pa.table({"x": pa.array(values, pa.float64())})
    found = evaluate(Bucketize().call(value=flow_of(table.schema).x, boundaries=boundaries), table)
    assert found.type == pa.int64()
    assert found.to_pylist() == [bucket(value, boundaries) for value in values]


@given(st.lists(st.tuples(st.none() | FLOATS, st.none() | ASCENDING), max_size=6))
def test_boundaries_of_each_row(rows):
    values, boundaries = ([row[part] for row in rows] for part in (0, 1))
    table = pa.table(
        {
            "x": pa.array([1.0, *values], pa.float64()).slice(1),
            "b": pa.array([[2.0, 1.0], *boundaries], pa.list_(pa.float64())).slice(1),
        }
    )
    src = flow_of(table.schema)
    found = evaluate(Bucketize().call(value=src.x, boundaries=src.b), table)
    assert found.to_pylist() == list(map(bucket, values, boundaries))


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.decimal128(6, 1)])
def test_every_number(kind):
    values = [None if value is None else decimal.Decimal(value) for value in (0, 10, None, 11)]
    if not pa.types.is_decimal(kind):
        values = [None if value is None else int(value) for value in values]
    table = pa.table({"x": pa.array(values, kind)})
    src = flow_of(table.schema)
    for boundaries in ([1, 10], [0.5, 10.0]):
        assert evaluate(Bucketize().call(value=src.x, boundaries=boundaries), table).to_pylist() == [
            0,
            2,
            None,
            2,
        ]


def test_boundaries_that_are_an_aggregate():
    table = pa.table({"x": [4.0, 1.0, 2.0, 3.0, None], "k": ["a", "a", "b", "b", "b"]})
    src = flow_of(table.schema)
    whole = Bucketize().call(value=src.x, boundaries=Quantiles(q=[0.5]).call(src.x))
    assert evaluate(whole, table).to_pylist() == [1, 0, 0, 1, None]
    grouped = Bucketize().call(value=src.x, boundaries=Quantiles(q=[0.5]).call(src.x, by=src.k))
    assert evaluate(grouped, table).to_pylist() == [1, 0, 0, 1, None]
    nothing = pa.table({"x": pa.array([None, None], pa.float64()), "k": ["a", "b"]})
    assert evaluate(whole, nothing).to_pylist() == [None, None]


@pytest.mark.parametrize("boundaries", [[2.0, 1.0], [1.0, math.nan], [None, 1.0]])
def test_boundaries_without_an_order_are_an_error(boundaries):
    table = pa.table({"x": [1.0, 2.0], "b": pa.array([[1.0, 1.0], boundaries], pa.list_(pa.float64()))})
    src = flow_of(table.schema)
    for given_boundaries in (boundaries, src.b):
        with pytest.raises(NodeError, match="ascending order") as raised:
            evaluate(Bucketize().call(value=src.x, boundaries=given_boundaries), table)
        assert "sort()" in raised.value.hint
    assert raised.value.row == 1


def test_wrong_inputs_are_refused():
    src = flow_of(pa.schema({"t": pa.string(), "x": pa.float64()}))
    with pytest.raises(FlowError, match="takes a number as 'value'"):
        Bucketize().call(value=src.t, boundaries=[1])
    with pytest.raises(FlowError, match="a list of numbers as 'boundaries'"):
        Bucketize().call(value=src.x, boundaries=["a"])


PLACES = st.integers(-3, 6)


def vector(place, size):
    return None if place is None or size is None else [int(number == place) for number in range(size)]


@given(st.lists(st.none() | PLACES), st.integers(0, 4))
def test_one_hot_of_one_size(places, size):
    table = pa.table({"n": pa.array([0, *places], pa.int32()).slice(1)})
    found = evaluate(flow_of(table.schema).n.one_hot(size), table)
    found.validate(full=True)
    assert found.type == pa.list_(pa.int8())
    assert found.to_pylist() == [vector(place, size) for place in places]


@given(st.lists(st.tuples(st.none() | PLACES, st.none() | st.integers(0, 4))))
def test_one_hot_of_the_size_of_each_row(rows):
    places, sizes = ([row[part] for row in rows] for part in (0, 1))
    table = pa.table({"n": pa.array(places, pa.int64()), "size": pa.array(sizes, pa.uint8())})
    src = flow_of(table.schema)
    found = evaluate(src.n.one_hot(src.size), table)
    found.validate(full=True)
    assert found.to_pylist() == list(map(vector, places, sizes))


def test_one_hot_of_numbers_beyond_int64():
    table = pa.table({"n": pa.array([2**64 - 1, 1], pa.uint64())})
    assert evaluate(flow_of(table.schema).n.one_hot(2), table).to_pylist() == [[0, 0], [0, 1]]


def test_a_negative_size_is_an_error():
    table = pa.table({"n": [0, 0], "size": [1, -1]})
    src = flow_of(table.schema)
    with pytest.raises(NodeError, match="got -1") as raised:
        evaluate(src.n.one_hot(src.size), table)
    assert raised.value.row == 1
    with pytest.raises(FlowError, match="takes an integer as 'size'"):
        src.n.one_hot(1.5)
