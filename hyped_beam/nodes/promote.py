"""The implicit cast of an input to the type that it has in common with its siblings."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.processor import Processor
from hyped_beam.types.patterns import AnyColumn


class Promote(Processor):
    """The same values in a wider type; the type is the one that the graph gives its output."""

    accepts_scalars = True

    def process(self, input: AnyColumn) -> AnyColumn:  # noqa: A002 - the name plans show for a sole input
        # int64 to float64 rounds above 2**53, as it does in Python and polars
        return pc.cast(input, self.output_type, safe=pa.types.is_timestamp(self.output_type))
