"""One value from the elements of each list: sum, mean, min, max, any, all.

Elements that are null are passed over. Sums widen to 64 bits, as everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors.lists.elements import ListOfBooleans, ListOfComparables, ListOfNumbers
from hyped_beam.processors.lists.layout import Lists
from hyped_beam.processors.row_errors import with_hint
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import BooleanColumn
from hyped_beam.types.vectors import Vector, values_of

_LOW_BITS = 32
_LOW = 2**_LOW_BITS - 1


@method("sum")
class ListSum(Processor):
    """The sum of each list; 0 for an empty one. The sum of booleans is the number of true ones.

    Integers widen to int64 (unsigned ones to uint64), floats to float64, decimals to 38 digits (76, if they
    are decimal256); durations stay durations. Overflow is an error.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [[1, None, 2], [], None]})
        >>> evaluate(flow_of(table.schema).n.sum(), table).to_pylist()
        [3, 0, None]
    """

    def output(self, items: Feature) -> Feature:
        element = features.element(items)
        family = features.family(element)
        if family is Family.DECIMAL:
            given = features.to_arrow(element)
            wide = pa.decimal128 if given.bit_width == 128 else pa.decimal256  # noqa: PLR2004 - the type's name
            return features.from_arrow(wide(38 if wide is pa.decimal128 else 76, given.scale))
        if family is Family.DURATION:
            return element
        if family is Family.FLOAT:
            return features.value("float64")
        return features.value("uint64" if str(element.dtype).startswith("uint") else "int64")

    def process(self, items: ListOfNumbers) -> pa.Array:
        lists = Lists.of(items).without_null_elements()
        kind = lists.values.type
        if pa.types.is_decimal(kind):
            sums = pc.cast(_decimal_sums(lists), self.output_type)
            return sums if lists.nulls is None else pc.if_else(pa.array(lists.nulls), None, sums)
        if pa.types.is_floating(kind):
            return lists.column(_float_sums(lists), pa.float64())
        unsigned = pa.types.is_unsigned_integer(self.output_type)
        sums = lists.column(_exact_sums(lists, unsigned=unsigned), pa.uint64() if unsigned else pa.int64())
        return sums.view(self.output_type) if pa.types.is_duration(self.output_type) else sums


@method("mean")
class ListMean(Processor):
    """The arithmetic mean of each list; null if it has no elements. Of durations, rounded down to the unit.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [[1, None, 2], [], None]})
        >>> evaluate(flow_of(table.schema).n.mean(), table).to_pylist()
        [1.5, None, None]
    """

    def output(self, items: Feature) -> Feature:
        element = features.element(items)
        return element if features.family(element) is Family.DURATION else features.value("float64")

    def process(self, items: ListOfNumbers) -> pa.Array:
        lists = Lists.of(items).without_null_elements()
        empty = lists.lengths == 0
        counts = np.maximum(lists.lengths, 1)
        if pa.types.is_duration(self.output_type):
            means = _exact_sums(lists, unsigned=False) // counts
            return lists.column(means, pa.int64(), null=empty).view(self.output_type)
        return lists.column(_sums_as_floats(lists) / counts, pa.float64(), null=empty)


@method("min")
class ListMin(Processor):
    """The smallest element of each list; null if it has none. NaN only where there is nothing else.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [[2, None, 1], [], None]})
        >>> evaluate(flow_of(table.schema).n.min(), table).to_pylist()
        [1, None, None]
    """

    def output(self, items: Feature) -> Feature:
        return features.element(items)

    def process(self, items: ListOfComparables) -> pa.Array:
        return _extremes(items, "min")


@method("max")
class ListMax(Processor):
    """The largest element of each list; null if it has none. NaN only where there is nothing else.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [[2, None, 1], [], None]})
        >>> evaluate(flow_of(table.schema).n.max(), table).to_pylist()
        [2, None, None]
    """

    def output(self, items: Feature) -> Feature:
        return features.element(items)

    def process(self, items: ListOfComparables) -> pa.Array:
        return _extremes(items, "max")


@method("any")
class ListAny(Processor):
    """Whether any element of each list is true; false for an empty one. Nulls are passed over."""

    def process(self, items: ListOfBooleans) -> BooleanColumn:
        lists = Lists.of(items).without_null_elements()
        return lists.column(_whole_sums(_truth(lists), lists) > 0, pa.bool_())


@method("all")
class ListAll(Processor):
    """Whether all elements of each list are true; true for an empty one. Nulls are passed over."""

    def process(self, items: ListOfBooleans) -> BooleanColumn:
        lists = Lists.of(items).without_null_elements()
        return lists.column(_whole_sums(_truth(lists), lists) == lists.lengths, pa.bool_())


def _truth(lists: Lists) -> Vector:
    return values_of(pc.cast(lists.values, pa.uint8()))


def _integers(values: pa.Array) -> Vector:
    """The integers that values are stored as."""
    if pa.types.is_boolean(values.type) or pa.types.is_null(values.type):
        return values_of(pc.cast(values, pa.uint8()))
    return values_of(values, "i8") if pa.types.is_duration(values.type) else values_of(values)


def _whole_sums(values: Vector, lists: Lists) -> Vector:
    """Sums of integers, from those of everything before; modulo 2**64, which is exact where they fit."""
    before = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, dtype=np.int64, out=before[1:])
    return before[lists.offsets[1:]] - before[lists.offsets[:-1]]


def _may_overflow(values: Vector, lists: Lists) -> bool:
    if len(values) == 0:
        return False
    largest = max(abs(int(values.min())), abs(int(values.max())))
    return largest * int(lists.lengths.max()) >= 2**63


def _halves(values: Vector, lists: Lists) -> tuple[Vector, Vector]:
    """Sums of integers of any size, as a high part and the 32 bits below it."""
    high = _whole_sums((values >> _LOW_BITS).astype(np.int64), lists)
    low = _whole_sums((values & values.dtype.type(_LOW)).astype(np.int64), lists)
    return high + (low >> _LOW_BITS), low & _LOW


def _exact_sums(lists: Lists, *, unsigned: bool) -> Vector:
    """Sums of integers.

    Raises:
        OverflowError: One does not fit into 64 bits.
    """
    values = _integers(lists.values)
    if not _may_overflow(values, lists):
        return _whole_sums(values, lists).astype(np.uint64 if unsigned else np.int64)
    high, low = _halves(values, lists)
    least, limit = (0, 2**_LOW_BITS) if unsigned else (-(2 ** (_LOW_BITS - 1)), 2 ** (_LOW_BITS - 1))
    if np.any((high < least) | (high >= limit)):
        raise with_hint(
            OverflowError(f"the sum of a list does not fit into {'uint64' if unsigned else 'int64'}"),
            "cast the elements to float64: .cast(datasets.List(datasets.Value('float64')))",
        )
    kind = np.uint64 if unsigned else np.int64
    return (high.astype(kind) << kind(_LOW_BITS)) + low.astype(kind)


def _sums_as_floats(lists: Lists) -> Vector:
    kind = lists.values.type
    if pa.types.is_decimal(kind):
        return values_of(pc.cast(_decimal_sums(lists), pa.float64()))
    if pa.types.is_floating(kind):
        return _float_sums(lists)
    values = _integers(lists.values)
    if not _may_overflow(values, lists):
        return _whole_sums(values, lists).astype(np.float64)
    high, low = _halves(values, lists)
    return high * 2.0**_LOW_BITS + low


def _float_sums(lists: Lists) -> Vector:
    """Sums of floats, each from its own elements alone, so that neighbours change no bit of it."""
    values = values_of(lists.values).astype(np.float64)
    sums = np.zeros(lists.size)
    filled = np.flatnonzero(lists.lengths)
    if len(filled):
        with np.errstate(all="ignore"):  # inf - inf is nan
            sums[filled] = np.add.reduceat(values, lists.offsets[filled])
    return sums


def _decimal_sums(lists: Lists) -> pa.Array:
    wide = pa.decimal256(76, lists.values.type.scale)
    return _reduced(pc.cast(lists.values, wide), lists, "sum")


def _reduced(values: pa.Array, lists: Lists, function: str) -> pa.Array:
    groups = Groups(lists.size, pa.array(lists.rows))
    return getattr(groups, function)(values)


def _extremes(items: pa.Array, function: str) -> pa.Array:
    lists = Lists.of(items).without_null_elements()
    kind = lists.values.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if lists.size == 0 or len(lists.values) == 0:
        return pa.nulls(lists.size, kind)
    if not numeric and not pa.types.is_temporal(kind):
        return _reduced(lists.values, lists, function)
    values = values_of(lists.values) if numeric else values_of(lists.values, f"i{kind.bit_width // 8}")
    reduce: Any = np.fmin if function == "min" else np.fmax  # which pass over NaN
    found = np.zeros(lists.size, values.dtype)
    filled = np.flatnonzero(lists.lengths)
    found[filled] = reduce.reduceat(values, lists.offsets[filled])
    column = pa.array(found, mask=lists.lengths == 0)
    return column if numeric else column.view(kind)
