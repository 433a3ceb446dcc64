"""Values themselves: the first ones as a list, or a sample of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hyped_beam.aggregators.distinct import smallest
from hyped_beam.aggregators.tallies import lengths_of, listed, places_in
from hyped_beam.nodes.aggregator import Aggregator
from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.reductions import order_of
from hyped_beam.nodes.registry import register
from hyped_beam.types import features
from hyped_beam.types.features import Feature
from hyped_beam.types.hashes import hashes_of
from hyped_beam.types.identity import one_zero
from hyped_beam.types.patterns import AnyColumn, ListColumn
from hyped_beam.types.vectors import Vector, values_of


class _Values(NamedTuple):
    values: pa.Array


@register
class CollectList(Aggregator):
    """The first values in source order, of any type, as a list.

    Attributes:
        limit: How many values are taken at most, in a group; further ones are left out.
        skip_nulls: Whether nulls are passed over.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import CollectList
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [3, None, 1, 2]})
        >>> aggregate(CollectList(limit=2).call(flow_of(table.schema).n), table)
        [3, 1]
    """

    limit: int = Field(gt=0)
    skip_nulls: bool = True
    State = _Values

    def state_features(self, value: Feature) -> Mapping[str, Feature]:
        return {"values": features.list_of(value)}

    def output(self, value: Feature) -> Feature:
        return features.list_of(value)

    def update(self, value: AnyColumn, by: Groups) -> _Values:
        rows = by.order
        if self.skip_nulls and value.null_count:
            rows = rows[value.is_valid().to_numpy(zero_copy_only=False)[rows]]
        return self._first(value, rows, by.numbers[rows], by.n)

    def merge(self, state: _Values, by: Groups) -> _Values:
        groups = np.repeat(by.numbers, lengths_of(state.values))
        rows = order_of(groups, by.n)
        return self._first(pc.list_flatten(state.values), rows, groups[rows], by.n)

    def _first(self, values: pa.Array, rows: Vector, groups: Vector, n: int) -> _Values:
        keep = places_in(groups, n) < self.limit
        return self.State(listed(pc.take(values, pa.array(rows[keep])), groups[keep], n))

    def finish(self, state: _Values) -> ListColumn:
        return state.values


class _Drawn(NamedTuple):
    values: pa.Array
    hashes: pa.Array


@register
class Sample(Aggregator):
    """A random sample of the values, as a list of at most `k`.

    Drawn from the different keys, each with the same chance; a key stands for the first row in source order
    that has it. With the number or name of a row as its key, `call(value=..., key=src.id)`, it is a sample
    of the rows; without a key it is one of the different values, frequent or not. Rows without a value are
    passed over, and a null key is a key.

    A key is drawn when the hash of it and the seed is among the `k` smallest, so that the sample is the same
    however the rows are cut and ordered. Values come in the order of these hashes, that is, in none.

    Attributes:
        k: How many are drawn, in each group.
        seed: Another seed draws another sample.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Sample
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"id": range(100), "n": [row % 10 for row in range(100)]})
        >>> src = flow_of(table.schema)
        >>> aggregate(Sample(k=3).call(src.id), table)
        [52, 85, 36]
        >>> aggregate(Sample(k=3).call(value=src.n, key=src.id), table)
        [2, 5, 6]
    """

    k: int = Field(gt=0)
    seed: int = Field(default=0, ge=0, lt=2**64)
    State = _Drawn

    def state_features(self, value: Feature, key: Feature = None) -> Mapping[str, Feature]:  # noqa: ARG002 - only its hash is kept
        return {"values": features.list_of(value), "hashes": features.list_of(features.value("uint64"))}

    def output(self, value: Feature, key: Feature = None) -> Feature:  # noqa: ARG002 - of any type
        return features.list_of(value)

    def update(self, value: AnyColumn, by: Groups, key: AnyColumn = None) -> _Drawn:
        hashes, groups = hashes_of(value if key is None else key, self.seed), by.numbers
        if value.null_count:
            there = value.is_valid().to_numpy(zero_copy_only=False)
            value, hashes, groups = value.filter(pa.array(there)), hashes[there], groups[there]
        return self._drawn(value, hashes, groups, by.n)

    def merge(self, state: _Drawn, by: Groups) -> _Drawn:
        groups = np.repeat(by.numbers, lengths_of(state.values))
        values, hashes = pc.list_flatten(state.values), values_of(pc.list_flatten(state.hashes))
        return self._drawn(values, hashes, groups, by.n)

    def _drawn(self, values: pa.Array, hashes: Vector, groups: Vector, n: int) -> _Drawn:
        rows, groups = smallest(hashes, groups, n, self.k)
        taken = one_zero(pc.take(values, pa.array(rows)))
        return self.State(listed(taken, groups, n), listed(pa.array(hashes[rows]), groups, n))

    def finish(self, state: _Drawn) -> ListColumn:
        return state.values
