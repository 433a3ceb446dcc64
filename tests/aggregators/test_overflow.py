"""Numbers that do not fit: an error or a wider type, never a wrong number."""

from __future__ import annotations

import decimal
import math

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyped_beam.aggregators import Correlation, Mean, Product, Sum, Variance

LARGE = st.none() | st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63), 2**62, -(2**62), 2**32, 3])
UNSIGNED = st.none() | st.sampled_from([0, 1, 2**64 - 1, 2**63, 2**32, 5])


def check(node, kind, values, ids, seed, run, expected, fits):
    columns = {"value": pa.array(values, kind)}
    groups = [
        [v for v, i in zip(values, ids, strict=True) if i == group and v is not None] for group in (0, 1)
    ]
    wanted = [expected(group) for group in groups]
    if all(map(fits, wanted)):
        assert run(node, columns, ids, 2, seed).to_pylist() == wanted
    else:
        with pytest.raises(pa.ArrowInvalid, match="overflows 64 bits"):
            run(node, columns, ids, 2, seed)


def signed_fits(value: int) -> bool:
    return -(2**63) <= value < 2**63


def unsigned_fits(value: int) -> bool:
    return 0 <= value < 2**64


@settings(max_examples=60)
@given(st.lists(st.tuples(LARGE, st.integers(0, 1)), max_size=10), st.integers(0, 1000))
def test_sums_and_products_of_integers(run, rows, seed):
    values, ids = [value for value, _ in rows], [group for _, group in rows]
    check(Sum(), pa.int64(), values, ids, seed, run, sum, signed_fits)
    check(Product(), pa.int64(), values, ids, seed, run, math.prod, signed_fits)


@settings(max_examples=60)
@given(st.lists(st.tuples(UNSIGNED, st.integers(0, 1)), max_size=10), st.integers(0, 1000))
def test_sums_and_products_of_unsigned_integers(run, rows, seed):
    values, ids = [value for value, _ in rows], [group for _, group in rows]
    check(Sum(), pa.uint64(), values, ids, seed, run, sum, unsigned_fits)
    check(Product(), pa.uint64(), values, ids, seed, run, math.prod, unsigned_fits)


def test_parts_may_overflow_where_the_whole_does_not(run):
    values = {"value": pa.array([2**63 - 1] * 1000 + [-(2**63)] * 1000)}
    for seed in range(5):
        assert run(Sum(), values, seed=seed)[0].as_py() == -1000
        zero = {"value": pa.array([2**40] * 10 + [0])}
        assert run(Product(), zero, seed=seed)[0].as_py() == 0


def test_a_product_at_the_very_limit(run):
    for last, fits in ((2**31 - 1, True), (2**31, False)):
        values = {"value": pa.array([2**32 + 2, last])}
        exact = (2**32 + 2) * last
        assert fits == (exact < 2**63)
        if fits:
            assert run(Product(), values)[0].as_py() == exact
        else:
            with pytest.raises(pa.ArrowInvalid, match="product of integers overflows"):
                run(Product(), values)
    assert run(Product(), {"value": pa.array([2**32 + 1, 2**32 - 1], pa.uint64())})[0].as_py() == 2**64 - 1


def test_decimals_widen_and_then_fail(run):
    most = decimal.Decimal("9" * 38)
    values = {
        "value": pa.array(
            [most, most, most.copy_negate(), most.copy_negate(), decimal.Decimal(5)], pa.decimal128(38, 0)
        )
    }
    for seed in (None, 1, 2, 3):
        small = {"value": pa.array([decimal.Decimal("99.99")] * 9, pa.decimal128(4, 2))}
        assert run(Sum(), small, seed=seed)[0].as_py() == decimal.Decimal("899.91")
        assert run(Sum(), values, seed=seed)[0].as_py() == 5
        assert run(Sum(), values, [0] * 5, 2, seed).to_pylist() == [5, 0]
    with pytest.raises(pa.ArrowInvalid):
        run(Sum(), {"value": pa.array([most, most], pa.decimal128(38, 0))})


def test_decimals_of_76_digits(run):
    most = decimal.Decimal("9" * 76)
    kind = pa.decimal256(76, 0)
    values = {"value": pa.array([most, None, most.copy_negate(), most, decimal.Decimal(-7)], kind)}
    exact = decimal.Context(prec=100).subtract(most, decimal.Decimal(7))
    assert run(Sum(), values)[0].as_py() == exact
    assert run(Sum(), values, [1] * 5, 2).to_pylist() == [0, exact]
    scaled = pa.array(
        [decimal.Decimal("9" * 74).scaleb(-2, decimal.Context(prec=100))] * 3, pa.decimal256(76, 2)
    )
    assert run(Sum(), {"value": scaled})[0].as_py() == decimal.Context(prec=100).multiply(
        scaled[0].as_py(), 3
    )
    with pytest.raises(pa.ArrowInvalid, match="overflows 76 digits"):
        run(Sum(), {"value": pa.array([most, decimal.Decimal(1)], kind)})


def test_floats_become_infinite_as_floats_do(run):
    assert run(Sum(), {"value": pa.array([1e308, 1e308])})[0].as_py() == math.inf
    assert run(Product(), {"value": pa.array([1e308, -1e308])})[0].as_py() == -math.inf
    assert math.isnan(run(Variance(), {"value": pa.array([math.inf, 1.0])})[0].as_py())
    assert math.isnan(run(Correlation(), {"x": pa.array([math.nan, 1.0]), "y": pa.array([1, 2])})[0].as_py())
    assert run(Mean(), {"value": pa.array([2**62, 2**62])})[0].as_py() == 2.0**62
