"""Rounding against Python's round."""

from __future__ import annotations

import decimal
import math

import datasets
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError, NodeError
from hyped_beam.testing import evaluate, flow_of


def rounded(values, digits, kind=None):
    table = pa.table({"x": pa.array(values, kind or pa.float64())})
    return evaluate(flow_of(table.schema).x.round(digits), table)


def equal(left, right):
    if left is None or right is None:
        return left is right
    return (math.isnan(left) and math.isnan(right)) or (
        left == right and math.copysign(1, left) == math.copysign(1, right)
    )


@given(st.lists(st.one_of(st.none(), st.floats())), st.integers(-30, 30))
@example([0.015, 0.045, 2.675, 1.005, 0.285, 0.575, -0.3, 1e300, 5e-324, None], 2)
@example([2.5, 3.5, -0.5, 0.4, math.nan, math.inf], 0)
@example([1.7976931348623157e308, 9.5e307], -10)
def test_floats_round_as_in_python(values, digits):
    def expected(value):
        if value is None or not math.isfinite(value):
            return value
        return round(value, digits)

    results = rounded(values, digits).to_pylist()
    assert all(equal(expected(value), result) for value, result in zip(values, results, strict=True))


@given(st.lists(st.integers(-(10**9), 10**9)), st.integers(0, 6))
def test_halves_round_as_in_python(numbers, digits):
    values = [(2 * number + 1) / 2 / 10**digits for number in numbers]
    assert rounded(values, digits).to_pylist() == [round(value, digits) for value in values]


@given(st.lists(st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1))), st.integers(-8, 2))
def test_integers_round_as_in_python(values, digits):
    result = rounded(values, digits, pa.int64())
    assert result.type == pa.int64()
    assert result.to_pylist() == [None if value is None else round(value, digits) for value in values]


def test_the_builtins_are_the_methods():
    table = pa.table({"x": [1.25, -1.25, None, math.inf]})
    src = flow_of(table.schema)
    assert evaluate(round(src.x, 1), table).to_pylist() == [1.2, -1.2, None, math.inf]
    assert evaluate(round(src.x), table).to_pylist() == [1.0, -1.0, None, math.inf]
    assert evaluate(math.floor(src.x), table).to_pylist() == [1.0, -2.0, None, math.inf]
    assert evaluate(math.ceil(src.x), table).to_pylist() == [2.0, -1.0, None, math.inf]


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.int8(), pa.uint64(), pa.decimal128(6, 2)])
@pytest.mark.parametrize("name", ["round", "floor", "ceil"])
def test_the_type_stays(kind, name):
    table = pa.table({"x": pa.array([1, None], pa.float64()).cast(kind)})
    src = flow_of(table.schema)
    result = evaluate(getattr(src.x, name)(), table)
    assert result.type == kind
    assert result.to_pylist() == [1, None]


def test_decimals_round_halves_to_even():
    values = [decimal.Decimal("1.25"), decimal.Decimal("1.35")]
    assert rounded(values, 1, pa.decimal128(4, 2)).to_pylist() == [
        decimal.Decimal("1.20"),
        decimal.Decimal("1.40"),
    ]


def test_a_rounded_integer_that_does_not_fit_is_an_error():
    with pytest.raises(NodeError, match="does not fit into int8") as raised:
        rounded([120, 127], -1, pa.int8())
    assert raised.value.row == 1
    assert "float64" in raised.value.hint


def test_wrong_digits_are_refused():
    src = flow_of({"x": datasets.Value("int64"), "t": datasets.Value("string")})
    with pytest.raises(DefinitionError, match="digits"):
        src.x.round("2 places")
    with pytest.raises(DefinitionError, match="digits=-19"):
        src.x.round(-19)
    with pytest.raises(DefinitionError, match="has no method 'round'"):
        src.t.round(2)


def test_slices_and_empty_columns():
    table = pa.table({"x": [None, 1.015, 2.5]})
    src = flow_of(table.schema)
    assert evaluate(src.x.round(2), table.slice(1)).to_pylist() == [round(1.015, 2), 2.5]
    assert evaluate(src.x.round(2), table.slice(3)).to_pylist() == []
