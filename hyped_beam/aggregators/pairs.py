"""Covariance and correlation of two numbers, merged as in `moments`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hyped_beam.aggregators.moments import deviations, merged, power_sum, sums_of, variance
from hyped_beam.nodes import reductions
from hyped_beam.nodes.aggregator import Aggregator
from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.registry import register
from hyped_beam.types.patterns import Float64Column, Int64Column, NumberColumn
from hyped_beam.types.vectors import values_of


class _Pairs(NamedTuple):
    count: Int64Column
    mean_x: Float64Column
    mean_y: Float64Column
    products: Float64Column
    squares_x: Float64Column
    squares_y: Float64Column


class _PairAggregator(Aggregator):
    State = _Pairs

    @np.errstate(all="ignore")
    def update(self, x: NumberColumn, y: NumberColumn, by: Groups) -> _Pairs:
        x, y = by.floats(x), by.floats(y)
        if x.null_count or y.null_count:
            both = pc.and_(x.is_valid(), y.is_valid())
            x, y = (pc.if_else(both, column, pa.scalar(None, pa.float64())) for column in (x, y))
        about_x, about_y = deviations(x, by), deviations(y, by)
        products = sums_of(about_x.values * about_y.values, about_x.groups, by.n)
        return self.State(
            count=pa.array(about_x.counts),
            mean_x=pa.array(about_x.means),
            mean_y=pa.array(about_y.means),
            products=pa.array(products),
            squares_x=power_sum(x, 2, by),
            squares_y=power_sum(y, 2, by),
        )

    @np.errstate(all="ignore")
    def merge(self, state: _Pairs, by: Groups) -> _Pairs:
        n, mean_x, mean_y, products, squares_x, squares_y = (values_of(column) for column in state)
        total, mean_x, _, dx = merged(n, mean_x, by)
        _, mean_y, _, dy = merged(n, mean_y, by)
        parts = (products + n * dx * dy, squares_x + n * dx * dx, squares_y + n * dy * dy)
        sums = (reductions.sums(part, by.numbers, by.n) for part in parts)
        return self.State(*(pa.array(column) for column in (total, mean_x, mean_y, *sums)))


@register
class Covariance(_PairAggregator):
    """Covariance of two numbers, over the rows where neither is null.

    Null where there are no more than `ddof` such rows; NaN where a value is NaN or infinite.

    Attributes:
        ddof: What is subtracted from the count in the divisor: 1 for a sample, 0 for a whole population.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Covariance
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"x": [1, 2, 3, 4], "y": [2, 4, 6, None]})
        >>> src = flow_of(table.schema)
        >>> aggregate(Covariance().call(x=src.x, y=src.y), table)
        2.0
    """

    ddof: int = Field(default=1, ge=0)

    def finish(self, state: _Pairs) -> Float64Column:
        return variance(state.products, state.count, self.ddof)


@register
class Correlation(_PairAggregator):
    """Pearson's correlation of two numbers, from -1 to 1, over the rows where neither is null.

    Null where there are fewer than two such rows; NaN where one of the two is constant, or a value is NaN
    or infinite.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Correlation
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"x": [1, 2, 3, 4], "y": [2, 4, 6, None]})
        >>> src = flow_of(table.schema)
        >>> aggregate(Correlation().call(x=src.x, y=src.y), table)
        1.0
    """

    def finish(self, state: _Pairs) -> Float64Column:
        products, x, y = (values_of(column) for column in (state.products, state.squares_x, state.squares_y))
        with np.errstate(all="ignore"):
            both = x * y
            # one root is exact more often; two where the product of the squares leaves the range
            exact = (both > np.finfo(np.float64).tiny) & (both < np.inf)
            scale = np.where(exact, np.sqrt(both), np.sqrt(x) * np.sqrt(y))
            correlation = np.clip(products / scale, -1.0, 1.0)
        return pa.array(correlation, mask=values_of(state.count) < 2)  # noqa: PLR2004 - a line has two points
