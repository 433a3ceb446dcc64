"""Which values of a column are equal, also nested ones.

Nulls equal each other, NaNs too, and -0.0 equals 0.0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.types.vectors import Vector


class Distinct(NamedTuple):
    """The different values of a column.

    Attributes:
        codes: For each row the number of its value (int64).
        first: For each value its first row, in ascending order.
    """

    codes: Vector
    first: Vector


def distinct(array: pa.Array) -> Distinct:
    """The different values of a column, in the order in which they first appear."""
    codes, count = encoded(array)
    first = np.empty(count, np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)  # of several rows, the last that is assigned stays
    return Distinct(codes, first)


def encoded(array: pa.Array) -> tuple[Vector, int]:
    """Numbers from 0, by first appearance, equal where the values are; and how many there are."""
    if isinstance(array, pa.ExtensionArray):
        return encoded(array.storage)
    kind = array.type
    if pa.types.is_null(kind):
        return np.zeros(len(array), np.int64), min(len(array), 1)
    if pa.types.is_struct(kind):
        return _encoded_struct(array)
    if pa.types.is_nested(kind):
        return _encoded_lists(array)
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        array = pc.cast(array, pa.large_string() if pa.types.is_string_view(kind) else pa.large_binary())
    if pa.types.is_float16(kind):
        array = pc.cast(array, pa.float32())
    return _encoded_plain(one_zero(array))


def _encoded_plain(array: pa.Array) -> tuple[Vector, int]:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    dictionary = array.dictionary_encode("encode")
    return dictionary.indices.to_numpy().astype(np.int64), len(dictionary.dictionary)


def _encoded_struct(array: pa.StructArray) -> tuple[Vector, int]:
    codes, count = _encoded_plain(array.is_valid())
    for number in range(array.type.num_fields):
        codes, count = paired(codes, *encoded(pc.struct_field(array, number)))
    return codes, count


def paired(codes: Vector, others: Vector, count: int) -> tuple[Vector, int]:
    """Codes of pairs of codes, of which the second are below `count`."""
    return _encoded_plain(pa.array(codes * max(count, 1) + others))


def _encoded_lists(array: pa.Array) -> tuple[Vector, int]:
    """Lists are equal where the codes of their elements are, read as bytes."""
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy().astype(np.int64)
    elements, _ = encoded(pc.list_flatten(array))
    offsets = np.zeros(len(array) + 1, np.int64)
    np.cumsum(lengths * elements.itemsize, out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(elements))]
    texts = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(array), buffers)
    if array.null_count:
        texts = pc.if_else(array.is_valid(), texts, pa.scalar(None, pa.large_binary()))
    return _encoded_plain(texts)


def one_zero(array: pa.Array) -> pa.Array:
    """The same values with one NaN and one zero, also inside lists and structs."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return pa.ExtensionArray.from_storage(kind, one_zero(array.storage))
    if pa.types.is_float16(kind):
        return pc.cast(one_zero(pc.cast(array, pa.float32())), kind)
    if pa.types.is_floating(kind):
        positive = pc.add(array, pa.scalar(0.0, kind))
        return pc.if_else(pc.is_nan(positive), pa.scalar(float("nan"), kind), positive)
    if not _has_floats(kind):
        return array
    if pa.types.is_struct(kind):
        fields = [one_zero(pc.struct_field(array, number)) for number in range(kind.num_fields)]
        return pa.StructArray.from_arrays(fields, fields=list(kind), mask=array.is_null())
    return _lists_with_one_zero(array)


def _lists_with_one_zero(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_fixed_size_list(kind):
        return pc.cast(one_zero(pc.cast(array, pa.list_(kind.value_field))), kind)
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy()
    offsets = np.zeros(len(array) + 1, np.int64 if pa.types.is_large_list(kind) else np.int32)
    np.cumsum(lengths, out=offsets[1:])
    made = pa.LargeListArray if pa.types.is_large_list(kind) else pa.ListArray
    values = one_zero(pc.list_flatten(array))
    return made.from_arrays(pa.array(offsets), values, type=kind, mask=array.is_null())


def _has_floats(kind: pa.DataType) -> bool:
    if pa.types.is_floating(kind):
        return True
    if isinstance(kind, pa.BaseExtensionType):
        return _has_floats(kind.storage_type)
    return any(_has_floats(kind.field(number).type) for number in range(kind.num_fields))


def sort_places(array: pa.Array) -> Vector:
    """The place of each of some different values in ascending order, NaN last.

    Lists and structs, which have no order, keep the one that they come in.
    """
    if isinstance(array, pa.ExtensionArray) or pa.types.is_nested(array.type) or pa.types.is_null(array.type):
        return np.arange(len(array))
    if pa.types.is_float16(array.type):
        array = pc.cast(array, pa.float32())
    places = np.empty(len(array), np.int64)
    places[pc.sort_indices(array).to_numpy()] = np.arange(len(array))
    return places
