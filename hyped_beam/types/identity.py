"""Equality and order of values of any type, however nested.

Nulls equal each other, so do NaNs, and -0.0 equals 0.0. In ascending order numbers come first, then NaN,
then null; lists and structs are compared element by element, and a list precedes those that begin with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.types import arrays
from hyped_beam.types.hashes import hashes_of
from hyped_beam.types.vectors import Vector

_GAPS = 16
"""How many times more codes than rows there may be, to look them up in a table and not by hashing."""

_CODES_LOOKED_AT = 4
"""Up to this many codes for each row, every code is looked at: groups then come in the order of their codes,
so that states of neighbouring ranges are merged in the order of memory."""

_MOST_INT32 = 2**31


# ------------------------------------------------------------------------------------------------- one column


class Distinct(NamedTuple):
    """The different values of a column.

    Attributes:
        codes: For each row the number of its value (int64).
        first: For each value its first row, in ascending order.
    """

    codes: Vector
    first: Vector


def distinct(array: pa.Array) -> Distinct:
    """Return the different values of a column, in the order in which they first appear."""
    codes, count = encoded(array)
    return Distinct(codes, first_rows(codes, count))


def first_rows(codes: Vector, count: int) -> Vector:
    """Return the first row of each code, all of which are there."""
    first = np.empty(count, np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)  # of several rows, the last that is assigned stays
    return first


def encoded(array: pa.Array) -> tuple[Vector, int]:
    """Return numbers from 0, by first appearance, that are equal where the values are; and how many."""
    if isinstance(array, pa.ExtensionArray):
        return encoded(array.storage)
    kind = array.type
    if pa.types.is_null(kind):
        return np.zeros(len(array), np.int64), min(len(array), 1)
    if pa.types.is_struct(kind):
        return _encoded_struct(array)
    if pa.types.is_dictionary(kind):
        return encoded(array.dictionary_decode())
    if pa.types.is_nested(kind):
        return _encoded_lists(array)
    return _encoded_plain(one_zero(_with_kernels(array)))


def _with_kernels(array: pa.Array) -> pa.Array:
    """The same values in a type that Arrow encodes and sorts."""
    kind = array.type
    if pa.types.is_float16(kind):
        return pc.cast(array, pa.float32())
    if pa.types.is_string_view(kind):
        return pc.cast(array, pa.large_string())
    return pc.cast(array, pa.large_binary()) if pa.types.is_binary_view(kind) else array


def _encoded_plain(array: pa.Array) -> tuple[Vector, int]:
    dictionary = array.dictionary_encode("encode")
    return dictionary.indices.to_numpy().astype(np.int64), len(dictionary.dictionary)


def _encoded_struct(array: pa.StructArray) -> tuple[Vector, int]:
    codes, count = _encoded_plain(array.is_valid())
    for number in range(array.type.num_fields):
        codes, count = paired(codes, *encoded(pc.struct_field(array, number)))
    return codes, count


def paired(codes: Vector, others: Vector, count: int) -> tuple[Vector, int]:
    """Return codes of pairs of codes, of which the second are below `count`; and how many."""
    return _encoded_plain(pa.array(codes * max(count, 1) + others))


def _encoded_lists(array: pa.Array) -> tuple[Vector, int]:
    elements, _ = encoded(pc.list_flatten(array))
    return _encoded_plain(_as_bytes(array, elements))


def _as_bytes(lists: pa.Array, elements: Vector) -> pa.Array:
    """Lists as binary values that hold the numbers of their elements; null where they are."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)
    return _binary(elements, lengths, lists)


def _binary(numbers: Vector, lengths: Vector, validity: pa.Array) -> pa.Array:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths * numbers.itemsize, out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(numbers))]
    binary = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(lengths), buffers)
    if validity.null_count:
        return pc.if_else(validity.is_valid(), binary, pa.scalar(None, pa.large_binary()))
    return binary


