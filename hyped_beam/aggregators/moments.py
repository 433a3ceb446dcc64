"""Variance, skewness and kurtosis, from central moments that are merged without loss of precision.

A state holds the count, the mean and sums of powers of the deviations from it. Those of parts become that
of the whole by the formulas of Chan, Golub and LeVeque (*Updating Formulae and a Pairwise Algorithm for
Computing Sample Variances*, 1979) and, for the third and fourth power, Pébay (*Formulas for Robust, One-Pass
Parallel Computation of Covariances and Arbitrary-Order Statistical Moments*, SAND2008-6212). Means are added
up as differences from the first one, so that a constant has a variance of exactly 0.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hyped_beam.aggregators.sums import divide_or_null
from hyped_beam.nodes.aggregator import Aggregator
from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.registry import register
from hyped_beam.types.patterns import Float64Column, Int64Column, NumberColumn
from hyped_beam.types.vectors import Vector, values_of


class Second(NamedTuple):
    """Moments up to the second: sums of powers of deviations from the mean."""

    count: Int64Column
    mean: Float64Column
    squares: Float64Column


class Third(NamedTuple):
    """Moments up to the third."""

    count: Int64Column
    mean: Float64Column
    squares: Float64Column
    cubes: Float64Column


class Fourth(NamedTuple):
    """Moments up to the fourth."""

    count: Int64Column
    mean: Float64Column
    squares: Float64Column
    cubes: Float64Column
    fourths: Float64Column


class Deviations(NamedTuple):
    """The mean of each group, and how far each value is from that of its group."""

    mean: pa.Array
    values: pa.Array


def spread(values: pa.Array, by: Groups) -> Any:
    """What stands for each group, in a form that a kernel takes beside a column of the rows."""
    return values[0] if by.n == 1 else by.repeat(values)


def deviations(value: pa.Array, by: Groups) -> Deviations:
    """Means, and deviations from them, of numbers; null where these are."""
    return by.once("deviations", value, lambda: _deviations(by.floats(value), by.count(value), by))


def _deviations(floats: pa.Array, count: pa.Array, by: Groups) -> Deviations:
    origin = by.first(floats)
    shifted = pc.subtract(floats, spread(origin, by))
    beyond = divide_or_null(by.sum(shifted), count)
    return Deviations(pc.add(origin, beyond), pc.subtract(shifted, spread(beyond, by)))


def merged_deviations(mean: pa.Array, count: pa.Array, total: pa.Array, by: Groups) -> Deviations:
    """The means of several parts together, and how far that of each part is from it.

    Args:
        mean: The means of the parts.
        count: How many values each part has.
        total: How many values each group has.
        by: The groups of the parts.
    """
    origin = by.first(mean)
    shifted = pc.subtract(mean, spread(origin, by))
    beyond = divide_or_null(by.sum(pc.multiply(pc.cast(count, pa.float64()), shifted)), total)
    return Deviations(pc.add(origin, beyond), pc.subtract(shifted, spread(beyond, by)))


def _power_sum(value: pa.Array, power: int, by: Groups) -> pa.Array:
    return by.once(f"powers of {power}", value, lambda: by.sum(_power(value, power, by)))


def _power(value: pa.Array, power: int, by: Groups) -> pa.Array:
    """Deviations to a power; those of lower ones are used again."""
    base = deviations(value, by).values
    if power == 1:
        return base
    return by.once(f"power {power}", value, lambda: pc.multiply(_power(value, power - 1, by), base))


class _Moments(Aggregator):
    State: ClassVar[Any]

    def update(self, value: NumberColumn, by: Groups) -> Any:
        sums = [_power_sum(value, power, by) for power in range(2, len(self.State._fields))]
        return self.State(by.count(value), deviations(value, by).mean, *sums)

    def merge(self, state: Any, by: Groups) -> Any:
        total = by.sum(state.count)
        mean, apart = merged_deviations(state.mean, state.count, total, by)
        n, d = pc.cast(state.count, pa.float64()), apart.fill_null(0.0)
        d2 = pc.multiply(d, d)
        made = [_added(state.squares, pc.multiply(n, d2))]
        if "cubes" in self.State._fields:
            made.append(_added(state.cubes, _times(3, d, state.squares), _times(1, n, pc.multiply(d2, d))))
        if "fourths" in self.State._fields:
            between = _added(_times(4, d, state.cubes), _times(6, d2, state.squares))
            made.append(_added(state.fourths, between, _times(1, n, pc.multiply(d2, d2))))
        return self.State(total, mean, *(by.sum(part) for part in made))


def _added(first: pa.Array, *others: pa.Array) -> pa.Array:
    for other in others:
        first = pc.add(first, other)
    return first


def _times(factor: int, first: pa.Array, second: pa.Array) -> pa.Array:
    return pc.multiply(pc.multiply(first, second), float(factor))


@register
class Variance(_Moments):
    """Variance of the values that are not null.

    Null where there are no more than `ddof` of them; NaN where one is NaN or infinite.

    Attributes:
        ddof: What is subtracted from the count in the divisor: 1 for a sample, 0 for a whole population.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Variance
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [1, None, 2, 3]})
        >>> aggregate(Variance().call(flow_of(table.schema).n), table)
        1.0
    """

    ddof: int = Field(default=1, ge=0)
    State: ClassVar[Any] = Second

    def finish(self, state: Second) -> Float64Column:
        return variance(state.squares, state.count, self.ddof)


@register
class Std(_Moments):
    """Standard deviation of the values that are not null: the square root of the variance.

    Null where there are no more than `ddof` of them; NaN where one is NaN or infinite.

    Attributes:
        ddof: What is subtracted from the count in the divisor: 1 for a sample, 0 for a whole population.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Std
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [1, None, 3, 5]})
        >>> aggregate(Std().call(flow_of(table.schema).n), table)
        2.0
    """

    ddof: int = Field(default=1, ge=0)
    State: ClassVar[Any] = Second

    def finish(self, state: Second) -> Float64Column:
        return pc.sqrt(variance(state.squares, state.count, self.ddof))


@register
class Skewness(_Moments):
    """Skewness of the values that are not null: their third standardised moment.

    Null where there are none (fewer than 3 without bias); NaN where all are equal, or one is NaN or infinite.

    Attributes:
        bias: Whether to take the moment of the values as it is (Fisher and Pearson's g1), or to correct it
            for a sample (G1).

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Skewness
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [1, 1, 1, 5]})
        >>> round(aggregate(Skewness().call(flow_of(table.schema).n), table), 4)
        1.1547
    """

    bias: bool = True
    State: ClassVar[Any] = Third

    def finish(self, state: Third) -> Float64Column:
        n, squares = _floats(state.count), _floats(state.squares)
        with np.errstate(all="ignore"):
            skewness = _floats(state.cubes) / n / (squares / n) ** 1.5
            if not self.bias:
                skewness = skewness * np.sqrt(n * (n - 1)) / (n - 2)
        return pa.array(skewness, mask=n < (1 if self.bias else 3))


@register
class Kurtosis(_Moments):
    """Excess kurtosis of the values that are not null: their fourth standardised moment less 3.

    Null where there are none (fewer than 4 without bias); NaN where all are equal, or one is NaN or infinite.

    Attributes:
        bias: Whether to take the moment of the values as it is (g2), or to correct it for a sample (G2).

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Kurtosis
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [1, 2, 3, 4, 5]})
        >>> round(aggregate(Kurtosis().call(flow_of(table.schema).n), table), 4)
        -1.3
    """

    bias: bool = True
    State: ClassVar[Any] = Fourth

    def finish(self, state: Fourth) -> Float64Column:
        n, squares = _floats(state.count), _floats(state.squares)
        with np.errstate(all="ignore"):
            kurtosis = _floats(state.fourths) / n / (squares / n) ** 2 - 3
            if not self.bias:
                kurtosis = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * kurtosis + 6)
        return pa.array(kurtosis, mask=n < (1 if self.bias else 4))


def variance(squares: pa.Array, count: pa.Array, ddof: int) -> pa.Array:
    """Sums of squares divided by the degrees of freedom; null where there are none."""
    return divide_or_null(squares, pc.max_element_wise(pc.subtract(count, ddof), 0))


def _floats(column: pa.Array) -> Vector:
    return values_of(pc.cast(column, pa.float64()))
