"""The types of JSON lines, found in their values; numbers that `pyarrow.json` rounds are looked at again.

While they are being found, a type for each set of `Numbers` stands in the place of those of numbers, so that
those of all lines and files are put together before one of them is chosen.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.io.readers.numbers import (
    BEYOND,
    EXACT_IN_FLOAT64,
    SHORTEST_INEXACT,
    Numbers,
    of_fraction,
    of_integers,
    of_text,
)

ELEMENT: Final = "[]"
"""Stands for the elements of a list in the path of a column."""

LONG_NUMBER = re.compile(rb"(?<![\d.])\d{%d,}(?![\d.eE])|\d{200,}|\d[eE]\+?\d{3,}" % SHORTEST_INEXACT)
"""A number that may be an integer that float64 does not hold, or beyond all of float64."""

TEXT_OR_EXPONENT = re.compile(
    rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|(?<![\d.])-?\d+(?:\.\d+)?[eE][+-]?\d+', re.DOTALL
)
"""A text, also one that does not end, or a number with an exponent; found in linear time in any bytes."""


LARGE = 1e308


class Token(str):
    """A number as it stands in a file."""

    __slots__ = ()


def merged(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    """The type that holds the inferred values of both.

    Raises:
        TypeError: There is none.
    """
    if left.equals(right) or pa.types.is_null(right):
        return left
    if pa.types.is_null(left):
        return right
    if pa.types.is_struct(left) and pa.types.is_struct(right):
        return pa.struct(list(_merged_fields(dict(_fields(left)), dict(_fields(right))).items()))
    if pa.types.is_list(left) and pa.types.is_list(right):
        return pa.list_(merged(left.value_type, right.value_type))
    one, other = numbers_of(left), numbers_of(right)
    if one is None or other is None:
        raise TypeError
    return mark(one | other)


def _merged_fields(left: dict[str, pa.DataType], right: dict[str, pa.DataType]) -> dict[str, pa.DataType]:
    """The fields of both; those that only one has are null in the other."""
    return {
        name: merged(left[name], right[name]) if name in left and name in right else (left | right)[name]
        for name in left | right
    }


def settled(found: pa.DataType) -> pa.DataType:
    """An inferred type at the end, when nothing but null was found in some places: these are strings."""
    if pa.types.is_struct(found):
        return pa.struct([(name, settled(inner)) for name, inner in _fields(found)])
    if pa.types.is_list(found):
        return pa.list_(settled(found.value_type))
    numbers = numbers_of(found)
    if numbers is not None:
        return numbers.arrow_type
    return pa.string() if pa.types.is_null(found) else found


def _fields(arrow_type: pa.DataType) -> list[tuple[str, Any]]:
    return [(field.name, field.type) for field in arrow_type]


def marked(table: pa.Table, data: bytes, starts: Any, ends: Any) -> list[tuple[str, pa.DataType]]:
    """The columns of some lines, with what their numbers are in the place of their types.

    Args:
        table: What `pyarrow.json` made of the lines.
        data: The lines.
        starts: Where those that are not blank begin.
        ends: Where they end.
    """
    columns = {name: _whole(table[name]) for name in table.column_names}
    floats = [path for name, column in columns.items() for path in _large_floats(column, (name,))]
    long = _with_long_numbers(data, starts) if floats else []
    rounded = _rounded(floats, (data[starts[line] : ends[line]] for line in long))
    if rounded:
        found = _told(rounded, (data[start:end] for start, end in zip(starts, ends, strict=True)))
    else:
        found = {}
    return [(name, _marked(column, (name,), found)) for name, column in columns.items()]


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def mark(numbers: Numbers) -> pa.DataType:
    """A type that stands for numbers of which that is known; `pyarrow.json` infers no such type."""
    return pa.decimal256(1 + int(numbers), 0)


def numbers_of(marker: pa.DataType) -> Numbers | None:
    """What is known of numbers; None for a type that does not stand for numbers."""
    return Numbers(marker.precision - 1) if pa.types.is_decimal256(marker) else None


def numbers_in(found: pa.DataType, path: str) -> Iterator[tuple[str, Numbers]]:
    """The columns of numbers, and fields of numbers within columns, with what is known of them."""
    numbers = numbers_of(found)
    if numbers is not None:
        yield path, numbers
    elif pa.types.is_struct(found):
        for field in found:
            yield from numbers_in(field.type, f"{path}.{field.name}")
    elif pa.types.is_list(found):
        yield from numbers_in(found.value_type, f"{path}{ELEMENT}")


def numbers_as_text(found: pa.DataType, path: str) -> Iterator[tuple[str, Numbers]]:
    """Those of `numbers_in` that only text holds."""
    return ((inner, numbers) for inner, numbers in numbers_in(found, path) if numbers.are_text)


def _marked(array: pa.Array, path: tuple[str, ...], told: Mapping[tuple[str, ...], Numbers]) -> pa.DataType:
    """The inferred type of values; strings that look like times are strings."""
    kind = array.type
    if pa.types.is_struct(kind):
        fields = [
            (field.name, _marked(array.field(number), (*path, field.name), told))
            for number, field in enumerate(kind)
        ]
        return pa.struct(fields)
    if pa.types.is_list(kind):
        return pa.list_(_marked(array.values, (*path, ELEMENT), told))
    if pa.types.is_integer(kind):
        return mark(of_integers(array))
    if pa.types.is_floating(kind):
        return mark(told.get(path, Numbers.FRACTIONS))
    return pa.string() if pa.types.is_temporal(kind) else kind


def _large_floats(array: pa.Array, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Where there are numbers that were read as float64 and may have been integers that it does not hold."""
    kind = array.type
    if pa.types.is_struct(kind):
        for number, field in enumerate(kind):
            yield from _large_floats(array.field(number), (*path, field.name))
    elif pa.types.is_list(kind):
        yield from _large_floats(array.values, (*path, ELEMENT))
    elif pa.types.is_floating(kind):
        ends = pc.min_max(array)
        if ends["max"].is_valid and max(-ends["min"].as_py(), ends["max"].as_py()) >= EXACT_IN_FLOAT64:
            yield path


