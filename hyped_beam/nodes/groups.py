"""Groups: which group each row of a batch belongs to, and the reductions that need nothing else."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes import reductions
from hyped_beam.types.vectors import Vector, values_of

_COMPARED_AS = {pa.float16().id: pa.float32(), pa.duration("s").id: pa.int64(), pa.bool_().id: pa.uint8()}
"""Types that Arrow knows no extremes of, or numpy none, as types in the same order."""

_SUM_OVERFLOWS = "the sum of integers overflows 64 bits: cast them to float64 or decimal first"
_WIDE = decimal.Context(prec=100)
_MOST_DIGITS = 76

Made = TypeVar("Made")


class Groups:
    """The groups of the rows of a batch.

    Every reduction gives one value per group, in the order of the groups' numbers, and skips nulls; a
    group without values gives null, except where it says otherwise. Rows of a group are reduced in their
    order, so that results are the same bits wherever the batch is computed.

    A reduction of the same array by the same groups is computed once: aggregators that stand beside each
    other (`Min` and `Max`, `Mean` and `Std`) share it.

    Args:
        n: The number of groups.
        ids: For each row the number of its group, from 0 (int64, no nulls); None where all rows are in
            the one group.
        rows: The number of rows; needed where `ids` is None.

    Attributes:
        n: The number of groups.
        rows: The number of rows.
    """

    def __init__(self, n: int, ids: pa.Array | None = None, rows: int | None = None) -> None:
        self.n = n
        self._ids = ids
        self.rows = len(ids) if ids is not None else int(rows or 0)
        self._known: dict[tuple[str, int], tuple[Any, Any]] = {}

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

    @property
    def numbers(self) -> Vector:
        """For each row the number of its group, as numpy."""
        return values_of(self.ids)

    @property
    def order(self) -> Vector:
        """The rows, group after group, and in each group in their order."""
        return self.once("order", None, lambda: reductions.order_of(self.numbers, self.n))

    def once(self, what: str, array: Any, compute: Callable[[], Made]) -> Made:
        """What is computed of an array by these groups, once however often it is asked for.

        Args:
            what: A name for what is computed.
            array: What it is computed of; None for what follows from the groups alone.
            compute: Computes it.
        """
        key = (what, id(array))
        known = self._known.get(key)
        if known is None:
            # with the array, so that no other gets its identity
            known = self._known[key] = (array, compute())
        return known[1]

    def repeat(self, values: pa.Array) -> pa.Array:
        """For each row the value of its group."""
        return pc.take(values, self.ids, boundscheck=False)

    def floats(self, values: pa.Array) -> pa.Array:
        """Numbers as float64, rounded where they have more digits."""
        if pa.types.is_float64(values.type):
            return values
        return self.once("floats", values, lambda: pc.cast(values, pa.float64(), safe=False))

    def sum(self, values: pa.Array) -> pa.Array:
        """Sums; 0 for a group without values. They widen to 64 bits, those of decimals to 76 digits.

        Raises:
            pyarrow.ArrowInvalid: A sum of integers overflows 64 bits, one of decimals 76 digits.
        """
        return self.once("sum", values, lambda: self._sum(values))

    def _sum(self, values: pa.Array) -> pa.Array:
        if pa.types.is_null(values.type):
            values = pc.cast(values, pa.int64())
        if pa.types.is_integer(values.type):
            return self._integer_sum(values)
        if pa.types.is_decimal(values.type):
            return self._decimal_sum(values)
        floats = self.floats(values)
        if self.n == 1:
            return pa.array([pc.sum(floats, min_count=0).as_py()], pa.float64())
        return pa.array(reductions.sums(_filled(floats), self.numbers, self.n))

    def _integer_sum(self, values: pa.Array) -> pa.Array:
        unsigned = pa.types.is_unsigned_integer(values.type)
        wide = pa.uint64() if unsigned else pa.int64()
        if self._may_overflow(values):
            high, low = self.limbs(values)
            return joined(values_of(high), values_of(low), wide)
        if self.n == 1:
            return pa.array([pc.sum(values, min_count=0).as_py()], wide)
        return pa.array(
            reductions.sums(
                _filled(values), self.numbers, self.n, np.dtype(np.uint64 if unsigned else np.int64)
            )
        )

    def limbs(self, values: pa.Array) -> tuple[pa.Array, pa.Array]:
        """Exact sums of integers: the sum is `high * 2**32 + low`, with `low` from 0 to 2**32 - 1 (int64).

        Raises:
            pyarrow.ArrowInvalid: The sum overflows 95 bits.
        """
        return self.once("limbs", values, lambda: self._limbs(values))

    def _limbs(self, values: pa.Array) -> tuple[pa.Array, pa.Array]:
        if self._may_overflow(values):
            wide = np.uint64 if pa.types.is_unsigned_integer(values.type) else np.int64
            ids = None if self.n == 1 else self.numbers
            high, low = reductions.limbs(_filled(values).astype(wide), ids, self.n)
        else:
            total = values_of(self.sum(values))
            shift = total.dtype.type(32)
            high = (total >> shift).astype(np.int64)
            low = (total & total.dtype.type(2**32 - 1)).astype(np.int64)
        return pa.array(high), pa.array(low)

    def _may_overflow(self, values: pa.Array) -> bool:
        low, high = self.once("limits", values, lambda: _limits(values))
        return max(abs(low), abs(high)) * max(len(values), 1) >= 2**63

    def _decimal_sum(self, values: pa.Array) -> pa.Array:
        wide = pa.decimal256(_MOST_DIGITS, values.type.scale)
        limit = pc.max(pc.abs(values)).as_py() or decimal.Decimal(0)
        if int(limit.scaleb(values.type.scale, _WIDE)) * len(values) >= 10**_MOST_DIGITS:
            return self._large_decimal_sum(values, wide)
        exact = pc.cast(values, wide)
        if self.n == 1:
            return pa.repeat(pc.cast(pc.sum(exact, min_count=0), wide), 1)
        return self._reduce(exact, "sum", min_count=0)

    def _large_decimal_sum(self, values: pa.Array, wide: pa.DataType) -> pa.Array:
        """Sums of decimals that may have more than 76 digits on the way, one by one."""
        totals = [decimal.Decimal(0)] * self.n
        for group, value in zip(self.numbers.tolist(), values.to_pylist(), strict=True):
            if value is not None:
                totals[group] = _WIDE.add(totals[group], value)
        if any(total.copy_abs().scaleb(wide.scale, _WIDE) >= 10**_MOST_DIGITS for total in totals):
            msg = "the sum of decimals overflows 76 digits: cast them to fewer digits or float64 first"
            raise pa.ArrowInvalid(msg)
        return pa.array(totals, wide)

    def count(self, values: pa.Array) -> pa.Array:
        """The number of values that are not null (int64)."""
        if values.null_count == 0:
            return self.size()
        return self.once("count", values, lambda: self._count(values.is_valid()))

    def size(self) -> pa.Array:
        """The number of rows (int64)."""
        return self.once("size", None, lambda: self._count(None))

    def count_true(self, where: pa.Array) -> pa.Array:
        """The number of rows where a condition is true (int64)."""
        return self._count(pc.fill_null(where, fill_value=False))

    def _count(self, where: pa.Array | None) -> pa.Array:
        if self.n == 1:
            return pa.array([self.rows if where is None else where.true_count], pa.int64())
        ids = self.numbers
        if where is not None:
            ids = ids[where.to_numpy(zero_copy_only=False)]
        return pa.array(np.bincount(ids, minlength=self.n).astype(np.int64, copy=False))

    def min(self, values: pa.Array) -> pa.Array:
        """The smallest values; NaN only where a group has nothing else."""
        return self.once("min", values, lambda: self._extreme(values, largest=False))

    def max(self, values: pa.Array) -> pa.Array:
        """The largest values; NaN only where a group has nothing else."""
        return self.once("max", values, lambda: self._extreme(values, largest=True))

    def first(self, values: pa.Array) -> pa.Array:
        """The first values that are not null."""
        return pc.take(values, self.first_row(values.is_valid() if values.null_count else None))

    def last(self, values: pa.Array) -> pa.Array:
        """The last values that are not null."""
        return pc.take(values, self.last_row(values.is_valid() if values.null_count else None))

    def first_row(self, where: pa.Array | None = None) -> pa.Array:
        """The number of the first row, of those where a condition is true (int64); null where none is."""
        return self._end(where, last=False)

    def last_row(self, where: pa.Array | None = None) -> pa.Array:
        """The number of the last row, of those where a condition is true (int64); null where none is."""
        return self._end(where, last=True)

    def _end(self, where: pa.Array | None, *, last: bool) -> pa.Array:
        if where is None and self.n == 1:
            end = (self.rows - 1 if last else 0) if self.rows else None
            return pa.array([end], pa.int64())
        if where is None:
            rows = np.arange(self.rows)
        else:
            rows = np.flatnonzero(pc.fill_null(where, fill_value=False).to_numpy(zero_copy_only=False))
        if self.n == 1:
            found = rows[-1:] if last else rows[:1]
            return pa.array(found, pa.int64()) if len(found) else pa.nulls(1, pa.int64())
        places = reductions.ends(rows, self.numbers, self.n, last=last)
        return pa.array(places, mask=places < 0)

    def _extreme(self, values: pa.Array, *, largest: bool) -> pa.Array:
        comparable = _COMPARED_AS.get(values.type.id)
        if comparable is not None:
            as_numbers = self._extreme(pc.cast(values, comparable), largest=largest)
            return pc.cast(as_numbers, values.type)
        if pa.types.is_float32(values.type) or pa.types.is_float64(values.type):
            return self._float_extreme(values, largest=largest)
        if self.n == 1:
            # not by way of Python, whose times know no nanoseconds
            limits = self.once("min_max", values, lambda: pc.min_max(values))
            return pa.repeat(limits["max" if largest else "min"], 1)
        if pa.types.is_primitive(values.type) and not pa.types.is_decimal(values.type):
            return self._numeric_extreme(values, largest=largest)
        return pc.cast(self._reduce(values, "max" if largest else "min"), values.type)

    def _numeric_extreme(self, values: pa.Array, *, largest: bool) -> pa.Array:
        unsigned = pa.types.is_unsigned_integer(values.type)
        dtype = np.dtype(f"{'u' if unsigned else 'i'}{values.type.bit_width // 8}")
        numbers, ids = values_of(values, dtype), self.numbers
        if values.null_count:
            there = values.is_valid().to_numpy(zero_copy_only=False)
            numbers, ids = numbers[there], ids[there]
        found = reductions.extremes(numbers, ids, self.n, largest=largest)
        return pa.array(found, mask=values_of(self.count(values)) == 0).view(values.type)

    def _float_extreme(self, values: pa.Array, *, largest: bool) -> pa.Array:
        there = pc.drop_null(values) if values.null_count else values
        floats = values_of(there)
        if self.n == 1:
            found = _extreme_float(floats, largest=largest)
            return pa.array([found], values.type)
        ids = self.numbers
        if values.null_count:
            ids = ids[values.is_valid().to_numpy(zero_copy_only=False)]
        numbers = ~np.isnan(floats)
        if not numbers.all():
            floats, ids = floats[numbers], ids[numbers]
        found = reductions.extremes(floats, ids, self.n, largest=largest) + floats.dtype.type(0)
        found[np.bincount(ids, minlength=self.n) == 0] = np.nan
        return pa.array(found, values.type, mask=values_of(self.count(values)) == 0)

    def _reduce(self, values: pa.Array, function: str, min_count: int | None = None) -> pa.Array:
        """One value per group by Arrow's hash aggregation, for types that numpy does not have."""
        options = None if min_count is None else pc.ScalarAggregateOptions(min_count=min_count)
        table = pa.table({"group": self.ids, "value": values})
        reduced = pa.TableGroupBy(table, "group", use_threads=False).aggregate(
            [("value", function, options) if options else ("value", function)]
        )
        column = reduced[f"value_{function}"].combine_chunks()
        places = np.full(self.n, -1, np.int64)
        places[reduced["group"].to_numpy()] = np.arange(len(column))
        taken = pc.take(column, pa.array(places, mask=places < 0))
        return taken if min_count is None else pc.fill_null(taken, pa.scalar(0, taken.type))


