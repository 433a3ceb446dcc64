"""The length of lists."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.types.patterns import Int64Column, ListColumn


@method("length")
class ListLength(Processor):
    """Number of elements of each list, nulls included; null for a null list.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"tags": [["a", "b"], [], None]})
        >>> evaluate(flow_of(table.schema).tags.length(), table).to_pylist()
        [2, 0, None]
    """

    measures_length: ClassVar[bool] = True

    def process(self, values: ListColumn) -> Int64Column:
        return pc.cast(pc.list_value_length(values), pa.int64())
