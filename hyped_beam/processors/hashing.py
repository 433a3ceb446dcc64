"""A hash of any value that is the same on every machine, in every process and version."""

from __future__ import annotations

import pyarrow as pa
from pydantic import Field

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.types.hashes import hashes_of
from hyped_beam.types.patterns import AnyColumn, UInt64Column


@method("hash")
class Hash(Processor):
    """A stable 64-bit hash of each value: for sampling and splitting, not against adversaries.

    It depends on the value and the seed only, never on the machine, the process or the width of the type. A
    null has a hash, too. How it is defined stands at the top of `hyped_beam/types/hashes.py`.

    Attributes:
        seed: Another seed gives another, unrelated hash.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"x": ["a", "b"]})
        >>> evaluate(flow_of(table.schema).x.hash() % 10, table).to_pylist()
        [5, 4]
    """

    seed: int = Field(default=0, ge=0, lt=2**64)

    def process(self, value: AnyColumn) -> UInt64Column:
        return pa.array(hashes_of(value, self.seed))
