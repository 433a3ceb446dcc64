"""Groups: which group each row of a batch belongs to, and the reductions that need nothing else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_COMPARED_AS = {pa.float16().id: pa.float32(), pa.duration("s").id: pa.int64()}
"""Types that Arrow knows no extremes of, as types in the same order."""


class Groups:
    """The groups of the rows of a batch.

    Every reduction gives one value per group, in the order of the groups' numbers, and skips nulls; a
    group without values gives null, except where it says otherwise. Rows of a group are reduced in their
    order, so that results are the same bits wherever the batch is computed.

    Args:
        n: The number of groups.
        ids: For each row the number of its group, from 0 (int64, no nulls); None where all rows are in
            the one group.
        rows: The number of rows; needed where `ids` is None.
    """

    def __init__(self, n: int, ids: pa.Array | None = None, rows: int | None = None) -> None:
        self.n = n
        self._ids = ids
        self.rows = len(ids) if ids is not None else int(rows or 0)

    @classmethod
    def whole(cls, rows: int) -> Groups:
        """The one group of all rows; it is there also when there are no rows."""
        return cls(1, None, rows)

    @property
    def ids(self) -> pa.Array:
        """For each row the number of its group."""
        if self._ids is None:
            self._ids = pa.array(np.zeros(self.rows, np.int64))
        return self._ids

    def sum(self, values: pa.Array) -> pa.Array:
        """Sums; 0 for a group without values. Integers widen to 64 bits.

        Raises:
            pyarrow.ArrowInvalid: An integer sum overflows 64 bits.
        """
        if pa.types.is_integer(values.type):
            return self._integer_sum(values)
        wide = pa.float64() if pa.types.is_floating(values.type) else values.type
        if self.n == 1:
            total = pc.sum(pc.cast(values, wide), min_count=0)
            return pa.array([total.as_py()], total.type)
        return self._reduce(pc.cast(values, wide), "sum", min_count=0)

    def _integer_sum(self, values: pa.Array) -> pa.Array:
        wide = pa.uint64() if pa.types.is_unsigned_integer(values.type) else pa.int64()
        exact = self._exact_sums(values) if self._may_overflow(values) else None
        if exact is not None:
            return pa.array(exact, wide)
        if self.n == 1:
            return pa.array([pc.sum(values, min_count=0).as_py()], wide)
        return pc.cast(self._reduce(values, "sum", min_count=0), wide)

    def _may_overflow(self, values: pa.Array) -> bool:
        limits = pc.min_max(values)
        low, high = limits["min"].as_py() or 0, limits["max"].as_py() or 0
        return max(abs(low), abs(high)) * max(len(values), 1) >= 2**63

    def _exact_sums(self, values: pa.Array) -> list[int]:
        totals = [0] * self.n
        for group, value in zip(self.ids.to_pylist(), values.to_pylist(), strict=True):
            totals[group] += value or 0
        limit = 2**64 if pa.types.is_unsigned_integer(values.type) else 2**63
        if any(not -(2**63) <= total < limit for total in totals):
            msg = "the sum of integers overflows 64 bits: cast them to float64 or decimal first"
            raise pa.ArrowInvalid(msg)
        return totals

    def product(self, values: pa.Array) -> pa.Array:
        """Products; 1 for a group without values."""
        return self._reduce(values, "product", min_count=0)

    def count(self, values: pa.Array) -> pa.Array:
        """The number of values that are not null (int64)."""
        if self.n == 1:
            return pa.array([len(values) - values.null_count], pa.int64())
        return self._reduce(values, "count")

    def size(self) -> pa.Array:
        """The number of rows (int64)."""
        if self.n == 1:
            return pa.array([self.rows], pa.int64())
        return pa.array(np.bincount(self.ids.to_numpy(), minlength=self.n).astype(np.int64))

    def min(self, values: pa.Array) -> pa.Array:
        """The smallest values; NaN only where a group has nothing else."""
        return self._extreme(values, "min")

    def max(self, values: pa.Array) -> pa.Array:
        """The largest values; NaN only where a group has nothing else."""
        return self._extreme(values, "max")

    def first(self, values: pa.Array) -> pa.Array:
        """The first values that are not null."""
        return self._at_end(values, last=False)

    def last(self, values: pa.Array) -> pa.Array:
        """The last values that are not null."""
        return self._at_end(values, last=True)

    def _at_end(self, values: pa.Array, *, last: bool) -> pa.Array:
        rows = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
        if not last:
            rows = rows[::-1]
        places = np.full(self.n, -1, np.int64)
        places[self.ids.to_numpy()[rows]] = (
            rows  # of several rows of a group, the last that is assigned stays
        )
        return pc.take(values, pa.array(places, mask=places < 0))

    def _extreme(self, values: pa.Array, function: str) -> pa.Array:
        comparable = _COMPARED_AS.get(values.type.id)
        if comparable is not None:
            return pc.cast(self._extreme(pc.cast(values, comparable), function), values.type)
        if self.n == 1:
            # not by way of Python, whose times know no nanoseconds
            found = pa.repeat((pc.min if function == "min" else pc.max)(values), 1)
        else:
            found = pc.cast(self._reduce(values, function), values.type)
        return _same_bits(found) if pa.types.is_floating(values.type) else found

    def _reduce(self, values: pa.Array, function: str, min_count: int | None = None) -> pa.Array:
        """One value per group by Arrow's hash aggregation, single-threaded so that row order is kept."""
        options = None if min_count is None else pc.ScalarAggregateOptions(min_count=min_count)
        table = pa.table({"group": self.ids, "value": values})
        reduced = (
            pa.TableGroupBy(table, "group", use_threads=False)
            .aggregate([("value", function, options) if options else ("value", function)])
            .sort_by("group")
        )
        column = reduced[f"value_{function}"].combine_chunks()
        if len(column) == self.n:
            return column
        places = np.full(self.n, -1, np.int64)
        places[reduced["group"].to_numpy()] = np.arange(len(column))
        taken = pc.take(column, pa.array(places, mask=places < 0))
        if min_count == 0 or function == "count":
            return pc.fill_null(taken, pa.scalar(1 if function == "product" else 0, taken.type))
        return taken


def _same_bits(floats: pa.Array) -> pa.Array:
    """Floats with one zero and one NaN: which of those that are equal came first must not show."""
    nan = pa.scalar(float("nan"), floats.type)
    return pc.if_else(pc.is_nan(floats), nan, pc.add(floats, pa.scalar(0.0, floats.type)))
