"""Record batches as bytes, one behind the other."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from hyped_beam.types.arrays import holds_dictionaries

END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


def to_bytes(batches: Sequence[pa.RecordBatch]) -> bytes:
    """Record batches as Arrow IPC streams, each behind its length."""
    parts: list[Any] = []
    for batch in batches:
        stream = _stream_of(batch)
        parts += [struct.pack("<Q", sum(len(part) for part in stream)), *stream]
    return b"".join(parts)


def _stream_of(batch: pa.RecordBatch) -> list[Any]:
    """A stream in parts: put together once, it is written six times as fast as by a stream writer."""
    if any(holds_dictionaries(field.type) for field in batch.schema):  # these are messages of their own
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        return [sink.getvalue()]
    return [batch.schema.serialize(), batch.serialize(), END_OF_STREAM]


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
