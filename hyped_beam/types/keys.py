"""Keys of groups: which rows have equal ones, and in which order they come.

Nulls equal each other, so do NaNs, and -0.0 equals 0.0; any feature, however nested, is a key.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.types import arrays
from hyped_beam.types.hashes import hashes_of

_GAPS = 16
"""How many times more codes than rows there may be, to look them up in a table and not by hashing."""

_CODES_LOOKED_AT = 4
"""Up to this many codes for each row, every code is looked at: groups then come in the order of their codes,
so that states of neighbouring ranges are merged in the order of memory."""

_MOST_INT32 = 2**31

Codes: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
"""A number for each row, equal where the keys are."""


def group_rows(keys: Mapping[str, pa.Array], rows: int) -> tuple[Codes, Codes]:
    """Which rows have equal keys.

    Args:
        keys: Columns that make up the key.
        rows: The number of rows.

    Returns:
        For each row the number of its group, from 0 without gaps, in no order that means something; and for
        each group its first row.
    """
    codes, count = np.zeros(rows, np.int64), min(rows, 1)
    for column in keys.values():
        codes, count = _combined(codes, count, *_encoded(column))
    return _without_gaps(codes, count)


def _without_gaps(codes: Codes, count: int) -> tuple[Codes, Codes]:
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


def sort_order(keys: Mapping[str, pa.Array], rows: int) -> Codes:
    """In which order rows come when they are sorted by their keys; nulls are last, NaN before them."""
    columns = [column for key in keys.values() for column in _sortable(key)]
    if not columns or rows == 0:
        return np.arange(rows)
    table = pa.table(columns, [str(number) for number in range(len(columns))])
    chosen = [(name, "ascending") for name in table.schema.names]
    return pc.sort_indices(table, sort_keys=chosen).to_numpy().astype(np.int64)


def normal(column: pa.Array) -> pa.Array:
    """A key column with one NaN and one zero."""
    if pa.types.is_float16(column.type):
        return normal(pc.cast(column, pa.float32())).cast(pa.float16())
    if not pa.types.is_floating(column.type):
        return column
    nan = pa.scalar(float("nan"), column.type)
    return pc.if_else(pc.is_nan(column), nan, pc.add(column, pa.scalar(0.0, column.type)))


def _encoded(column: pa.Array) -> tuple[Codes, int]:
    """Codes of a column, and their number."""
    if isinstance(column, pa.ExtensionArray):
        return _encoded(column.storage)
    kind = column.type
    if pa.types.is_null(kind):
        return np.zeros(len(column), np.int64), min(len(column), 1)
    if pa.types.is_struct(kind):
        return _encoded_struct(column)
    if pa.types.is_nested(kind):
        numbers: dict[Hashable, int] = {}
        found = [numbers.setdefault(_comparable(value), len(numbers)) for value in column.to_pylist()]
        return np.array(found, np.int64), len(numbers)
    if pa.types.is_integer(kind):
        near = _near_integers(column)
        if near is not None:
            return near
    if pa.types.is_float16(kind):
        column = pc.cast(column, pa.float32())
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        column = pc.cast(column, pa.large_string() if pa.types.is_string_view(kind) else pa.large_binary())
    if pa.types.is_dictionary(kind):
        return _encoded(column.dictionary_decode())
    encoded = normal(column).dictionary_encode("encode")
    return encoded.indices.to_numpy().astype(np.int64), len(encoded.dictionary)


def _near_integers(column: pa.Array) -> tuple[Codes, int] | None:
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


def _encoded_struct(column: pa.StructArray) -> tuple[Codes, int]:
    codes, count = _encoded(column.is_valid())
    for number in range(column.type.num_fields):
        codes, count = _combined(codes, count, *_encoded(pc.struct_field(column, number)))
    return codes, count


def _combined(codes: Codes, count: int, more: Codes, more_count: int) -> tuple[Codes, int]:
    if count <= 1:
        return more, more_count
    if more_count <= 1:
        return codes, count
    both = codes * more_count + more
    if count * more_count <= _GAPS * len(codes):
        return both, count * more_count
    encoded = pa.array(both).dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), len(encoded.dictionary)


def _sortable(column: pa.Array) -> Iterator[pa.Array]:
    """A key as columns that Arrow can sort by."""
    if isinstance(column, pa.ExtensionArray):
        yield from _sortable(column.storage)
    elif pa.types.is_struct(column.type):
        yield pc.invert(column.is_valid())
        for number in range(column.type.num_fields):
            yield from _sortable(pc.struct_field(column, number))
    elif pa.types.is_nested(column.type):
        yield _ranks(column)
    elif pa.types.is_dictionary(column.type):
        yield column.dictionary_decode()
    elif pa.types.is_float16(column.type):
        yield pc.cast(column, pa.float32())
    elif pa.types.is_string_view(column.type) or pa.types.is_binary_view(column.type):
        yield pc.cast(column, pa.large_binary())
    elif not pa.types.is_null(column.type):
        yield column


def _ranks(column: pa.Array) -> pa.Array:
    """The places of values that Arrow cannot sort, among all that there are; equal ones have one."""
    found = [None if value is None else _comparable(value) for value in column.to_pylist()]
    places = {
        value: place for place, value in enumerate(sorted({value for value in found if value is not None}))
    }
    return pa.array([None if value is None else places[value] for value in found], pa.int64())


def _comparable(value: Any) -> tuple[Any, ...]:
    """A value as tuples, which are equal and in order as values of one type are: NaN and null are last."""
    if value is None:
        return (2,)
    if isinstance(value, float) and np.isnan(value):
        return (1,)
    if isinstance(value, Mapping):
        return (0, tuple(_comparable(item) for item in value.values()))
    if isinstance(value, (list, tuple)):
        return (0, tuple(_comparable(item) for item in value))
    return (0, value)


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

    Keys are looked up by a hash of 64 bits. That those of the known keys differ is checked, so that a known
    key is always found; that one of n known keys is taken for an unknown one happens once in 2**64 / n cases.

    Args:
        keys: The keys of the groups.
        groups: Their number.

    Raises:
        RepeatedKeyError: Two keys are equal, or have one hash.
    """

    def __init__(self, keys: Mapping[str, pa.Array], groups: int) -> None:
        found = _hashes(keys, groups)
        self._places = np.argsort(found).astype(np.int32 if groups <= _MOST_INT32 else np.int64)
        self._hashes = found[self._places]
        same = self._hashes[1:] == self._hashes[:-1]
        if np.any(same):
            at = int(np.argmax(same))
            place = int(self._places[at])
            raise RepeatedKeyError({name: column[place].as_py() for name, column in keys.items()})

    def find(self, keys: Mapping[str, pa.Array], rows: int) -> Codes:
        """The places of keys among the known ones; -1 for one that is not among them."""
        if len(self._hashes) == 0:
            return np.full(rows, -1, np.int64)
        wanted = _hashes(keys, rows)
        at = np.minimum(np.searchsorted(self._hashes, wanted), len(self._hashes) - 1)
        return np.where(self._hashes[at] == wanted, self._places[at].astype(np.int64), -1)


def _hashes(keys: Mapping[str, pa.Array], rows: int) -> Any:
    return hashes_of(arrays.struct_of(dict(keys), rows))
