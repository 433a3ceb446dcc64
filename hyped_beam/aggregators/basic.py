"""Counts, sums, extremes and means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.aggregator import Aggregator
from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.registry import register
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import AnyColumn, Float64Column, Int64Column, NumberColumn

_DECIMAL_DIGITS = {128: 38, 256: 76}
_ORDERED = frozenset(Family) - {Family.LIST, Family.STRUCT, Family.OTHER}


@register
class Count(Aggregator):
    """Number of values that are not null.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Count
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [1, None, 3]})
        >>> aggregate(Count().call(flow_of(table.schema).n), table)
        2
    """

    commutative: ClassVar[bool] = True

    class State(NamedTuple):  # noqa: D106 - one state per group
        count: Int64Column

    def update(self, value: AnyColumn, by: Groups) -> State:
        return self.State(by.count(value))

    def merge(self, state: State, by: Groups) -> State:
        return self.State(by.sum(state.count))

    def finish(self, state: State) -> Int64Column:
        return state.count


class _Number(NamedTuple):
    total: pa.Array


@register
class Sum(Aggregator):
    """Sum of the values that are not null; 0 where there are none.

    Integers are added as 64-bit integers, floats as float64 in the order of the rows.

    Raises:
        NodeError: A sum of integers overflows 64 bits.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Sum
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [1, None, 3]})
        >>> aggregate(Sum().call(flow_of(table.schema).n), table)
        4
    """

    State = _Number

    def state_features(self, value: Feature) -> Mapping[str, Feature]:
        return {"total": self.output(value)}

    def output(self, value: Feature) -> Feature:
        family = features.family(value)
        if family is Family.FLOAT:
            return features.value("float64")
        if family is Family.INTEGER:
            unsigned = not features.is_class_label(value) and str(value.dtype).startswith("u")
            return features.value("uint64" if unsigned else "int64")
        decimal = features.to_arrow(value)
        digits = _DECIMAL_DIGITS[decimal.bit_width]
        return features.value(f"decimal{decimal.bit_width}({digits}, {decimal.scale})")

    def update(self, value: NumberColumn, by: Groups) -> _Number:
        return self.State(by.sum(value))

    def merge(self, state: _Number, by: Groups) -> _Number:
        return self.State(by.sum(state.total))

    def finish(self, state: _Number) -> NumberColumn:
        return state.total


class _Extreme(NamedTuple):
    value: pa.Array


class _ExtremeAggregator(Aggregator):
    commutative: ClassVar[bool] = True
    State = _Extreme

    def state_features(self, value: Feature) -> Mapping[str, Feature]:
        return {"value": self.output(value)}

    def output(self, value: Feature) -> Feature:
        if features.family(value) not in _ORDERED:
            msg = f"takes numbers, text, booleans or times, got {features.describe(value)}"
            raise TypeError(msg)
        return features.value("int64") if features.is_class_label(value) else value

    def finish(self, state: _Extreme) -> AnyColumn:
        return state.value


@register
class Min(_ExtremeAggregator):
    """Smallest of the values that are not null, nor NaN where there are others; null where there are none.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Min
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [5, None, 3]})
        >>> aggregate(Min().call(flow_of(table.schema).n), table)
        3
    """

    def update(self, value: AnyColumn, by: Groups) -> _Extreme:
        return self.State(by.min(value))

    def merge(self, state: _Extreme, by: Groups) -> _Extreme:
        return self.State(by.min(state.value))


@register
class Max(_ExtremeAggregator):
    """Largest of the values that are not null, nor NaN where there are others; null where there are none.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Max
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [5, None, 3]})
        >>> aggregate(Max().call(flow_of(table.schema).n), table)
        5
    """

    def update(self, value: AnyColumn, by: Groups) -> _Extreme:
        return self.State(by.max(value))

    def merge(self, state: _Extreme, by: Groups) -> _Extreme:
        return self.State(by.max(state.value))


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
        return self.State(by.sum(pc.cast(value, pa.float64(), safe=False)), by.count(value))

    def merge(self, state: State, by: Groups) -> State:
        return self.State(by.sum(state.total), by.sum(state.count))

    def finish(self, state: State) -> Float64Column:
        return divide_or_null(state.total, state.count)


def divide_or_null(numerator: pa.Array, denominator: pa.Array) -> pa.Array:
    """Quotients as float64; null where the denominator is 0."""
    divisor = pc.if_else(pc.equal(denominator, 0), pa.scalar(None, denominator.type), denominator)
    return pc.divide(pc.cast(numerator, pa.float64()), pc.cast(divisor, pa.float64()))
