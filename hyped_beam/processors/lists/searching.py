"""Whether a value is in a list."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import DefinitionTypeError
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors.comparison import COMPARABLE
from hyped_beam.processors.lists.elements import ListOfComparables
from hyped_beam.processors.lists.indexing import places
from hyped_beam.processors.lists.layout import Lists
from hyped_beam.processors.strings.buffers import Marks, Mask
from hyped_beam.types import features, promotion
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.indexed import Indexed
from hyped_beam.types.patterns import BooleanColumn, several
from hyped_beam.types.vectors import computable

_Wanted: TypeAlias = Annotated[
    pa.Array, several("a number, text, binary, boolean or time", *COMPARABLE, Family.NULL)
]


@method("contains")
class ListContains(Processor):
    """Whether each list contains a value: an element that is equal to it, or NaN where it is NaN.

    Null where the list or the value is null; elements that are null are passed over. A `ClassLabel` takes
    the names of its labels.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"tags": [["a", "b"], [None], None], "tag": ["b", "b", "b"]})
        >>> src = flow_of(table.schema)
        >>> evaluate(src.tags.contains("a"), table).to_pylist()
        [True, False, None]
        >>> evaluate(src.tags.contains(src.tag), table).to_pylist()
        [True, False, None]
    """

    accepts_scalars: ClassVar[bool] = True
    takes_indexed: ClassVar[tuple[str, ...]] = ("items",)
    literals_like: ClassVar[tuple[str, ...]] = ("items",)
    literals_like_elements: ClassVar[bool] = True

    def output(self, items: Feature, value: Feature) -> Feature:
        element = features.element(items)
        if promotion.common(element, value) is None:
            raise DefinitionTypeError(
                f"{features.describe(items)} never contains {features.describe(value)}",
                hint=promotion.hint(element, value),
            )
        return features.value("bool")

    def process(self, items: ListOfComparables, value: _Wanted) -> BooleanColumn:
        if pa.types.is_null(value.type) or (isinstance(value, pa.Scalar) and not value.is_valid):
            return pa.nulls(len(value if isinstance(value, pa.Array) else items), pa.bool_())
        if isinstance(items, Indexed) and isinstance(value, pa.Scalar):
            return pc.take(self.process(items.values, value), items.index)
        if not isinstance(items, pa.Array):  # one list for many rows is not repeated for them
            found, known = places(items, value, np.arange(len(value)))
            return pc.if_else(known, found.is_valid(), pa.scalar(None, pa.bool_()))
        lists = Lists.of(items)
        unknown = None
        if isinstance(value, pa.Array):
            unknown = value.is_null().to_numpy(zero_copy_only=False) if value.null_count else None
            value = pc.take(value, pa.array(lists.rows), boundscheck=False)
        found = Marks.of(_equal(lists.values, value)).between(lists.offsets) > 0
        return lists.column(found, pa.bool_(), null=unknown)


def _equal(elements: pa.Array, value: Any) -> Mask:
    """Which elements equal the value, or the one of their row; null ones equal none."""
    if pa.types.is_null(elements.type):
        return np.zeros(len(elements), np.bool_)
    if not elements.type.equals(value.type):
        given = (features.from_arrow(elements.type), features.from_arrow(value.type))
        common = features.to_arrow(promotion.common(*given))
        elements, value = pc.cast(elements, common, safe=False), pc.cast(value, common, safe=False)
    elements, value = computable(elements), computable(value)
    equal = pc.equal(elements, value)
    if pa.types.is_floating(elements.type):
        equal = pc.or_(equal, pc.and_(pc.is_nan(elements), pc.is_nan(value)))
    return pc.fill_null(equal, fill_value=False).to_numpy(zero_copy_only=False)
