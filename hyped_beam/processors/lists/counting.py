"""How often each element is in a list."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors.lists.layout import Lists, offsets_of
from hyped_beam.types import features
from hyped_beam.types.distinct import encoded, one_zero, paired
from hyped_beam.types.features import Feature
from hyped_beam.types.patterns import ListColumn


@method("value_counts")
class ListValueCounts(Processor):
    """The different elements of each list in the order in which they first appear, and how often each occurs.

    A list of structs of `value` and `count` (int64). As in the aggregator of that name, nulls are passed
    over, NaNs equal each other, and -0.0 is 0.0; elements are of any type, lists and structs too.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"tags": [["b", "a", None, "b"], [], None]})
        >>> evaluate(flow_of(table.schema).tags.value_counts(), table).to_pylist()
        [[{'value': 'b', 'count': 2}, {'value': 'a', 'count': 1}], [], None]
    """

    def output(self, items: Feature) -> Feature:
        counted = {"value": features.element(items), "count": features.value("int64")}
        return features.list_of(counted, like=items)

    def process(self, items: ListColumn) -> pa.Array:
        lists = Lists.of(items).without_null_elements()
        # Pairs of a list and an element are numbered as they appear, so those of one list follow each other.
        codes, count = paired(lists.rows, *encoded(lists.values))
        first = np.empty(count, np.int64)
        first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)  # the last that is assigned stays
        values = one_zero(pc.take(lists.values, pa.array(first)))
        counts = pa.array(np.bincount(codes, minlength=count))
        lengths = np.bincount(lists.rows[first], minlength=lists.size)
        pairs = pa.StructArray.from_arrays([values, counts], fields=list(self.output_type.value_type))
        return Lists(pairs, offsets_of(lengths), lists.nulls).array(self.output_type)
