"""Lists put in order, and rid of what they hold twice.

Each element gets a number, the same for equal elements. Behind the number of its list it makes a key, and
the keys of all lists are sorted, or looked up, together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import DefinitionTypeError
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors.comparison import COMPARABLE
from hyped_beam.processors.lists.elements import ListOfComparables
from hyped_beam.processors.lists.layout import Lists, portions
from hyped_beam.processors.strings.buffers import Marks, Mask
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.identity import encoded, paired
from hyped_beam.types.patterns import ListColumn
from hyped_beam.types.vectors import Vector, computable, values_of

_LARGEST_KEY = 2**62


@method("sort")
class ListSort(Processor):
    """The elements of each list from the smallest to the largest, or the other way round.

    NaN counts as larger than all numbers. Text is ordered by code points, a `ClassLabel` by its labels.

    Attributes:
        descending: Whether the largest come first.
        nulls_last: Whether elements that are null come last, rather than first; in either direction.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [[3, None, 1], [], None]})
        >>> src = flow_of(table.schema)
        >>> evaluate(src.n.sort(), table).to_pylist()
        [[None, 1, 3], [], None]
        >>> evaluate(src.n.sort(descending=True, nulls_last=True), table).to_pylist()
        [[3, 1, None], [], None]
    """

    descending: bool = False
    nulls_last: bool = False

    def output(self, items: Feature) -> Feature:
        return items

    def process(self, items: ListOfComparables) -> pa.Array:
        lists = Lists.of(items)
        if len(lists.values) == 0 or pa.types.is_null(lists.values.type):
            return items
        in_order = [self._sorted(portion) for portion in portions(lists)]
        values = in_order[0] if len(in_order) == 1 else pa.concat_arrays(in_order)
        return _as_given(Lists(values, lists.offsets, lists.nulls), self.output_type)

    def _sorted(self, lists: Lists) -> pa.Array:
        """The elements of some lists, those of each list in order."""
        order = _Order.of(lists.values, lists.size)
        ranks = order.count - 1 - order.ranks if self.descending else order.ranks
        null_rank = order.count if self.nulls_last else -1
        if lists.values.null_count:
            ranks = np.where(lists.values.is_null().to_numpy(zero_copy_only=False), null_rank, ranks)
        width = order.count + 2
        before = _narrowed(lists.rows * width + 1, lists.size * width)
        ranks = np.sort(before + ranks.astype(before.dtype)) - before
        nulls = ranks == null_rank if lists.values.null_count else None
        return order.values_at(order.count - 1 - ranks if self.descending else ranks, nulls)


@method("unique")
class ListUnique(Processor):
    """The elements of each list without those that came before in it; the others keep their order.

    Null is an element as any other, so is NaN, and 0.0 equals -0.0.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"tags": [["b", "a", "b"], [None, None], None]})
        >>> evaluate(flow_of(table.schema).tags.unique(), table).to_pylist()
        [['b', 'a'], [None], None]
    """

    def output(self, items: Feature) -> Feature:
        if not _has_identity(features.element(items)):
            raise DefinitionTypeError(
                f"unique() cannot compare the elements of {features.describe(items)}",
                hint="elements may be numbers, texts, binary, booleans, times, and structs of them",
            )
        return features.list_of(features.element(items), like=items)

    def process(self, items: ListColumn) -> pa.Array:
        lists = Lists.of(items)
        if len(lists.values) == 0:
            return lists.array(self.output_type)
        new = np.concatenate([_is_new(portion) for portion in portions(lists)])
        if not new.all():
            lists = Lists(
                lists.values.filter(pa.array(new)), Marks.of(new).before(lists.offsets), lists.nulls
            )
        return lists.array(self.output_type)


def _is_new(lists: Lists) -> Mask:
    """For each element whether it is the first in its list of those that are equal."""
    keys, _ = paired(lists.rows, *encoded(lists.values))
    # Keys are numbered as they appear: one is new where it is larger than all before.
    new = np.ones(len(keys), np.bool_)
    new[1:] = keys[1:] > np.maximum.accumulate(keys)[:-1]
    return new


def _as_given(lists: Lists, list_type: pa.DataType) -> pa.Array:
    """Lists of the lengths that they had when given, also as lists of a fixed size."""
    if not pa.types.is_fixed_size_list(list_type):
        return lists.array(list_type)
    if lists.nulls is None:
        return pa.FixedSizeListArray.from_arrays(lists.values, type=list_type)
    filled = np.repeat(~lists.nulls, list_type.list_size)
    places = pa.array(np.where(filled, np.cumsum(filled) - 1, 0), mask=~filled)
    return pa.FixedSizeListArray.from_arrays(
        lists.values.take(places), type=list_type, mask=pa.array(lists.nulls)
    )


@dataclass(frozen=True)
class _Order:
    """Values by their place in an order.

    Attributes:
        ranks: For each value its place; that of a null is any.
        count: How many places there are.
        lowest: The integer at the first place, where the others follow it one by one; else None.
        ordered: The values at all places, where they are no such integers.
    """

    ranks: Vector
    count: int
    lowest: Any = None
    ordered: pa.Array = None

    @classmethod
    def of(cls, values: pa.Array, lists: int) -> _Order:
        """The order of the elements of so many lists."""
        if pa.types.is_integer(values.type):
            limits = pc.min_max(values).as_py()
            low, high = limits["min"] or 0, limits["max"] or 0
            if (high - low + 3) * lists < _LARGEST_KEY:
                return cls._of_integers(values_of(values), low, high)
        encoded = computable(values).dictionary_encode()
        distinct = encoded.dictionary
        order = _order(distinct)
        places = np.zeros(max(len(order), 1), np.int64)
        places[order] = np.arange(len(order))
        ranks = places[pc.fill_null(encoded.indices, 0).to_numpy()]
        return cls(ranks, len(order), ordered=pc.take(distinct, pa.array(order)).cast(values.type))

    @classmethod
    def _of_integers(cls, numbers: Vector, low: int, high: int) -> _Order:
        lowest = numbers.dtype.type(low)
        # Unsigned, as the distance of two small integers may be no integer of their type.
        distances = (numbers - lowest).view(f"u{numbers.itemsize}")
        limit = distances.dtype.type(high - low)
        return cls(np.minimum(distances, limit).astype(np.int64), high - low + 1, lowest=lowest)

    def values_at(self, ranks: Vector, nulls: Mask | None) -> pa.Array:
        """The values at some places; null where `nulls` says."""
        if self.lowest is not None:
            return pa.array(ranks.astype(self.lowest.dtype) + self.lowest, mask=nulls)
        return pc.take(self.ordered, pa.array(ranks, mask=nulls))


def _order(distinct: pa.Array) -> Vector:
    """The positions of distinct values in their order; -0.0 before 0.0, whichever came first."""
    if pa.types.is_floating(distinct.type):
        numbers = values_of(distinct)
        return np.lexsort((~np.signbit(numbers), numbers))
    return pc.sort_indices(distinct).to_numpy().astype(np.int64)


def _narrowed(numbers: Vector, below: int) -> Vector:
    """Numbers in the narrowest type that holds all below a limit: narrow ones are sorted faster."""
    return numbers.astype(np.int32) if below <= np.iinfo(np.int32).max else numbers


def _has_identity(feature: Feature) -> bool:
    if features.family(feature) is Family.STRUCT:
        return all(_has_identity(inner) for inner in features.fields(feature).values())
    return features.family(feature) in (*COMPARABLE, Family.NULL)
