"""States of groups that are told by their places: keys are compared once, and not wherever two are merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from hyped_beam.execute.combining import KEYS
from hyped_beam.execute.states import StateMerger, StateTree, no_states, with_keys
from hyped_beam.plan.program import Combine
from hyped_beam.types import arrays
from hyped_beam.types.identity import group_rows, sort_order
from hyped_beam.types.vectors import Vector


@dataclass(frozen=True)
class PlacedStates:
    """States whose groups are told by their places among all groups of a partition, in the order of keys.

    Attributes:
        combine: What they are the states of.
        keys: The keys, in order.
        places: By the number of the range the places of its groups.
        states: By the number of the range its states, in the order of `places`.
    """

    combine: Combine
    keys: pa.StructArray
    places: Mapping[int, Vector]
    states: Mapping[int, pa.RecordBatch]

    @classmethod
    def of(cls, combine: Combine, states: Mapping[int, pa.RecordBatch]) -> PlacedStates:
        """The states of ranges, by the number of the range."""
        held = [no_states(StateMerger(combine).schema), *states.values()]
        keys = pa.concat_arrays([batch.column(KEYS) for batch in held])
        ids, first = group_rows(arrays.columns_of(keys, len(keys)), len(keys))
        distinct = keys.take(pa.array(first))
        order = sort_order(arrays.columns_of(distinct, len(distinct)), len(distinct))
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        ends = np.cumsum([batch.num_rows for batch in states.values()], dtype=np.int64)
        parts = np.split(places[ids], ends[:-1]) if len(ends) else []
        return cls(combine, distinct.take(pa.array(order)), dict(zip(states, parts, strict=True)), states)

    @property
    def scope(self) -> int:
        """The scope of the groups."""
        assert self.combine.grouping is not None  # noqa: S101 - what is shuffled has keys
        return self.combine.grouping.scope

    def total(self, ranges: int) -> pa.RecordBatch:
        """The states of all ranges, in the order of keys.

        Args:
            ranges: How many ranges the source has.

        Raises:
            NodeError: An aggregator raised.
        """
        assert self.combine.grouping is not None  # noqa: S101 - what is shuffled has keys
        grouping = replace(self.combine.grouping, key_type=pa.struct({"place": pa.int64()}))
        merger = StateMerger(replace(self.combine, grouping=grouping))
        parts = {
            number: with_keys(
                batch, arrays.struct_of({"place": pa.array(self.places[number])}, batch.num_rows)
            )
            for number, batch in self.states.items()
        }
        merged = StateTree.of_parts(merger, parts, ranges).total()
        merged = merged.take(pa.array(np.argsort(merged.column(KEYS).field("place").to_numpy())))
        return with_keys(merged, self.keys)
