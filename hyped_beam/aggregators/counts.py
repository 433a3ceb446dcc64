"""How many values there are, and whether any or all of them are true."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.aggregator import Aggregator
from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.registry import register
from hyped_beam.types.patterns import AnyColumn, BooleanColumn, Int64Column


class _Counted(NamedTuple):
    count: Int64Column


class _Counter(Aggregator):
    commutative: ClassVar[bool] = True
    State = _Counted

    def merge(self, state: _Counted, by: Groups) -> _Counted:
        return self.State(by.sum(state.count))


@register
class Count(_Counter):
    """Number of values that are not null.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Count
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [1, None, 3]})
        >>> aggregate(Count().call(flow_of(table.schema).n), table)
        2
    """

    def update(self, value: AnyColumn, by: Groups) -> _Counted:
        return self.State(by.count(value))

    def finish(self, state: _Counted) -> Int64Column:
        return state.count


@register
class CountNull(_Counter):
    """Number of values that are null.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import CountNull
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [1, None, 3]})
        >>> aggregate(CountNull().call(flow_of(table.schema).n), table)
        1
    """

    def update(self, value: AnyColumn, by: Groups) -> _Counted:
        return self.State(pc.subtract(by.size(), by.count(value)))

    def finish(self, state: _Counted) -> Int64Column:
        return state.count


@register
class Any(_Counter):
    """Whether any value is true; those that are null are passed over, and no values give false.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Any
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [1, None, 3]})
        >>> aggregate(Any().call(flow_of(table.schema).n > 2), table)
        True
    """

    def update(self, value: BooleanColumn, by: Groups) -> _Counted:
        return self.State(by.count_true(value))

    def finish(self, state: _Counted) -> BooleanColumn:
        return pc.greater(state.count, pa.scalar(0, pa.int64()))


@register
class All(_Counter):
    """Whether all values are true; those that are null are passed over, and no values give true.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import All
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [1, None, 3]})
        >>> aggregate(All().call(flow_of(table.schema).n > 2), table)
        False
    """

    def update(self, value: BooleanColumn, by: Groups) -> _Counted:
        return self.State(by.count_true(pc.invert(value)))

    def finish(self, state: _Counted) -> BooleanColumn:
        return pc.equal(state.count, pa.scalar(0, pa.int64()))
