"""Bloom filters as bytes: sets of which one knows what is surely not in them.

A filter is `HBF1`, the number of hashes (uint32) and that of bits (uint64), little-endian, and then the bits,
the lowest of each byte first. A value sets the bits `(h + i * g) mod bits`, for `i` below the number of
hashes, where `h` and `g` are its hashes (`types.hashes`) of seeds 0 and 1, the latter made odd (Kirsch and
Mitzenmacher, *Less Hashing, Same Performance*, 2006).
"""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.types.hashes import hashes_of
from hyped_beam.types.vectors import Vector

MAGIC = b"HBF1"
_HEADER = struct.Struct("<4sIQ")
_BYTE = 8


class Shape(NamedTuple):
    """The size of a filter.

    Attributes:
        hashes: How many bits a value sets.
        bits: How many there are; a multiple of 8.
    """

    hashes: int
    bits: int

    @classmethod
    def of(cls, capacity: int, error: float) -> Shape:
        """The smallest filter that finds a value among `capacity` others with a probability of `error`."""
        bits = max(-capacity * math.log(error) / math.log(2) ** 2, 1)
        return cls(max(round(bits / capacity * math.log(2)), 1), -(-math.ceil(bits) // _BYTE) * _BYTE)

    def header(self) -> bytes:
        """What stands before the bits."""
        return _HEADER.pack(MAGIC, self.hashes, self.bits)


def places(values: pa.Array, shape: Shape) -> Vector:
    """For each value the bits that it sets, in a row (uint64)."""
    first, step = hashes_of(values, 0), hashes_of(values, 1) | np.uint64(1)
    count = np.arange(shape.hashes, dtype=np.uint64)
    return (first[:, None] + count * step[:, None]) % np.uint64(shape.bits)


def might_contain(filters: pa.Array, rows: Vector, values: pa.Array) -> Vector:
    """Whether each value may be in its filter.

    Args:
        filters: Filters as binary; none is null.
        rows: For each value the number of its filter.
        values: The values.

    Raises:
        ValueError: Bytes are no filter.
    """
    filters = pc.cast(filters, pa.large_binary())
    found = np.ones(len(values), np.bool_)
    for number in np.unique(rows):
        data = np.frombuffer(filters[int(number)].as_buffer(), np.uint8)
        shape = _shape(data)
        here = np.flatnonzero(rows == number)
        bits = places(values.take(pa.array(here)), shape)
        bytes_of = data[_HEADER.size :][(bits >> np.uint64(3)).astype(np.int64)]
        found[here] = np.all((bytes_of >> (bits & np.uint64(7)).astype(np.uint8)) & 1, axis=1)
    return found


def _shape(data: Vector) -> Shape:
    if len(data) >= _HEADER.size:
        magic, hashes, bits = _HEADER.unpack(data[: _HEADER.size].tobytes())
        if magic == MAGIC and len(data) == _HEADER.size + bits // _BYTE:
            return Shape(hashes, bits)
    raise ValueError("the bytes are no Bloom filter: they are made by the aggregator BloomFilter")
