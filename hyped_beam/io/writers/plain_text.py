"""Values of plain columns as text, as JSON and CSV share it; by Arrow kernels, except for binary values."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Kernels join strings with 32-bit offsets, and a character may become six.
PART_BYTES = 64 << 20


def parts_of(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A batch in parts whose text is known to fit into one array."""
    parts = max(-(-batch.nbytes // PART_BYTES), 1)
    rows = max(-(-batch.num_rows // parts), 1)
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def characters(text: pa.StringArray) -> pa.Buffer:
    """The characters of all values, one after the other, as they lie in memory."""
    _, offsets, held = text.buffers()
    if len(text) == 0 or held is None:
        return pa.py_buffer(b"")
    bounds = np.frombuffer(offsets, np.int32)
    first, last = int(bounds[text.offset]), int(bounds[text.offset + len(text)])
    return held.slice(first, last - first)


def ends(text: pa.StringArray) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Where each value ends among the `characters` of all."""
    _, offsets, _ = text.buffers()
    if len(text) == 0:
        return np.zeros(0, np.int32)
    bounds = np.frombuffer(offsets, np.int32)[text.offset : text.offset + len(text) + 1]
    return bounds[1:] - bounds[0]


def is_text(kind: pa.DataType) -> bool:
    """Whether values of a type are strings already."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def is_number(kind: pa.DataType) -> bool:
    """Whether JSON writes values of a type without quotes."""
    return (
        pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_duration(kind)
    )


def plain_text(array: pa.Array) -> pa.Array:
    """Each value as text, as an array of strings; null for null.

    Raises:
        NotImplementedError: The type is nested, or has no text.
    """
    if isinstance(array, pa.ExtensionArray):
        return plain_text(array.storage)
    kind = array.type
    if pa.types.is_dictionary(kind):
        return plain_text(array.cast(kind.value_type))
    if is_text(kind) or pa.types.is_null(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return array.cast(pa.string())
    if pa.types.is_floating(kind):
        return _float_text(array)
    if pa.types.is_timestamp(kind):
        return _timestamp_text(array)
    if pa.types.is_duration(kind):
        return array.cast(pa.int64()).cast(pa.string())
    if pa.types.is_decimal(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        return array.cast(pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        encoded = [value if value is None else base64.b64encode(value) for value in array.to_pylist()]
        return pa.array(encoded, pa.binary()).cast(pa.string())
    raise NotImplementedError(str(kind))


def _float_text(array: pa.Array) -> pa.Array:
    """The shortest digits that give the number back; whole numbers keep a `.0`, to be read as floats."""
    if pa.types.is_float16(array.type):
        array = array.cast(pa.float32())
    text = array.cast(pa.string())
    whole = pc.equal(pc.trunc(array), array)
    if not pc.any(whole).as_py():
        return text
    bare = pc.and_(whole, pc.invert(pc.match_substring_regex(text, "[.en]")))
    return pc.if_else(bare, pc.binary_join_element_wise(text, ".0", ""), text)


def _timestamp_text(array: pa.Array) -> pa.Array:
    if array.type.tz is None:
        return pc.replace_substring(array.cast(pa.string()), " ", "T")
    utc = array.cast(pa.timestamp(array.type.unit)).cast(pa.string())
    return pc.binary_join_element_wise(pc.replace_substring(utc, " ", "T"), "Z", "")
