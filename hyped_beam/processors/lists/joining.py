"""Texts joined to one text, and inner lists to one list."""

from __future__ import annotations

import math
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors.lists.elements import ListOfLists, ListOfStrings
from hyped_beam.processors.lists.layout import Lists
from hyped_beam.types import arrays, features
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import StringColumn


@method("join")
class ListJoin(Processor):
    """The texts of each list as one text, with a separator between them, as `str.join`.

    Texts that are null are passed over; an empty list gives the empty text. The separator is the same for
    all rows, or a ref that gives each row its own.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"tags": [["a", None, "b"], [], None]})
        >>> evaluate(flow_of(table.schema).tags.join(", "), table).to_pylist()
        ['a, b', '', None]
    """

    accepts_scalars: ClassVar[bool] = True

    def output(self, items: Feature, separator: Feature) -> Feature:  # noqa: ARG002 - any text
        element = features.element(items)
        return features.value("string") if features.family(element) is Family.NULL else element

    def process(self, items: ListOfStrings, separator: StringColumn) -> pa.Array:
        if isinstance(items, pa.Scalar):
            items = arrays.full(items, len(separator))
        lists = Lists.of(items).without_null_elements()
        # The kernel takes no lists of large texts.
        texts = Lists(pc.cast(lists.values, pa.string()), lists.offsets, lists.nulls)
        return pc.binary_join(texts.array(pa.list_(pa.string())), pc.cast(separator, pa.string()))


@method("flatten")
class ListFlatten(Processor):
    """The elements of the inner lists of each list, one level less deep; inner lists that are null have none.

    Lists of a fixed length of lists of a fixed length give lists of a fixed length, in which an inner list
    that is null stands for as many nulls.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [[[1, 2], [], [3]], [None], None]})
        >>> evaluate(flow_of(table.schema).n.flatten(), table).to_pylist()
        [[1, 2, 3], [], None]
    """

    def output(self, items: Feature) -> Feature:
        inner = features.element(items)
        if features.family(inner) is Family.NULL:
            return features.list_of(inner, like=items)
        lengths = (features.fixed_length(items), features.fixed_length(inner))
        if None not in lengths:
            return features.list_of(features.element(inner), length=math.prod(lengths))  # type: ignore[arg-type]  # no None
        large = items if type(items).__name__ == "LargeList" else inner
        return features.list_of(features.element(inner), like=large)

    def process(self, items: ListOfLists) -> pa.Array:
        outer = Lists.of(items)
        inner = Lists.of(outer.values)
        if pa.types.is_fixed_size_list(self.output_type) and inner.nulls is not None:
            inner = inner.with_nulls_of(outer.values.type.list_size)
        return Lists(inner.values, inner.offsets[outer.offsets], outer.nulls).array(self.output_type)
