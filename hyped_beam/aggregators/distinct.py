"""How many different values there are: exactly, or estimated by a sketch with a stated error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hyped_beam.aggregators.bounds import MAX_BYTES, MaxBytes, bounded_state, wide_feature, wide_values
from hyped_beam.aggregators.tallies import Tally, lengths_of, listed, places_in
from hyped_beam.nodes.aggregator import Aggregator
from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.registry import register
from hyped_beam.types import features
from hyped_beam.types.features import Feature
from hyped_beam.types.hashes import hashes_of
from hyped_beam.types.patterns import AnyColumn, Int64Column
from hyped_beam.types.vectors import Vector, values_of


class _Values(NamedTuple):
    values: pa.Array


@register
class CountDistinct(Aggregator):
    """Number of different values that are not null, exactly; NaNs equal each other, and -0.0 equals 0.0.

    All different values are kept, not their hashes. Where those of all groups that one process puts
    together take more than `max_bytes`, it stops with an error. There are two ways out:
    `ApproxCountDistinct`, whose state has a fixed size; and counting the groups by value, which a shuffle
    spreads over partitions: `Count().call(ops.group_by({"value": ref}, join="shuffle").keys.value)`.

    Attributes:
        max_bytes: The most bytes of different values, of all groups together: 256 MiB.

    Raises:
        NodeError: They take more.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import CountDistinct
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [3, 1, 3, None]})
        >>> aggregate(CountDistinct().call(flow_of(table.schema).n), table)
        2
    """

    max_bytes: MaxBytes = MAX_BYTES
    State = _Values
    _HINT: ClassVar[str] = (
        "use ApproxCountDistinct; or count the groups by value, in partitions: "
        'Count().call(ops.group_by({"value": ref}, join="shuffle").keys.value)'
    )

    def state_features(self, value: Feature) -> Mapping[str, Feature]:
        return {"values": features.list_of(wide_feature(value))}

    def output(self, value: Feature) -> Feature:  # noqa: ARG002 - the same for all
        return features.value("int64")

    def update(self, value: AnyColumn, by: Groups) -> _Values:
        return self._kept(Tally.of_rows(value, by))

    def merge(self, state: _Values, by: Groups) -> _Values:
        groups = np.repeat(by.numbers, lengths_of(state.values))
        return self._kept(Tally.of(by.n, groups, pc.list_flatten(state.values)))

    def _kept(self, tally: Tally) -> _Values:
        values = listed(wide_values(tally.values), tally.groups, tally.n)
        return bounded_state(self.State(values), self.max_bytes, self._HINT)

    def finish(self, state: _Values) -> Int64Column:
        return pa.array(lengths_of(state.values))


class _Hashes(NamedTuple):
    hashes: pa.Array


@register
class ApproxCountDistinct(Aggregator):
    """Estimated number of different values that are not null; NaNs equal each other, and -0.0 equals 0.0.

    Up to `k` of them are counted exactly, more are estimated with a relative standard error of
    `1 / sqrt(k - 2)`: 1.6 % with 4096, so that 99.7 % of estimates are within 4.7 %. The estimate does not
    depend on order or batches.

    It is a theta sketch in its first form: the `k` smallest hashes of the values (Bar-Yossef and others,
    *Counting Distinct Elements in a Data Stream*, 2002; Beyer and others, 2007).

    Attributes:
        k: How many hashes are kept in each group; each takes 8 bytes.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import ApproxCountDistinct
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [3, 1, 3, None]})
        >>> aggregate(ApproxCountDistinct().call(flow_of(table.schema).n), table)
        2
    """

    commutative: ClassVar[bool] = True
    k: int = Field(default=4096, ge=16)
    State = _Hashes

    def approximation(self) -> str:
        """The relative standard error."""
        return f"+-{100 / np.sqrt(self.k - 2):.2g} % (standard error) above {self.k} values"

    def state_features(self, value: Feature) -> Mapping[str, Feature]:  # noqa: ARG002 - the same for all
        return {"hashes": features.list_of(features.value("uint64"))}

    def output(self, value: Feature) -> Feature:  # noqa: ARG002 - the same for all
        return features.value("int64")

    def update(self, value: AnyColumn, by: Groups) -> _Hashes:
        hashes, groups = by.once("hashes", value, lambda: _hashed(value, by))
        return self._smallest(hashes, groups, by.n)

    def merge(self, state: _Hashes, by: Groups) -> _Hashes:
        groups = np.repeat(by.numbers, lengths_of(state.hashes))
        return self._smallest(values_of(pc.list_flatten(state.hashes)), groups, by.n)

    def _smallest(self, hashes: Vector, groups: Vector, n: int) -> _Hashes:
        kept, groups = smallest(hashes, groups, n, self.k)
        return self.State(hashes=listed(pa.array(hashes[kept]), groups, n))

    def finish(self, state: _Hashes) -> Int64Column:
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
