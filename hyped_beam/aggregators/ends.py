"""The first and the last value in source order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.aggregator import Aggregator
from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.registry import register
from hyped_beam.types import features
from hyped_beam.types.features import Feature
from hyped_beam.types.patterns import AnyColumn


class _End(NamedTuple):
    value: pa.Array
    found: pa.Array


class _EndAggregator(Aggregator):
    skip_nulls: bool = True
    last: ClassVar[bool]
    State = _End

    def state_features(self, value: Feature) -> Mapping[str, Feature]:
        return {"value": value, "found": features.value("bool")}

    def output(self, value: Feature) -> Feature:
        return value

    def update(self, value: AnyColumn, by: Groups) -> _End:
        return self._end(value, value.is_valid() if self.skip_nulls and value.null_count else None, by)

    def merge(self, state: _End, by: Groups) -> _End:
        return self._end(state.value, state.found, by)

    def _end(self, value: pa.Array, where: pa.Array | None, by: Groups) -> _End:
        rows = by.last_row(where) if self.last else by.first_row(where)
        return self.State(pc.take(value, rows), rows.is_valid())

    def finish(self, state: _End) -> AnyColumn:
        return state.value


@register
class First(_EndAggregator):
    """The first value in source order, of any type; null where there is none.

    Attributes:
        skip_nulls: Whether nulls are passed over. If not, the value of the first row is taken as it is.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import First
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [None, 1, 3]})
        >>> src = flow_of(table.schema)
        >>> aggregate(First().call(src.n), table), aggregate(First(skip_nulls=False).call(src.n), table)
        (1, None)
    """

    last: ClassVar[bool] = False


@register
class Last(_EndAggregator):
    """The last value in source order, of any type; null where there is none.

    Attributes:
        skip_nulls: Whether nulls are passed over. If not, the value of the last row is taken as it is.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Last
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [1, 3, None]})
        >>> src = flow_of(table.schema)
        >>> aggregate(Last().call(src.n), table), aggregate(Last(skip_nulls=False).call(src.n), table)
        (3, None)
    """

    last: ClassVar[bool] = True