def _with_long_numbers(data: bytes, starts: Any) -> Sequence[int]:
    """The lines that may hold a number that float64 does not, by their numbers; some hold it in text."""
    places = [found.start() for found in LONG_NUMBER.finditer(data)]
    return np.unique(np.searchsorted(starts, places, side="right") - 1).tolist()


def _rounded(floats: Iterable[tuple[str, ...]], lines: Iterable[bytes]) -> set[tuple[str, ...]]:
    """Those of some places at which lines hold a number that float64 does not, or an integer over 64 bits."""
    wanted = set(floats)
    found: set[tuple[str, ...]] = set()
    for line in lines:
        row = parsed_line(line)
        for path in wanted - found:
            if any(_of_token(token) & BEYOND for token in _tokens(row, path)):
                found.add(path)
    return found


def _told(places: Iterable[tuple[str, ...]], lines: Iterable[bytes]) -> dict[tuple[str, ...], Numbers]:
    """What the numbers at some places are."""
    found = dict.fromkeys(places, Numbers.NONE)
    for line in lines:
        row = parsed_line(line)
        for path in found:
            for token in _tokens(row, path):
                found[path] |= _of_token(token)
    return found


def parsed_line(line: bytes) -> Any:
    """A line with its numbers as they stand there."""
    return json.loads(line, parse_int=Token, parse_float=Token, parse_constant=Token)


def with_bounded_exponents(data: bytes) -> bytes:
    """Lines with the largest numbers that `pyarrow.json` reads in the place of such as it does not.

    It takes a number with an exponent over 308 for an error, whatever the column; types are found in what is
    returned, and the numbers are then looked up in the lines as they were.
    """
    return TEXT_OR_EXPONENT.sub(_bounded, data)


def _bounded(found: re.Match[bytes]) -> bytes:
    token = found[0]
    if token.startswith(b'"'):
        return token
    number = float(token)
    return repr(math.copysign(LARGE, number) if math.isinf(number) else number).encode()


def _of_token(token: str) -> Numbers:
    return of_text(token) if token.lstrip("-").isdecimal() else of_fraction(token)


def _tokens(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    """The numbers at a place of a row."""
    if isinstance(value, Token):
        if not path:
            yield value
    elif path and isinstance(value, dict):
        yield from _tokens(value.get(path[0]), path[1:])
    elif path and path[0] == ELEMENT and isinstance(value, list):
        for one in value:
            yield from _tokens(one, path[1:])
