"""A hash of any value that is the same on every machine, in every process and version.

The definition, in arithmetic modulo 2**64, with `G = 0x9E3779B97F4A7C15` and

    mix(x):  x ^= x >> 30;  x *= 0xBF58476D1CE4E5B9;  x ^= x >> 27;  x *= 0x94D049BB133111EB;  x ^= x >> 31

(the finisher of splitmix64), and `words(w, tag) = mix(sum(mix(w[i] + G * (i + 1))) + G * len + tag)`:

    integers, booleans, dates, times    mix(value + 1), the value as its type stores it (days, seconds, ...)
    floats                              mix(bits of the float64 + 2); -0.0 is 0.0, and there is one NaN
    decimals                            words(its integer in 64-bit words, lowest first, 3), with len 2 or 4
    text, binary                        words(little-endian 64-bit words, the last filled up with zeros, 4),
                                        with the number of bytes as len
    lists, arrays                       words(hashes of the elements, 5)
    structs                             words(hashes of the fields, 6)
    null                                mix(0xA0761D6478BD642F), which no number that people write hashes to

and at last `mix(hash + mix(seed + G))`. So the width of a type (int32 or int64, string or large_string) makes
no difference, and a null has a hash as well.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.types.vectors import Vector, values_of

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_WHOLE, _FLOAT, _DECIMAL, _BYTES, _LIST, _STRUCT = (np.uint64(tag) for tag in range(1, 7))
_NULL = np.uint64(0xA0761D6478BD642F)
_NAN = np.uint64(0x7FF8000000000000)


_ROWS_AT_ONCE = 1 << 16
"""What is held on the way is several times as large as the values."""


def hashes_of(array: pa.Array, seed: int = 0) -> Vector:
    """The hash of each value, nulls included (uint64)."""
    found = np.empty(len(array), np.uint64)
    offset = mixed(np.array([seed], np.uint64) + _GOLDEN)
    for start in range(0, len(array), _ROWS_AT_ONCE):
        part = array.slice(start, _ROWS_AT_ONCE)
        found[start : start + len(part)] = mixed(_hashes(part) + offset)
    return found


def _hashes(array: pa.Array) -> Vector:
    """The hash of each value, before the seed."""
    if isinstance(array, pa.ExtensionArray):
        return _hashes(array.storage)
    if pa.types.is_null(array.type):
        return np.full(len(array), mixed(np.array([_NULL]))[0])
    hashes = _hashes_of_kind(array)
    if array.null_count:
        hashes[array.is_null().to_numpy(zero_copy_only=False)] = mixed(np.array([_NULL]))[0]
    return hashes


def _hashes_of_kind(array: pa.Array) -> Vector:
    kind = array.type
    if pa.types.is_floating(kind):
        return mixed(_float_bits(array) + _FLOAT)
    if pa.types.is_decimal(kind):
        width = kind.bit_width // 64
        words = np.frombuffer(array.buffers()[1], "<u8", len(array) * width, array.offset * width * 8)
        return _combined(words, np.full(len(array), width), _DECIMAL)
    if pa.types.is_struct(kind):
        columns = [_hashes(pc.struct_field(array, number)) for number in range(kind.num_fields)]
        hashes = np.stack(columns, axis=1).reshape(-1) if columns else np.zeros(0, np.uint64)
        return _combined(hashes, np.full(len(array), len(columns)), _STRUCT)
    if pa.types.is_nested(kind):
        lengths = pc.if_else(array.is_valid(), pc.list_value_length(array), 0)
        return _combined(_hashes(array.flatten()), lengths.to_numpy(zero_copy_only=False), _LIST)
    if not pa.types.is_primitive(kind):
        return _hashes_of_bytes(array)
    return mixed(_whole_bits(array) + _WHOLE)


def _whole_bits(array: pa.Array) -> Vector:
    kind = array.type
    if pa.types.is_boolean(kind):
        return values_of(pc.cast(array, pa.uint8())).astype(np.uint64)
    if pa.types.is_unsigned_integer(kind):
        return values_of(array).astype(np.uint64)
    return values_of(array, f"i{kind.bit_width // 8}").astype(np.int64).view(np.uint64)


def _float_bits(array: pa.Array) -> Vector:
    values = values_of(array).astype(np.float64) + 0.0  # -0.0 + 0.0 is 0.0
    bits = values.view(np.uint64)
    bits[np.isnan(values)] = _NAN
    return bits


def _hashes_of_bytes(array: pa.Array) -> Vector:
    """All words of all texts at once: read where they lie, mixed with their position, and added up."""
    array = pc.cast(array, pa.large_binary())
    if len(array) == 0:
        return np.zeros(0, np.uint64)
    offsets = np.frombuffer(array.buffers()[1], np.int64, len(array) + 1, array.offset * 8)
    lengths = np.diff(offsets)
    counts = (lengths + 7) // 8
    first = offsets[0]
    data = np.frombuffer(array.buffers()[2] or b"", np.uint8)[first : offsets[-1]]
    padded = np.concatenate([data, np.zeros(8, np.uint8)])
    at_any_byte: Vector = np.ndarray((len(data) + 1,), "<u8", padded, strides=(1,))
    ends = np.cumsum(counts)
    skipped = np.repeat(offsets[:-1] - first - 8 * (ends - counts), counts)
    words = at_any_byte[skipped + 8 * np.arange(len(skipped))]
    filled = counts > 0
    surplus = (8 * (8 * counts - lengths)[filled]).astype(np.uint64)
    words[ends[filled] - 1] &= np.uint64(2**64 - 1) >> surplus
    return _combined(words, counts, _BYTES, lengths)


def _combined(words: Vector, counts: Vector, tag: np.uint64, lengths: Vector | None = None) -> Vector:
    """`words` of the definition, for rows of `counts` words each."""
    ends = np.cumsum(counts)
    position = np.arange(len(words)) - np.repeat(ends - counts, counts)
    terms = mixed(words + _GOLDEN * (position + 1).astype(np.uint64))
    totals = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    sums = totals[ends] - totals[ends - counts]
    return mixed(sums + _GOLDEN * (counts if lengths is None else lengths).astype(np.uint64) + tag)


def mixed(values: Vector) -> Vector:
    """The finisher of splitmix64: every bit mixed into all others. Changes the array, and returns it."""
    values ^= values >> np.uint64(30)
    values *= _FIRST
    values ^= values >> np.uint64(27)
    values *= _SECOND
    values ^= values >> np.uint64(31)
    return values
