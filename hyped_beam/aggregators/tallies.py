"""Tallies: the different values of each group, and how often each occurs; for all groups at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.reductions import sums
from hyped_beam.types.identity import distinct, first_rows, one_zero, paired, ranks
from hyped_beam.types.vectors import Vector, values_of


@dataclass(frozen=True)
class Tally:
    """Values and counts, one group after the other.

    Attributes:
        n: The number of groups.
        groups: For each value its group, ascending.
        values: The values; in a group all are different, by the order in which they first appeared.
        counts: How often each occurs (int64).
    """

    n: int
    groups: Vector
    values: pa.Array
    counts: Vector

    @classmethod
    def of(cls, n: int, groups: Vector, values: pa.Array, counts: Vector | None = None) -> Tally:
        """The tally of values, each of a group and as often as its count (once, where there are none)."""
        if values.null_count:
            there = values.is_valid().to_numpy(zero_copy_only=False)
            groups, counts = groups[there], None if counts is None else counts[there]
            values = values.filter(pa.array(there))
        codes, first = distinct(values)
        if n > 1:
            codes, first = _pairs(codes, groups, n)
        size = len(first)
        occurs = np.bincount(codes, minlength=size) if counts is None else sums(counts, codes, size)
        where = groups[first]
        order = np.argsort(where, kind="stable") if n > 1 else slice(None)
        taken = one_zero(pc.take(values, pa.array(first[order])))
        return cls(n, where[order], taken, occurs[order].astype(np.int64, copy=False))

    @classmethod
    def of_rows(cls, values: pa.Array, by: Groups) -> Tally:
        """The tally of a column; computed once for all who ask."""
        return by.once("tally", values, lambda: cls.of(by.n, by.numbers, values))

    @classmethod
    def of_states(cls, values: pa.Array, counts: pa.Array, by: Groups) -> Tally:
        """The tally of several states of each group, whose values and counts are lists."""
        groups = np.repeat(by.numbers, lengths_of(values))
        return cls.of(by.n, groups, pc.list_flatten(values), values_of(pc.list_flatten(counts)))

    @property
    def sizes(self) -> Vector:
        """How many different values each group has."""
        return np.bincount(self.groups, minlength=self.n)

    def lists(self, values: pa.Array | None = None) -> tuple[pa.Array, pa.Array]:
        """The values and the counts of each group as lists.

        Args:
            values: The values as they are to be kept; as they are, if None.
        """
        return (
            listed(self.values if values is None else values, self.groups, self.n),
            listed(pa.array(self.counts), self.groups, self.n),
        )

    def where(self, keep: Vector) -> Tally:
        """Those values for which a condition holds."""
        return Tally(self.n, self.groups[keep], self.values.filter(pa.array(keep)), self.counts[keep])

    def with_counts(self, counts: Vector) -> Tally:
        """The same values with other counts."""
        return Tally(self.n, self.groups, self.values, counts)

    def ranked(self) -> Tally:
        """The same with the most frequent first, and those that occur equally often by value."""
        order = np.lexsort((ranks(self.values), -self.counts, self.groups))
        return Tally(self.n, self.groups, pc.take(self.values, pa.array(order)), self.counts[order])

    def top(self, k: int) -> Tally:
        """The first `k` values of each group."""
        return self.where(places_in(self.groups, self.n) < k)


def _pairs(codes: Vector, groups: Vector, n: int) -> tuple[Vector, Vector]:
    """As codes and first rows of values, but a value is another one in another group."""
    codes, count = paired(codes, groups, n)
    return codes, first_rows(codes, count)


def places_in(groups: Vector, n: int) -> Vector:
    """The place of each row in its group, where rows lie one group after the other."""
    sizes = np.bincount(groups, minlength=n)
    return np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def listed(values: pa.Array, groups: Vector, n: int) -> pa.Array:
    """Values that lie one group after the other, as one list for each group."""
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(groups, minlength=n), out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def lengths_of(lists: pa.Array) -> Vector:
    """The number of elements of each list; 0 for null."""
    return pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)
