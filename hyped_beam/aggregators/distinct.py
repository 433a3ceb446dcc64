"""How many different values there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hyped_beam.aggregators.frequencies import bounded
from hyped_beam.aggregators.tallies import Tally, lengths_of, listed, places_in
from hyped_beam.nodes.aggregator import Aggregator
from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.registry import register
from hyped_beam.types import features
from hyped_beam.types.features import Feature
from hyped_beam.types.hashes import hashes_of
from hyped_beam.types.patterns import AnyColumn, Int64Column
from hyped_beam.types.vectors import Vector, values_of


class _Seen(NamedTuple):
    hashes: pa.Array | None = None
    values: pa.Array | None = None


@register
class CountDistinct(Aggregator):
    """Number of different values that are not null; NaNs equal each other, and -0.0 equals 0.0.

    Up to `k` of them are counted exactly, more are estimated with a relative standard error of
    `1 / sqrt(k - 2)`: 1.6 % with 4096, so that 99.7 % of estimates are within 4.7 %. The estimate does not
    depend on order or batches.

    It is a theta sketch in its first form: the `k` smallest hashes of the values (Bar-Yossef and others,
    *Counting Distinct Elements in a Data Stream*, 2002; Beyer and others, 2007).

    Attributes:
        k: How many hashes are kept in each group; each takes 8 bytes.
        exact: Whether to keep all values instead.
        max_values: With `exact`, the most different values that there may be, in a group.

    Raises:
        NodeError: With `exact`, there are more.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import CountDistinct
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [3, 1, 3, None]})
        >>> aggregate(CountDistinct().call(flow_of(table.schema).n), table)
        2
    """

    commutative: ClassVar[bool] = True
    k: int = Field(default=4096, ge=16)
    exact: bool = False
    max_values: int = Field(default=1_000_000, gt=0)
    State = _Seen

    def state_features(self, value: Feature) -> Mapping[str, Feature]:
        if self.exact:
            return {"values": features.list_of(value)}
        return {"hashes": features.list_of(features.value("uint64"))}

    def output(self, value: Feature) -> Feature:  # noqa: ARG002 - the same for all
        return features.value("int64")

    def update(self, value: AnyColumn, by: Groups) -> _Seen:
        if self.exact:
            return self._exact(Tally.of_rows(value, by))
        hashes, groups = by.once("hashes", value, lambda: _hashed(value, by))
        return self._smallest(hashes, groups, by.n)

    def merge(self, state: _Seen, by: Groups) -> _Seen:
        lists = state.values if self.exact else state.hashes
        groups = np.repeat(by.numbers, lengths_of(lists))
        if self.exact:
            return self._exact(Tally.of(by.n, groups, pc.list_flatten(lists)))
        return self._smallest(values_of(pc.list_flatten(lists)), groups, by.n)

    def _exact(self, tally: Tally) -> _Seen:
        tally = bounded(tally, self.max_values, "allow more, or estimate them with exact=False")
        # in an order that does not tell in which one they came
        order = pa.array(np.lexsort((hashes_of(tally.values), tally.groups)))
        return self.State(values=listed(pc.take(tally.values, order), tally.groups, tally.n))

    def _smallest(self, hashes: Vector, groups: Vector, n: int) -> _Seen:
        kept, groups = smallest(hashes, groups, n, self.k)
        return self.State(hashes=listed(pa.array(hashes[kept]), groups, n))

    def finish(self, state: _Seen) -> Int64Column:
        if self.exact:
            return pa.array(lengths_of(state.values))
        counts = lengths_of(state.hashes)
        full = np.flatnonzero(counts >= self.k)
        largest = values_of(pc.list_flatten(state.hashes))[np.cumsum(counts)[full] - 1]
        counts[full] = np.rint((self.k - 1) / ((largest.astype(np.float64) + 1) / 2.0**64))
        return pa.array(counts)


def _hashed(value: pa.Array, by: Groups) -> tuple[Vector, Vector]:
    """The hashes of the values that are not null, and their groups."""
    hashes, groups = hashes_of(value), by.numbers
    if value.null_count:
        there = value.is_valid().to_numpy(zero_copy_only=False)
        hashes, groups = hashes[there], groups[there]
    return hashes, groups


def smallest(hashes: Vector, groups: Vector, n: int, k: int) -> tuple[Vector, Vector]:
    """The rows of the `k` smallest different hashes in each group, the first row of each, and their groups.

    Returns:
        Rows, group after group and in each by hash; and for each its group.
    """
    rows: Any = None
    if n == 1 and len(hashes) > 4 * k:
        # most are far too large: if all were different, half of these would do
        rows = np.flatnonzero(hashes < np.uint64(2 * k / len(hashes) * 2.0**64))
        if len(np.unique(hashes[rows])) < k:
            rows = None
    if rows is not None:
        hashes, groups = hashes[rows], groups[rows]
    order = np.argsort(hashes, kind="stable") if n == 1 else np.lexsort((hashes, groups))
    hashes, groups = hashes[order], groups[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (hashes[1:] != hashes[:-1]) | (groups[1:] != groups[:-1])
    order, groups = order[new], groups[new]
    keep = places_in(groups, n) < k
    kept = order[keep]
    return (kept if rows is None else rows[kept]), groups[keep]