def joined(high: Vector, low: Vector, wide: pa.DataType) -> pa.Array:
    """Sums in two limbs as integers of 64 bits.

    Raises:
        pyarrow.ArrowInvalid: One does not fit.
    """
    least, most = (0, 2**32 - 1) if pa.types.is_unsigned_integer(wide) else (-(2**31), 2**31 - 1)
    if len(high) and (high.min() < least or high.max() > most):
        raise pa.ArrowInvalid(_SUM_OVERFLOWS)
    return pa.array((high << np.int64(32)) | low).view(wide)


def _filled(values: pa.Array) -> Vector:
    """Numbers as numpy, with zeros for nulls."""
    if values.null_count == 0:
        return values_of(values)
    return np.where(values.is_valid().to_numpy(zero_copy_only=False), values_of(values), 0)


def _limits(values: pa.Array) -> tuple[int, int]:
    if values.null_count == 0 and len(values):
        numbers = values_of(values)
        return int(numbers.min()), int(numbers.max())
    limits = pc.min_max(values)
    return limits["min"].as_py() or 0, limits["max"].as_py() or 0


def _extreme_float(floats: Vector, *, largest: bool) -> float | None:
    """The extreme with one zero and one NaN: which of those that are equal came first must not show."""
    if len(floats) == 0:
        return None
    found = floats.max() if largest else floats.min()
    if np.isnan(found):
        numbers = floats[~np.isnan(floats)]
        if len(numbers) == 0:
            return float("nan")
        found = numbers.max() if largest else numbers.min()
    return float(found) + 0.0
