"""Quantiles and medians: exact, or estimated by a sketch with a stated error."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hyped_beam.aggregators import compaction
from hyped_beam.aggregators.bounds import MAX_BYTES, MaxBytes, bounded_state
from hyped_beam.aggregators.compaction import Weighted
from hyped_beam.aggregators.tallies import lengths_of, listed
from hyped_beam.nodes.aggregator import Aggregator
from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.reductions import order_of
from hyped_beam.nodes.registry import register
from hyped_beam.types.patterns import Float64Column, NumberColumn
from hyped_beam.types.vectors import Vector, values_of

_FloatsColumn: TypeAlias = Annotated[pa.Array, pa.list_(pa.float64())]
_IntegersColumn: TypeAlias = Annotated[pa.Array, pa.list_(pa.int64())]
Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class _Items(NamedTuple):
    values: _FloatsColumn
    weights: _IntegersColumn


class _QuantileAggregator(Aggregator):
    State = _Items

    def _reduced(self, items: Weighted) -> Weighted:
        raise NotImplementedError

    def _what(self) -> str:
        """A name for what is computed of a batch, the same for nodes that can share it."""
        raise NotImplementedError

    def _checked(self, state: _Items) -> _Items:
        return state

    def update(self, value: NumberColumn, by: Groups) -> _Items:
        made = by.once(self._what(), value, lambda: self._state(_weighted(by.floats(value), by)))
        return self._checked(made)

    def merge(self, state: _Items, by: Groups) -> _Items:
        return self._checked(self._state(_items(state, by)))

    def _state(self, items: Weighted) -> _Items:
        items = self._reduced(items)
        return self.State(
            listed(pa.array(items.values), items.groups, items.n),
            listed(pa.array(items.weights), items.groups, items.n),
        )

    def _quantiles(self, state: _Items, q: tuple[float, ...], *, discrete: bool) -> tuple[Vector, Vector]:
        """The quantiles of each state, in a row each; and which of them have none."""
        n = len(state.values)
        items = _items(state, Groups(n, pa.array(np.arange(n))))
        found = [compaction.quantile(items, fraction, discrete=discrete) for fraction in q]
        return np.stack(found, axis=1), lengths_of(state.values) == 0

    def _lists(self, state: _Items, q: tuple[float, ...], *, discrete: bool) -> _FloatsColumn:
        found, empty = self._quantiles(state, q, discrete=discrete)
        n, width = found.shape
        lists = listed(pa.array(found.reshape(-1)), np.repeat(np.arange(n), width), n)
        return pc.if_else(pa.array(empty), pa.scalar(None, lists.type), lists)


class _Exact(_QuantileAggregator):
    """All different numbers of each group, ascending, each with its count."""

    max_bytes: MaxBytes = MAX_BYTES
    _HINT: ClassVar[str] = "use ApproxQuantiles(q=...) with the same q"

    def _what(self) -> str:
        return "counted numbers"

    def _reduced(self, items: Weighted) -> Weighted:
        return compaction.counted(items)

    def _checked(self, state: _Items) -> _Items:
        return bounded_state(state, self.max_bytes, self._HINT)


def _weighted(floats: pa.Array, by: Groups) -> Weighted:
    numbers, groups = values_of(floats), by.numbers
    there = ~np.isnan(numbers)
    if floats.null_count:
        there &= floats.is_valid().to_numpy(zero_copy_only=False)
    if by.n == 1:
        order: Any = slice(None) if there.all() else there
    else:
        order = by.order if there.all() else by.order[there[by.order]]
    kept = numbers[order] + 0.0
    return Weighted(by.n, groups[order], kept, np.ones(len(kept), np.int64))


def _items(state: _Items, by: Groups) -> Weighted:
    groups = np.repeat(by.numbers, lengths_of(state.values))
    order = order_of(groups, by.n)
    values, weights = (values_of(pc.list_flatten(column))[order] for column in (state.values, state.weights))
    return Weighted(by.n, groups[order], values, weights)


@register
class Quantiles(_Exact):
    """Quantiles of the numbers, exactly: a list of float64, one for each of `q`; null without numbers.

    All different numbers are kept, each with its count, in 16 bytes each. Where those of all groups that
    one process puts together take more than `max_bytes`, it stops with an error: take `ApproxQuantiles`,
    whose state has a fixed size. Nulls and NaN are passed over, and integers are rounded to float64.

    Attributes:
        q: The fractions, from 0 (the minimum) to 1 (the maximum).
        interpolation: Between the two numbers next to the fraction: `linear`, as numpy does by default; or
            `lower`, which always gives one of the numbers.
        max_bytes: The most bytes of different numbers and counts, of all groups together: 256 MiB, which is
            16 million numbers.

    Raises:
        NodeError: They take more.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Quantiles
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [4, 1, 3, 2, None, 5]})
        >>> aggregate(Quantiles(q=[0, 0.5, 0.9]).call(flow_of(table.schema).n), table)
        [1.0, 3.0, 4.6]
    """

    q: tuple[Fraction, ...] = Field(min_length=1)
    interpolation: Literal["linear", "lower"] = "linear"

    def finish(self, state: _Items) -> _FloatsColumn:
        return self._lists(state, self.q, discrete=self.interpolation == "lower")


@register
class Median(_Exact):
    """Median of the numbers, exactly, as float64; null where there are none.

    Of an even number of numbers the mean of the two in the middle. All different numbers are kept, as
    `Quantiles` does; `ApproxQuantiles(q=[0.5])` is the twin whose state has a fixed size. Nulls and NaN are
    passed over, and integers are rounded to float64.

    Attributes:
        max_bytes: The most bytes of different numbers and counts, of all groups together: 256 MiB, which is
            16 million numbers.

    Raises:
        NodeError: They take more.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Median
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [4, 1, 3, 2, None]})
        >>> aggregate(Median().call(flow_of(table.schema).n), table)
        2.5
    """

    _HINT: ClassVar[str] = "use ApproxQuantiles(q=[0.5])"

    def finish(self, state: _Items) -> Float64Column:
        found, empty = self._quantiles(state, (0.5,), discrete=False)
        return pa.array(found[:, 0], mask=empty)


@register
class ApproxQuantiles(_QuantileAggregator):
    """Estimated quantiles of the numbers: a list of float64, one for each of `q`; null without numbers.

    Exact while a group has fewer than `k` numbers. Beyond, a quantile is that of a fraction which differs
    from the wanted one by about `1 / k`: a standard deviation of 0.14 % with the default, and never more
    than `log2(n / k) / k`, 2 % for a thousand million numbers. Nulls and NaN are passed over, and integers
    are rounded to float64.

    The sketch is a KLL sketch (Karnin, Lang and Liberty, *Optimal Quantile Approximation in Streams*, 2016)
    with levels of equal size, whose coins are tossed by hashing the numbers: it is the same in every run.

    Attributes:
        q: The fractions, from 0 (the minimum) to 1 (the maximum).
        interpolation: Between the two numbers next to the fraction: `linear`, as numpy does by default; or
            `lower`, which always gives one of the numbers.
        k: How many numbers are kept on each level of the sketch; there are about `log2(n / k)` levels.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import ApproxQuantiles
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [4, 1, 3, 2, None, 5]})
        >>> aggregate(ApproxQuantiles(q=[0, 0.5, 0.9]).call(flow_of(table.schema).n), table)
        [1.0, 3.0, 4.6]
    """

    q: tuple[Fraction, ...] = Field(min_length=1)
    interpolation: Literal["linear", "lower"] = "linear"
    k: int = Field(default=1024, ge=8)

    def approximation(self) -> str:
        """The standard deviation of the fraction whose quantile is given."""
        return f"+-{143 / self.k:.2g} % of the rows (standard error of the rank) from {self.k} numbers on"

    def _what(self) -> str:
        return f"sketch of {self.k}"

    def _reduced(self, items: Weighted) -> Weighted:
        return compaction.compact(items, self.k)

    def finish(self, state: _Items) -> _FloatsColumn:
        return self._lists(state, self.q, discrete=self.interpolation == "lower")
