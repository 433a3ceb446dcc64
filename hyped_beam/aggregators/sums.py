"""Sums, products and means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.aggregator import Aggregator
from hyped_beam.nodes.groups import Groups, joined
from hyped_beam.nodes.reductions import carried
from hyped_beam.nodes.registry import register
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import Float64Column, Int64Column, NumberColumn
from hyped_beam.types.vectors import Vector, values_of

_DECIMAL_DIGITS = {128: 38, 256: 76}


class _Total(NamedTuple):
    """Of integers, `high * 2**32 + low`: parts may overflow 64 bits where the whole does not."""

    total: pa.Array | None = None
    high: pa.Array | None = None
    low: pa.Array | None = None


@register
class Sum(Aggregator):
    """Sum of the values that are not null; 0 where there are none.

    Integers are added exactly and are 64-bit integers in the end, floats as float64 in the order of the
    rows, decimals exactly and have the most digits of their width in the end.

    Raises:
        NodeError: A sum of integers overflows 64 bits, or one of decimals its digits.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Sum
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [1, None, 3]})
        >>> aggregate(Sum().call(flow_of(table.schema).n), table)
        4
    """

    State = _Total

    def state_features(self, value: Feature) -> Mapping[str, Feature]:
        total = self.output(value)
        if features.family(total) is Family.INTEGER:
            return {"high": features.value("int64"), "low": features.value("int64")}
        if features.family(total) is Family.DECIMAL:
            return {"total": features.value(f"decimal256(76, {features.to_arrow(total).scale})")}
        return {"total": total}

    def output(self, value: Feature) -> Feature:
        if features.family(value) is not Family.DECIMAL:
            return _wide(value)
        decimal = features.to_arrow(value)
        digits = _DECIMAL_DIGITS[decimal.bit_width]
        return features.value(f"decimal{decimal.bit_width}({digits}, {decimal.scale})")

    def update(self, value: NumberColumn, by: Groups) -> _Total:
        if pa.types.is_integer(self.output_type):
            high, low = by.limbs(pc.cast(value, pa.int64()) if pa.types.is_null(value.type) else value)
            return self.State(high=high, low=low)
        return self.State(total=by.sum(value))

    def merge(self, state: _Total, by: Groups) -> _Total:
        if state.total is not None:
            return self.State(total=by.sum(state.total))
        high, low = carried(values_of(by.sum(state.high)), values_of(by.sum(state.low)))
        return self.State(high=pa.array(high), low=pa.array(low))

    def finish(self, state: _Total) -> NumberColumn:
        if state.total is not None:
            # decimals of fewer digits again, or an error
            return pc.cast(state.total, self.output_type)
        return joined(values_of(state.high), values_of(state.low), self.output_type)


def _wide(value: Feature) -> Feature:
    if features.family(value) is not Family.INTEGER:
        return features.value("float64")
    unsigned = not features.is_class_label(value) and str(value.dtype).startswith("u")
    return features.value("uint64" if unsigned else "int64")


class _Factors(NamedTuple):
    """Of integers, the product of the magnitudes of those that are not 0, and what else must be known."""

    product: pa.Array | None = None
    magnitude: pa.Array | None = None
    overflows: pa.Array | None = None
    negatives: pa.Array | None = None
    zeros: pa.Array | None = None


@register
class Product(Aggregator):
    """Product of the values that are not null; 1 where there are none.

    Integers are multiplied exactly and are 64-bit integers in the end; with a 0 among them the product
    is 0, whatever the others would give. Floats are multiplied as float64 in the order of the rows, and
    beyond its range they are infinite.

    Raises:
        NodeError: A product of integers overflows 64 bits.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Product
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [2, None, 3]})
        >>> aggregate(Product().call(flow_of(table.schema).n), table)
        6
    """

    State = _Factors

    def state_features(self, value: Feature) -> Mapping[str, Feature]:
        if features.family(self.output(value)) is Family.FLOAT:
            return {"product": features.value("float64")}
        whole = features.value("int64")
        return {
            "magnitude": features.value("uint64"),
            "overflows": whole,
            "negatives": whole,
            "zeros": whole,
        }

    def output(self, value: Feature) -> Feature:
        if features.family(value) is Family.DECIMAL:
            msg = f"takes integers or floats, got {features.describe(value)}: cast it to float64"
            raise TypeError(msg)
        return _wide(value)

    def update(self, value: NumberColumn, by: Groups) -> _Factors:
        if pa.types.is_floating(self.output_type):
            return self.State(product=_float_products(by.floats(value), by))
        numbers = pc.cast(value, self.output_type)
        zero = pa.scalar(0, self.output_type)
        factors = pc.fill_null(pc.if_else(pc.equal(numbers, zero), pa.scalar(1, zero.type), numbers), 1)
        magnitudes = np.abs(values_of(factors)).view(np.uint64)  # also right for -2**63
        magnitude, overflows = _magnitudes(magnitudes, by)
        return self.State(
            magnitude=pa.array(magnitude),
            overflows=pa.array(overflows.astype(np.int64)),
            negatives=by.count_true(pc.less(numbers, zero)),
            zeros=by.count_true(pc.equal(numbers, zero)),
        )

    def merge(self, state: _Factors, by: Groups) -> _Factors:
        if state.product is not None:
            return self.State(product=_float_products(state.product, by))
        magnitude, overflows = _magnitudes(values_of(state.magnitude), by)
        return self.State(
            magnitude=pa.array(magnitude),
            overflows=pc.add(by.sum(state.overflows), pa.array(overflows.astype(np.int64))),
            negatives=by.sum(state.negatives),
            zeros=by.sum(state.zeros),
        )

    def finish(self, state: _Factors) -> NumberColumn:
        if state.product is not None:
            return state.product
        unsigned = pa.types.is_unsigned_integer(self.output_type)
        magnitude, zero = values_of(state.magnitude), values_of(state.zeros) > 0
        negative = values_of(state.negatives) % 2 == 1
        limit = np.where(negative, np.uint64(2**63), np.uint64(2**64 - 1 if unsigned else 2**63 - 1))
        if np.any(((values_of(state.overflows) > 0) | (magnitude > limit)) & ~zero):
            msg = "the product of integers overflows 64 bits: cast them to float64 first"
            raise pa.ArrowInvalid(msg)
        product = np.where(zero, np.uint64(0), magnitude)
        if not unsigned:
            product = np.where(negative, -product.view(np.int64), product.view(np.int64))
        return pa.array(product)


def _float_products(floats: pa.Array, by: Groups) -> pa.Array:
    if by.n == 1:
        return pa.array([pc.product(floats, min_count=0).as_py()], pa.float64())
    products = np.ones(by.n)
    with np.errstate(all="ignore"):
        np.multiply.at(products, by.numbers, values_of(pc.fill_null(floats, 1.0)))
    return pa.array(products)


def _magnitudes(magnitudes: Vector, by: Groups) -> tuple[Vector, Vector]:
    """Products of positive integers modulo 2**64, and which of them overflow."""
    products, sizes = np.ones(by.n, np.uint64), np.ones(by.n)
    with np.errstate(all="ignore"):
        np.multiply.at(products, by.numbers, magnitudes)
        np.multiply.at(sizes, by.numbers, magnitudes.astype(np.float64))
    overflows = sizes >= 2.0**64
    # so near to the limit that rounding decides: counted again as integers of any size
    for group in np.flatnonzero(np.abs(sizes / 2.0**64 - 1) < 1e-6):  # noqa: PLR2004 - far above rounding
        exact = 1
        for magnitude in magnitudes[by.numbers == group]:
            exact *= int(magnitude)
        overflows[group] = exact >= 2**64
    return np.where(overflows, np.uint64(1), products), overflows


@register
class Mean(Aggregator):
    """Arithmetic mean of the values that are not null; null where there are none.

    Computed as the float64 sum, in the order of the rows, divided by the count.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Mean
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [1, None, 4]})
        >>> aggregate(Mean().call(flow_of(table.schema).n), table)
        2.5
    """

    class State(NamedTuple):  # noqa: D106 - one state per group
        total: Float64Column
        count: Int64Column

    def update(self, value: NumberColumn, by: Groups) -> State:
        # As floats: a mean of integers must not fail where their sum would overflow.
        return self.State(by.sum(by.floats(value)), by.count(value))

    def merge(self, state: State, by: Groups) -> State:
        return self.State(by.sum(state.total), by.sum(state.count))

    def finish(self, state: State) -> Float64Column:
        return divide_or_null(state.total, state.count)


def divide_or_null(numerator: pa.Array, denominator: pa.Array) -> pa.Array:
    """Quotients as float64; null where the denominator is 0."""
    divisor = pc.if_else(pc.equal(denominator, 0), pa.scalar(None, denominator.type), denominator)
    return pc.divide(pc.cast(numerator, pa.float64()), pc.cast(divisor, pa.float64()))
