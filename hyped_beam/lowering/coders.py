"""How Arrow data travels between Beam's workers."""

from __future__ import annotations

import pyarrow as pa
from apache_beam import coders

from hyped_beam.execute.streams import from_bytes, to_bytes


class RecordBatchCoder(coders.Coder):
    """A `pyarrow.RecordBatch` as an Arrow IPC stream."""

    def encode(self, value: pa.RecordBatch) -> bytes:
        """The bytes of a batch."""
        return to_bytes([value])

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        """The batch of some bytes."""
        return from_bytes(encoded)[0]

    def is_deterministic(self) -> bool:
        """Equal batches may differ in what lies label_suffix nulls."""
        return False

    def to_type_hint(self) -> type:
        """The type of the elements."""
        return pa.RecordBatch


def register_coders() -> None:
    """Make Beam use these coders."""
    coders.registry.register_coder(pa.RecordBatch, RecordBatchCoder)