def one_zero(array: pa.Array) -> pa.Array:
    """Return the same values with one NaN and one zero, also inside lists and structs."""
    kind = array.type
    if not _has_floats(kind):
        return array
    if isinstance(array, pa.ExtensionArray):
        return pa.ExtensionArray.from_storage(kind, one_zero(array.storage))
    if pa.types.is_float16(kind):
        return pc.cast(one_zero(pc.cast(array, pa.float32())), kind)
    if pa.types.is_floating(kind):
        positive = pc.add(array, pa.scalar(0.0, kind))
        return pc.if_else(pc.is_nan(positive), pa.scalar(float("nan"), kind), positive)
    if pa.types.is_dictionary(kind):
        return one_zero(array.dictionary_decode())
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
    if isinstance(kind, pa.BaseExtensionType):
        return _has_floats(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _has_floats(kind.value_type)
    return pa.types.is_floating(kind) or any(
        _has_floats(kind.field(number).type) for number in range(kind.num_fields)
    )


def ranks(array: pa.Array) -> Vector:
    """Return the rank of each value among the different ones in ascending order, from 0 (int64)."""
    if isinstance(array, pa.ExtensionArray):
        return ranks(array.storage)
    kind = array.type
    if pa.types.is_null(kind):
        return np.zeros(len(array), np.int64)
    if pa.types.is_dictionary(kind):
        return ranks(array.dictionary_decode())
    if pa.types.is_struct(kind):
        columns = [array.is_null().to_numpy(zero_copy_only=False).astype(np.int64)]
        columns += [ranks(pc.struct_field(array, number)) for number in range(kind.num_fields)]
        words = np.stack(columns, axis=1).astype(">u8")
        comparable = _binary(words.reshape(-1), np.full(len(array), len(columns)), array.is_valid())
    elif pa.types.is_nested(kind):
        comparable = _as_bytes(array, ranks(pc.list_flatten(array)).astype(">u8"))
    else:
        comparable = one_zero(_with_kernels(array))
    dictionary = comparable.dictionary_encode("encode")
    order = pc.sort_indices(dictionary.dictionary).to_numpy()
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places[dictionary.indices.to_numpy()]


# -------------------------------------------------------------------------------------------- several columns


def group_rows(keys: Mapping[str, pa.Array], rows: int) -> tuple[Vector, Vector]:
    """Find the rows that have equal keys.

    Args:
        keys: Columns that make up the key.
        rows: The number of rows.

    Returns:
        For each row the number of its group, from 0 without gaps, in no order that means something; and for
        each group its first row (both int64).
    """
    codes, count = np.zeros(rows, np.int64), min(rows, 1)
    for column in keys.values():
        codes, count = _combined(codes, count, *_codes_of_key(column))
    return _without_gaps(codes, count)


def _without_gaps(codes: Vector, count: int) -> tuple[Vector, Vector]:
    """Codes as numbers of groups, and the first row of each; `count` is one more than the largest code."""
    rows = len(codes)
    # half as wide, tables of a million groups are looked up in half to four fifths of the time
    width = np.int32 if max(rows, count) < _MOST_INT32 else np.int64
    numbers = np.arange(rows, dtype=width)
    first: Any = np.empty(count, width)
    if count > _CODES_LOOKED_AT * rows:  # cells that no row has are not looked at
        first[codes[::-1]] = numbers[::-1]  # of several rows of a code, the last that is assigned stays
        firsts = first[codes]
        is_first = firsts == numbers
        return (np.cumsum(is_first) - 1)[firsts], np.flatnonzero(is_first)
    first.fill(-1)
    first[codes[::-1]] = numbers[::-1]
    used = np.flatnonzero(first >= 0)
    if len(used) == count:
        return codes, first.astype(np.int64)
    places = np.empty(count, width)
    places[used] = numbers[: len(used)]
    return places[codes].astype(np.int64), first[used].astype(np.int64)


def _codes_of_key(column: pa.Array) -> tuple[Vector, int]:
    """Numbers that are equal where the values are, in any order and maybe with gaps; and a bound on them."""
    if pa.types.is_integer(column.type):
        near = _near_integers(column)
        if near is not None:
            return near
    return encoded(column)


def _near_integers(column: pa.Array) -> tuple[Vector, int] | None:
    """Integers by their distance from the least, where that is not much more than their number."""
    ends = pc.min_max(column)
    least, most = ends["min"].as_py(), ends["max"].as_py()
    if least is None or most - least > _GAPS * len(column):
        return None
    count = most - least + 1
    wide = column if pa.types.is_uint64(column.type) else pc.cast(column, pa.int64())
    codes = pc.cast(pc.subtract(wide, pa.scalar(least, wide.type)), pa.int64())
    if codes.null_count:
        codes, count = pc.fill_null(codes, count), count + 1
    return codes.to_numpy(), count


def _combined(codes: Vector, count: int, more: Vector, more_count: int) -> tuple[Vector, int]:
    if count <= 1:
        return more, more_count
    if more_count <= 1:
        return codes, count
    if count * more_count <= _GAPS * len(codes):
        return codes * more_count + more, count * more_count
    return paired(codes, more, more_count)


def sort_order(keys: Mapping[str, pa.Array], rows: int) -> Vector:
    """Return the positions of rows in ascending order of their keys (int64)."""
    columns = [column for key in keys.values() for column in _sortable(key)]
    if not columns or rows == 0:
        return np.arange(rows)
    table = pa.table(columns, [str(number) for number in range(len(columns))])
    chosen = [(name, "ascending") for name in table.schema.names]
    return pc.sort_indices(table, sort_keys=chosen).to_numpy().astype(np.int64)


def _sortable(column: pa.Array) -> Iterator[pa.Array]:
    """A key as columns that Arrow can sort by."""
    kind = column.type
    if isinstance(column, pa.ExtensionArray):
        yield from _sortable(column.storage)
    elif pa.types.is_struct(kind):
        yield pc.invert(column.is_valid())
        for number in range(kind.num_fields):
            yield from _sortable(pc.struct_field(column, number))
    elif pa.types.is_dictionary(kind):
        yield from _sortable(column.dictionary_decode())
    elif pa.types.is_nested(kind):
        yield pa.array(ranks(column))
    elif not pa.types.is_null(kind):
        yield _with_kernels(column)


class RepeatedKeyError(ValueError):
    """A key that is not told apart from another one.

    Attributes:
        key: Its values by name.
    """

    def __init__(self, key: Mapping[str, Any]) -> None:
        super().__init__(f"the key {dict(key)} is there twice")
        self.key = key


class KeyIndex:
    """Finds groups by their keys.

    Keys are looked up by a hash of 64 bits. The hashes of the known keys are checked to differ, so a known
    key is always found. A key that is not among n known ones is taken for one of them with probability
    n / 2**64.

    Args:
        keys: The keys of the groups.
        groups: Their number.

    Raises:
        RepeatedKeyError: Two keys are equal, or have one hash.
    """

    def __init__(self, keys: Mapping[str, pa.Array], groups: int) -> None:
        hashes = _hashes(keys, groups)
        self._places = np.argsort(hashes).astype(np.int32 if groups <= _MOST_INT32 else np.int64)
        self._hashes = hashes[self._places]
        same = self._hashes[1:] == self._hashes[:-1]
        if np.any(same):
            place = int(self._places[int(np.argmax(same))])
            raise RepeatedKeyError({name: column[place].as_py() for name, column in keys.items()})

    def find(self, keys: Mapping[str, pa.Array], rows: int) -> Vector:
        """Return the positions of keys among the known ones (int64); -1 for one that is not among them."""
        if len(self._hashes) == 0:
            return np.full(rows, -1, np.int64)
        wanted = _hashes(keys, rows)
        at = np.minimum(np.searchsorted(self._hashes, wanted), len(self._hashes) - 1)
        return np.where(self._hashes[at] == wanted, self._places[at].astype(np.int64), -1)


def _hashes(keys: Mapping[str, pa.Array], rows: int) -> Vector:
    return hashes_of(arrays.struct_of(dict(keys), rows))
