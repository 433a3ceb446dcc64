"""Text as bytes."""

from __future__ import annotations

from typing import Literal

import pyarrow as pa

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.types import features
from hyped_beam.types.features import Feature
from hyped_beam.types.patterns import StringColumn


@method("encode")
class Encode(Processor):
    r"""The bytes of each text.

    Attributes:
        encoding: Always "utf-8".

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": ["é"]})
        >>> evaluate(flow_of(table.schema).text.encode(), table).to_pylist()
        [b'\xc3\xa9']
    """

    encoding: Literal["utf-8"] = "utf-8"

    def output(self, text: Feature) -> Feature:
        return features.value("large_binary" if text.dtype == "large_string" else "binary")

    def process(self, text: StringColumn) -> pa.Array:
        return text.view(self.output_type)
