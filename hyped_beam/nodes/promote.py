"""The implicit cast of an input to the type that it has in common with its siblings."""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import register
from hyped_beam.types.patterns import AnyColumn


@register
class Promote(Processor):
    """The same values in a wider type; the type is the one that the graph gives its output."""

    accepts_scalars: ClassVar[bool] = True

    def process(self, input: AnyColumn) -> AnyColumn:  # noqa: D102 - what the class says
        # int64 to float64 rounds above 2**53, as it does in Python's float() and in polars
        return pc.cast(input, self.output_type, safe=not _holds_floats(self.output_type))

    def as_expression(self, input: Any) -> Any:  # noqa: D102
        return input  # Arrow finds the common type of the two sides itself


def _holds_floats(arrow_type: pa.DataType) -> bool:
    children = [arrow_type.field(number).type for number in range(arrow_type.num_fields)]
    return pa.types.is_floating(arrow_type) or any(_holds_floats(child) for child in children)
