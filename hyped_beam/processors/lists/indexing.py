"""Where a value is in a list."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import DefinitionTypeError
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors.lists.elements import ListOfComparables
from hyped_beam.processors.lists.layout import Lists
from hyped_beam.types import arrays, features, promotion
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.identity import encoded, one_zero
from hyped_beam.types.indexed import Indexed
from hyped_beam.types.patterns import AnyColumn
from hyped_beam.types.vectors import Vector, computable


@method("index")
class ListIndex(Processor):
    """At which place a value, or each element of a list of values, first is in each list, from 0.

    With a list that is the same for all rows, such as a `Vocabulary`, each value is looked up in one hash
    table. Null where the value or the list is null; and `default`, or null if it is not given, where the list
    does not have the value. NaN is found where NaN is.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"tags": [["a", "b"], ["b"], None], "tag": ["b", "c", "b"]})
        >>> src = flow_of(table.schema)
        >>> evaluate(src.tags.index(src.tag), table).to_pylist()
        [1, None, None]
        >>> evaluate(src.tags.index(src.tag, default=-1), table).to_pylist()
        [1, -1, None]
    """

    default: int | None = None
    accepts_scalars: ClassVar[bool] = True
    takes_indexed: ClassVar[tuple[str, ...]] = ("items",)
    literals_like: ClassVar[tuple[str, ...]] = ("items",)
    literals_like_elements: ClassVar[bool] = True

    def output(self, items: Feature, value: Feature) -> Feature:
        element, wanted = features.element(items), value
        is_list = features.family(value) is Family.LIST
        if is_list:
            wanted = features.element(value)
        if promotion.common(element, wanted) is None:
            raise DefinitionTypeError(
                f"{features.describe(items)} never contains {features.describe(wanted)}",
                hint=promotion.hint(element, wanted),
            )
        place = features.value("int64")
        return features.list_of(place, length=features.fixed_length(value)) if is_list else place

    def process(self, items: ListOfComparables, value: AnyColumn) -> pa.Array:
        rows = len(value) if isinstance(value, pa.Array) else len(items)
        if isinstance(value, pa.Scalar):
            value = arrays.full(value, rows)
        if not pa.types.is_nested(self.output_type):
            return self._places(items, value, np.arange(rows))
        wanted = Lists.of(value)
        places = self._places(items, wanted.values, wanted.rows)
        made = Lists(places, wanted.offsets, wanted.nulls).array(self.output_type)
        if isinstance(items, pa.Scalar):
            return made
        known = items.values.is_valid().take(items.index) if isinstance(items, Indexed) else items.is_valid()
        return pc.if_else(pc.fill_null(known, fill_value=False), made, pa.scalar(None, made.type))

    def _places(self, items: pa.Array | pa.Scalar, values: pa.Array, rows: Vector) -> pa.Array:
        """The places of values, each in the list of its row."""
        found, known = places(items, values, rows)
        if self.default is None:
            return found
        return pc.if_else(pc.and_(known, found.is_null()), pa.scalar(self.default, pa.int64()), found)


def places(items: Any, values: pa.Array, rows: Vector) -> tuple[pa.Array, pa.Array]:
    """The places of values in lists, null where they are not there; and where neither is null.

    Args:
        items: The lists: one for each row, one for all, or one for several.
        values: The values.
        rows: For each value the row whose list it is looked for in.
    """
    known = values.is_valid()
    if isinstance(items, pa.Scalar):
        if not items.is_valid:
            return pa.nulls(len(values), pa.int64()), pa.repeat(pa.scalar(value=False), len(values))
        return _in_one_list(items.values, values), known
    exists: Any = None
    if isinstance(items, Indexed):
        numbers, exists = items.places()
        exists = None if exists is None else exists[rows]
        items, rows = items.values, numbers[rows]
    lists = Lists.of(items)
    found = _in_lists(lists, values, rows)
    for missing in (None if lists.nulls is None else lists.nulls[rows], None if exists is None else ~exists):
        if missing is not None:
            known = pc.and_(known, pa.array(~missing))
    if exists is not None:
        found = pc.if_else(pa.array(exists), found, pa.scalar(None, found.type))
    return found, known


def _alike(elements: pa.Array, values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Both in their common type, with one zero and one NaN."""
    if not elements.type.equals(values.type):
        given = (features.from_arrow(elements.type), features.from_arrow(values.type))
        common = features.to_arrow(promotion.common(*given))
        elements, values = pc.cast(elements, common, safe=False), pc.cast(values, common, safe=False)
    return one_zero(computable(elements)), one_zero(computable(values))


def _in_one_list(elements: pa.Array, values: pa.Array) -> pa.Array:
    elements, values = _alike(elements, values)
    return pc.cast(pc.index_in(values, value_set=elements, skip_nulls=True), pa.int64())


def _in_lists(lists: Lists, values: pa.Array, rows: Vector) -> pa.Array:
    """As in one list: of pairs of a row and a value."""
    elements, values = _alike(lists.values, values)
    codes, count = encoded(pa.concat_arrays([elements, values]))
    there = lists.rows * count + codes[: len(elements)]
    wanted = rows * count + codes[len(elements) :]
    places = pc.index_in(
        pa.array(wanted, mask=values.is_null().to_numpy(zero_copy_only=False)), value_set=pa.array(there)
    )
    return pc.subtract(pc.cast(places, pa.int64()), pa.array(lists.offsets[rows]))
