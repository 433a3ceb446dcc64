"""Record batches as bytes, one behind the other."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pyarrow as pa


def to_bytes(batches: Sequence[pa.RecordBatch]) -> bytes:
    """Record batches as Arrow IPC streams, each behind its length."""
    parts = []
    for batch in batches:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        stream = sink.getvalue()
        parts += [struct.pack("<Q", stream.size), stream.to_pybytes()]
    return b"".join(parts)


def from_bytes(data: bytes) -> list[pa.RecordBatch]:
    """The record batches that `to_bytes` wrote down."""
    batches = []
    start = 0
    while start < len(data):
        (length,) = struct.unpack_from("<Q", data, start)
        with pa.ipc.open_stream(pa.py_buffer(data)[start + 8 : start + 8 + length]) as reader:
            batches.append(reader.read_next_batch())
        start += 8 + length
    return batches
