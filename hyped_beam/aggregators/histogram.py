"""How many values lie in each of some intervals."""

from __future__ import annotations

from typing import Annotated, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator
from typing_extensions import Self

from hyped_beam.aggregators.tallies import listed
from hyped_beam.nodes.aggregator import Aggregator
from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.reductions import sums
from hyped_beam.nodes.registry import register
from hyped_beam.types.patterns import Int64Column, NumberColumn
from hyped_beam.types.vectors import Vector, values_of

_FloatsColumn: TypeAlias = Annotated[pa.Array, pa.list_(pa.float64())]
_IntegersColumn: TypeAlias = Annotated[pa.Array, pa.list_(pa.int64())]


@register
class Histogram(Aggregator):
    """How many values lie in each of some intervals, and how many below and above them.

    The value is a struct of `edges`, `counts`, `below` and `above`. An interval holds its lower edge but not
    its upper one; the last one holds both. There is one edge more than there are counts. Nulls and NaN are
    passed over. Values are compared as float64.

    Attributes:
        bins: The number of equally wide intervals from `low` to `high`.
        low: Where the first one begins.
        high: Where the last one ends.
        edges: The edges themselves, ascending, instead of the above.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Histogram
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [0, 1, 2, 5, 9, None]})
        >>> aggregate(Histogram(edges=[0, 2, 5]).call(flow_of(table.schema).n), table)
        {'edges': [0.0, 2.0, 5.0], 'counts': [2, 2], 'below': 0, 'above': 1}
    """

    bins: int | None = Field(default=None, gt=0, le=1_000_000)
    low: float | None = Field(default=None, allow_inf_nan=False)
    high: float | None = Field(default=None, allow_inf_nan=False)
    edges: tuple[float, ...] | None = None

    class State(NamedTuple):  # noqa: D106 - one state per group
        counts: _IntegersColumn

    class Value(NamedTuple):  # noqa: D106 - said above
        edges: _FloatsColumn
        counts: _IntegersColumn
        below: Int64Column
        above: Int64Column

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.edges is None:
            if self.bins is None or self.low is None or self.high is None:
                raise ValueError("give edges=[...], or bins=..., low=... and high=...")
            if not self.low < self.high:
                raise ValueError(f"low={self.low} is not below high={self.high}")
            return self
        if (self.bins, self.low, self.high) != (None, None, None):
            raise ValueError("give either edges, or bins, low and high")
        ascends = all(left < right for left, right in zip(self.edges, self.edges[1:], strict=False))
        if len(self.edges) < 2 or not ascends:  # noqa: PLR2004 - an interval has two
            raise ValueError("edges are at least two numbers, each above the one before it")
        return self

    def _edges(self) -> Vector:
        if self.edges is not None:
            return np.array(self.edges)
        return np.linspace(self.low or 0.0, self.high or 0.0, (self.bins or 0) + 1)

    def update(self, value: NumberColumn, by: Groups) -> State:
        edges = self._edges()
        floats = by.floats(value)
        numbers, groups = values_of(floats), by.numbers
        there = ~np.isnan(numbers)
        if floats.null_count:
            there &= floats.is_valid().to_numpy(zero_copy_only=False)
        if not there.all():
            numbers, groups = numbers[there], groups[there]
        # 0 is below the first edge, the number of edges above the last one
        places = np.searchsorted(edges, numbers, side="right")
        places[numbers == edges[-1]] -= 1
        width = len(edges) + 1
        counts = np.bincount(groups * width + places, minlength=by.n * width)
        return self._state(counts.reshape(by.n, width))

    def merge(self, state: State, by: Groups) -> State:
        width = len(self._edges()) + 1
        counts = values_of(pc.list_flatten(state.counts)).reshape(-1, width)
        return self._state(sums(counts, by.numbers, by.n))

    def _state(self, counts: Vector) -> State:
        n, width = counts.shape
        flat = pa.array(counts.reshape(-1).astype(np.int64, copy=False))
        return self.State(listed(flat, np.repeat(np.arange(n), width), n))

    def finish(self, state: State) -> Value:
        edges, n = self._edges(), len(state.counts)
        counts = values_of(pc.list_flatten(state.counts)).reshape(n, len(edges) + 1)
        inside, groups = counts[:, 1:-1], np.arange(n)
        return self.Value(
            listed(pa.array(np.tile(edges, n)), np.repeat(groups, len(edges)), n),
            listed(pa.array(inside.reshape(-1)), np.repeat(groups, inside.shape[1]), n),
            pa.array(np.ascontiguousarray(counts[:, 0])),
            pa.array(np.ascontiguousarray(counts[:, -1])),
        )
