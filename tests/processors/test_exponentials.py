"""Logarithms, exponentials and roots against Python's `math`, with numpy's results where that raises."""

from __future__ import annotations

import decimal
import math

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hyped_beam import DataFlow, FlowError
from hyped_beam.testing import evaluate, flow_of

NAMES = ["log", "log2", "log10", "exp", "sqrt"]


def computed(name, values, kind=None):
    table = pa.table({"x": pa.array([1, *values], kind or pa.float64()).slice(1)})
    return evaluate(getattr(flow_of(table.schema).x, name)(), table)


def expected(name, value):
    if value is None:
        return None
    if name.startswith("log") and value == 0:
        return -math.inf
    try:
        return getattr(math, name)(value)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan


def near(left, right):
    if left is None or right is None:
        return left is right
    return math.isclose(left, right, rel_tol=1e-15) or (math.isnan(left) and math.isnan(right))


@pytest.mark.parametrize("name", NAMES)
@given(values=st.lists(st.none() | st.floats()))
@example(values=[0.0, -0.0, -1.0, math.inf, -math.inf, math.nan, None, 709.8, -746.0, 5e-324])
def test_floats(name, values):
    found = computed(name, values)
    assert found.type == pa.float64()
    assert all(map(near, found.to_pylist(), (expected(name, value) for value in values)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.decimal128(9, 2)])
def test_every_number_gives_float64(name, kind):
    values = [2, None, 100]
    given = [None if value is None else decimal.Decimal(value) for value in values]
    found = computed(name, given if pa.types.is_decimal(kind) else values, kind)
    assert found.type == pa.float64()
    assert all(map(near, found.to_pylist(), (expected(name, value) for value in values)))


def test_integers_beyond_floats_are_rounded():
    assert computed("log2", [2**63 - 1], pa.int64()).to_pylist() == [63.0]


@pytest.mark.parametrize("name", NAMES)
def test_no_rows_and_nothing_but_nulls(name):
    assert computed(name, []).to_pylist() == []
    assert computed(name, [None, None]).to_pylist() == [None, None]


def test_text_is_refused():
    with pytest.raises(FlowError, match="has no method 'log'"):
        flow_of(pa.schema({"t": pa.string()})).t.log()


def test_in_a_flow():
    flow = DataFlow(features=pa.schema({"n": pa.int64()}))
    out = flow.batch_process({"n": [1, 4]}, collect={"root": flow.src_features.n.sqrt()})
    assert out == {"root": [1.0, 2.0]}
