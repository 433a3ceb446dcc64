"""How often each element is in a list."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors.lists.layout import Lists, offsets_of, portions
from hyped_beam.types import features
from hyped_beam.types.features import Feature
from hyped_beam.types.identity import encoded, first_rows, one_zero, paired
from hyped_beam.types.patterns import ListColumn
from hyped_beam.types.vectors import Vector

_NONE: Vector = np.zeros(0, np.int64)


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
        firsts, counts, before = [_NONE], [_NONE], 0
        for portion in portions(lists):
            first, count = _counted(portion)
            firsts.append(first + before)
            counts.append(count)
            before += len(portion.values)
        places = np.concatenate(firsts)
        values = one_zero(pc.take(lists.values, pa.array(places)))
        columns = [values, pa.array(np.concatenate(counts))]
        pairs = pa.StructArray.from_arrays(columns, fields=list(self.output_type.value_type))
        lengths = np.bincount(lists.rows[places], minlength=lists.size)
        return Lists(pairs, offsets_of(lengths), lists.nulls).array(self.output_type)


def _counted(lists: Lists) -> tuple[Vector, Vector]:
    """Where each different element of each list is first, and how often it occurs."""
    # Pairs of a list and an element are numbered as they appear, so those of one list follow each other.
    codes, count = paired(lists.rows, *encoded(lists.values))
    return first_rows(codes, count), np.bincount(codes, minlength=count)
