"""Elements of lists by their place: `[i]` and `[start:stop]`."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method, operator
from hyped_beam.processors.lists.layout import Lists, ranges
from hyped_beam.types import features
from hyped_beam.types.features import Feature
from hyped_beam.types.indexed import Indexed
from hyped_beam.types.patterns import IntegerColumn, ListColumn
from hyped_beam.types.vectors import valid_rows, value_of


@operator("[]")
class ListElement(Processor):
    """The element of each list at a place, from 0; counted from the end if negative. Null if there is none.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"tags": [["a", "b"], ["c"], None]})
        >>> evaluate(flow_of(table.schema).tags[1], table).to_pylist()
        ['b', None, None]
    """

    accepts_scalars: ClassVar[bool] = True
    takes_indexed: ClassVar[tuple[str, ...]] = ("items",)

    def output(self, items: Feature, index: Feature) -> Feature:  # noqa: ARG002 - whichever integer it is
        return features.element(items)

    def process(self, items: ListColumn, index: IntegerColumn) -> pa.Array:
        if isinstance(items, pa.Scalar):
            return _elements_of_one(items, index, self.output_type)
        if isinstance(index, pa.Scalar) and not index.is_valid:
            return pa.nulls(len(items), self.output_type)
        known: Any = None
        if isinstance(items, Indexed):
            lists, (rows, known) = Lists.of(items.values), items.places()
            lengths, starts = (of_lists[rows] for of_lists in (lists.lengths, lists.offsets[:-1]))
        else:
            lists = Lists.of(items)
            lengths, starts = lists.lengths, lists.offsets[:-1]
        place, exists = _place(index, lengths)
        for valid in (known, valid_rows(index)):
            if valid is not None:
                exists &= valid
        return lists.values.take(pa.array(starts + place, mask=~exists))


def _place(index: Any, length: Any) -> tuple[Any, Any]:
    """The place counted from the start, and whether there is such a place."""
    place = value_of(index)
    if place.dtype == np.uint64:
        place = np.minimum(place, np.uint64(2**62))  # far behind every end, as it was
    place = place.astype(np.int64)
    place = np.where(place < 0, place + length, place)
    return place, (place >= 0) & (place < length)


def _elements_of_one(items: pa.Scalar, index: pa.Array, arrow_type: pa.DataType) -> pa.Array:
    """Elements of a list that is the same in every row."""
    if not items.is_valid:
        return pa.nulls(len(index), arrow_type)
    place, exists = _place(index, len(items.values))
    valid = valid_rows(index)
    return items.values.take(pa.array(place, mask=~(exists if valid is None else exists & valid)))


@method("slice")
class ListSlice(Processor):
    """The elements of each list from one place to another, as `items[start:stop]`.

    Attributes:
        start: The first element, from 0; counted from the end if negative.
        stop: The element before which to stop; the end of the list if None.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"tags": [["a", "b", "c"], [], None]})
        >>> evaluate(flow_of(table.schema).tags[-2:], table).to_pylist()
        [['b', 'c'], [], None]
    """

    start: int = 0
    stop: int | None = None

    def output(self, items: Feature) -> Feature:
        length = features.fixed_length(items)
        kept = None if length is None else len(range(length)[self.start : self.stop])
        return features.list_of(features.element(items), like=items, length=kept)

    def process(self, items: ListColumn) -> pa.Array:
        lists = Lists.of(items)
        first = _bound(self.start, lists.lengths)
        last = lists.lengths if self.stop is None else _bound(self.stop, lists.lengths)
        kept = np.maximum(last - first, 0)
        if not np.array_equal(kept, lists.lengths):
            lists = lists.picked(ranges(lists.offsets[:-1] + first, kept), kept)
        return lists.array(self.output_type)


def _bound(place: int, lengths: Any) -> Any:
    place = min(max(place, -(2**62)), 2**62)
    return np.clip(lengths + place if place < 0 else place, 0, lengths)
