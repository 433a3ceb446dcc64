"""More rows: one for each element of a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import DefinitionTypeError
from hyped_beam.nodes.augmentor import Augmentor, Rows
from hyped_beam.nodes.registry import register
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import AnyColumn

VALUE = "value"
POSITION = "position"


@register
class Explode(Augmentor):
    """A row for each element of the list `value`; of lists of other names, for the elements at one place.

    Attributes:
        keep_empty: Whether a row without elements gives one row of null.
        with_position: Whether the rows are structs that also say the element's place, from 0 (int64).

    Raises:
        NodeError: Lists that go together differ in length.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam import ops
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"id": [1, 2], "words": [["to", "be"], []]})
        >>> src = flow_of(table.schema)
        >>> evaluate(ops.collect({"id": src.id, "word": ops.explode(src.words)}), table).to_pylist()
        [{'id': 1, 'word': 'to'}, {'id': 1, 'word': 'be'}]
    """

    keep_empty: bool = False
    with_position: bool = False

    def output(self, **lists: Feature) -> Feature:
        elements = {name: _element(name, feature) for name, feature in lists.items()}
        _check_lengths(lists)
        if self.with_position:
            return {POSITION: features.value("int64"), **elements}
        return elements[VALUE] if list(elements) == [VALUE] else elements

    def process(self, **lists: AnyColumn) -> Rows:
        lengths = self._lengths(lists)
        counts = np.maximum(lengths, 1) if self.keep_empty else lengths
        parent = np.repeat(np.arange(len(counts)), counts)
        places = np.arange(len(parent)) - np.repeat(np.cumsum(counts) - counts, counts)
        is_empty = (lengths == 0)[parent] if self.keep_empty else None
        starts = np.repeat(np.cumsum(lengths) - lengths, counts)
        taken = pa.array(starts + places, mask=is_empty)
        columns: dict[str, Any] = {name: pc.take(_elements(column), taken) for name, column in lists.items()}
        if self.with_position:
            columns = {POSITION: pa.array(places, mask=is_empty), **columns}
        elif list(columns) == [VALUE]:
            return Rows(parent, columns[VALUE])
        return Rows(parent, columns)

    def _lengths(self, lists: Mapping[str, pa.Array]) -> Any:
        found = {
            name: pc.fill_null(pc.list_value_length(column), 0)
            .to_numpy(zero_copy_only=False)
            .astype(np.int64)
            for name, column in lists.items()
        }
        (first, lengths), *rest = found.items()
        for name, other in rest:
            if not np.array_equal(lengths, other):
                row = int(np.flatnonzero(lengths != other)[0])
                told = f"{first!r} has {lengths[row]} elements, {name!r} {other[row]}"
                msg = f"{told}: they go together one by one"
                raise ValueError(msg)
        return lengths


def _element(name: str, feature: Feature) -> Feature:
    if features.family(feature) is not Family.LIST:
        is_text = features.family(feature) is Family.STRING
        raise DefinitionTypeError(
            f"explode() takes lists, {name!r} is {features.describe(feature)}",
            hint="write .split() on the text for its words" if is_text else None,
        )
    return features.element(feature)


def _check_lengths(lists: Mapping[str, Feature]) -> None:
    """Refuse lists of different fixed lengths, which can never go together one by one."""
    known = {name: features.fixed_length(feature) for name, feature in lists.items()}
    fixed = [(name, length) for name, length in known.items() if length is not None]
    for name, length in fixed[1:]:
        if length != fixed[0][1]:
            raise DefinitionTypeError(
                f"explode() takes lists that go together one by one: {fixed[0][0]!r} has {fixed[0][1]} "
                f"elements in each row, {name!r} {length}",
                hint="explode each by itself, or cut one: ref[:n]",
            )


def _elements(column: pa.Array) -> pa.Array:
    """The elements of all rows; null rows have none."""
    return pc.list_flatten(column)
