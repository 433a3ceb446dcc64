"""The smallest and the largest value, and what stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.aggregator import Aggregator
from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.registry import register
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import AnyColumn
from hyped_beam.types.vectors import computable

_ORDERED = frozenset(Family) - {Family.LIST, Family.STRUCT, Family.OTHER}


class _Extreme(NamedTuple):
    value: pa.Array


class _ExtremeAggregator(Aggregator):
    commutative: ClassVar[bool] = True
    State = _Extreme

    def state_features(self, value: Feature) -> Mapping[str, Feature]:
        return {"value": self.output(value)}

    def output(self, value: Feature) -> Feature:
        return _comparable(value)

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


class _Best(NamedTuple):
    value: pa.Array
    payload: pa.Array


class _BestAggregator(Aggregator):
    State = _Best
    largest: ClassVar[bool]

    def state_features(self, value: Feature, payload: Feature) -> Mapping[str, Feature]:
        return {"value": _comparable(value), "payload": payload}

    def output(self, value: Feature, payload: Feature) -> Feature:
        _comparable(value)
        return payload

    def update(self, value: AnyColumn, payload: AnyColumn, by: Groups) -> _Best:
        best = by.max(value) if self.largest else by.min(value)
        rows = by.first_row(_same(value, best[0] if by.n == 1 else by.repeat(best)))
        return self.State(best, pc.take(payload, rows))

    def merge(self, state: _Best, by: Groups) -> _Best:
        return self.update(state.value, state.payload, by)

    def finish(self, state: _Best) -> AnyColumn:
        return state.payload


@register
class ArgMin(_BestAggregator):
    """What stands beside the smallest value: its `payload`, of any type, which may be null.

    Of several rows with that value the first in source order is taken. Rows without a value are passed
    over, and so are those with NaN where there are others; null where no row has a value.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import ArgMin
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [5, None, 3, 3], "name": ["a", "b", "c", "d"]})
        >>> src = flow_of(table.schema)
        >>> aggregate(ArgMin().call(value=src.n, payload=src.name), table)
        'c'
    """

    largest: ClassVar[bool] = False


@register
class ArgMax(_BestAggregator):
    """What stands beside the largest value: its `payload`, of any type, which may be null.

    Of several rows with that value the first in source order is taken. Rows without a value are passed
    over, and so are those with NaN where there are others; null where no row has a value.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import ArgMax
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [5, None, 3, 5], "name": ["a", "b", "c", "d"]})
        >>> src = flow_of(table.schema)
        >>> aggregate(ArgMax().call(value=src.n, payload=src.name), table)
        'a'
    """

    largest: ClassVar[bool] = True


def _comparable(value: Feature) -> Feature:
    if features.family(value) not in _ORDERED:
        msg = f"takes numbers, text, booleans or times, got {features.describe(value)}"
        raise TypeError(msg)
    return features.value("int64") if features.is_class_label(value) else value


def _same(values: pa.Array, others: Any) -> pa.Array:
    """Whether values are equal, NaN and NaN included."""
    values, others = computable(values), computable(others)
    equal = pc.equal(values, others)
    if pa.types.is_floating(values.type):
        return pc.or_(equal, pc.and_(pc.is_nan(values), pc.is_nan(others)))
    return equal
