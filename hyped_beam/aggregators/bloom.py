"""Sets of values in a few bits each."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hyped_beam.nodes.aggregator import Aggregator
from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.reductions import order_of
from hyped_beam.nodes.registry import register
from hyped_beam.types import bloom
from hyped_beam.types.patterns import AnyColumn, BinaryColumn
from hyped_beam.types.vectors import Vector

_MOST_FLAGS = 2**26
"""How many bits are made at a time, before they are packed."""


@register
class BloomFilter(Aggregator):
    """The set of the values as a Bloom filter, which `filter.might_contain(ref)` looks values up in.

    A value that is in the set is always found; one that is not is found with a probability of some `error`,
    as long as the set has no more than `capacity` different values. Nulls are passed over, NaNs equal each
    other, and -0.0 equals 0.0. The bytes are the same in any order, laid out as `types/bloom.py` says.

    Attributes:
        capacity: How many different values the filter is made for, in each group.
        error: The probability of finding a value that is not there.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import BloomFilter
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [1, 2, 3, None]})
        >>> known = BloomFilter(capacity=1000).call(flow_of(table.schema).n)
        >>> len(aggregate(known, table))
        1215
    """

    commutative: ClassVar[bool] = True
    capacity: int = Field(gt=0, le=2**32)
    error: float = Field(default=0.01, gt=0, lt=1)

    class State(NamedTuple):  # noqa: D106 - one state per group
        bits: BinaryColumn

    def approximation(self) -> str:
        """How often a value is found that is not there."""
        return f"finds {100 * self.error:.2g} % of other values, up to {self.capacity} values"

    def _shape(self) -> bloom.Shape:
        return bloom.Shape.of(self.capacity, self.error)

    def update(self, value: AnyColumn, by: Groups) -> State:
        shape, groups = self._shape(), by.numbers
        if value.null_count:
            there = value.is_valid()
            value, groups = value.filter(there), groups[there.to_numpy(zero_copy_only=False)]
        places = bloom.places(value, shape).astype(np.int64)
        portion = max(_MOST_FLAGS // shape.bits, 1)
        rows = order_of(groups, by.n)
        begins = np.searchsorted(groups[rows], np.arange(0, by.n + portion, portion))
        packed = []
        for number, first in enumerate(range(0, by.n, portion)):
            here = rows[begins[number] : begins[number + 1]]
            size = min(portion, by.n - first)
            flags = np.zeros(size * shape.bits, np.bool_)
            flags[((groups[here] - first) * shape.bits)[:, None] + places[here]] = True
            packed.append(np.packbits(flags, bitorder="little"))
        return self._state(
            np.concatenate(packed or [np.zeros(0, np.uint8)]).reshape(by.n, shape.bits // 8), groups
        )

    def merge(self, state: State, by: Groups) -> State:
        there = state.bits.is_valid()
        groups = by.numbers[there.to_numpy(zero_copy_only=False)]
        held = pc.cast(state.bits.filter(there), pa.binary(self._shape().bits // 8))
        width = self._shape().bits // 8
        bits = np.zeros((by.n, width), np.uint8)
        if len(groups):
            rows = np.frombuffer(held.buffers()[1], np.uint8, len(held) * width, held.offset * width)
            order = order_of(groups, by.n)
            starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
            bits[groups[order][starts]] = np.bitwise_or.reduceat(rows.reshape(-1, width)[order], starts)
        return self._state(bits, groups)

    def _state(self, bits: Vector, groups: Vector) -> State:
        """Of groups without values nothing is kept."""
        filled = np.bincount(groups, minlength=len(bits)) > 0
        held = [row.tobytes() if some else None for row, some in zip(bits, filled, strict=True)]
        return self.State(pa.array(held, pa.binary()))

    def finish(self, state: State) -> BinaryColumn:
        shape = self._shape()
        bits = pc.fill_null(state.bits, bytes(shape.bits // 8))
        return pc.binary_join_element_wise(shape.header(), bits, b"")
