"""What the numbers of a column are: no integer becomes a float64 that cannot hold it by inference."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from enum import IntFlag

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import CallSite

EXACT_IN_FLOAT64 = 1 << 53
"""Up to here float64 holds every integer; of larger ones some."""

SHORTEST_INEXACT = 16
"""An integer of fewer digits is one that float64 holds."""

_LARGEST_INT64, _LARGEST_UINT64 = (1 << 63) - 1, (1 << 64) - 1
_LONGEST = 4_000
"""Digits of an integer that Python still reads; of more than 309 float64 holds none."""


class Numbers(IntFlag):
    """What is known of some numbers; of two parts of a column both is known, `|`."""

    NONE = 0
    NEGATIVE = 1
    OVER_INT64 = 2
    """A positive integer that only uint64 holds."""
    OVER_64_BITS = 4
    """An integer that neither holds."""
    INEXACT = 8
    """An integer that float64 does not hold."""
    FRACTIONS = 16
    """A number that is no integer, or is not written as one."""

    @property
    def arrow_type(self) -> pa.DataType:
        """The type that holds all of them; text where there is none."""
        if Numbers.FRACTIONS in self:
            return pa.string() if Numbers.INEXACT in self else pa.float64()
        over = Numbers.OVER_INT64 in self
        if Numbers.OVER_64_BITS in self or (over and Numbers.NEGATIVE in self):
            return pa.string()
        return pa.uint64() if over else pa.int64()

    @property
    def are_text(self) -> bool:
        """Whether only text holds all of them."""
        return pa.types.is_string(self.arrow_type)


BEYOND = Numbers.OVER_INT64 | Numbers.OVER_64_BITS | Numbers.INEXACT
"""What may make numbers text."""


def of_integers(values: pa.Array) -> Numbers:
    """What integers of 64 bits are; nulls are none."""
    ends = pc.min_max(values)
    low, high = ends["min"].as_py(), ends["max"].as_py()
    if low is None:
        return Numbers.NONE
    found = Numbers.NEGATIVE if low < 0 else Numbers.NONE
    if high > _LARGEST_INT64:
        found |= Numbers.OVER_INT64
    if max(-low, high) > EXACT_IN_FLOAT64:
        large = pc.or_(pc.greater(values, EXACT_IN_FLOAT64), pc.less(values, -EXACT_IN_FLOAT64))
        if low >= 0:  # uint64 has no negative numbers to compare with
            large = pc.greater(values, EXACT_IN_FLOAT64)
        found |= _exactness(number.as_py() for number in values.filter(large))
    return found


def of_texts(texts: Iterable[str]) -> Numbers:
    """What integers are that are written in text."""
    found = Numbers.NONE
    for text in texts:
        found |= of_text(text)
    return found


def of_text(text: str) -> Numbers:
    """What one integer is, written in text."""
    digits = text.strip().lstrip("+-")
    sign = Numbers.NEGATIVE if text.lstrip().startswith("-") else Numbers.NONE
    if len(digits) < SHORTEST_INEXACT:
        return sign
    if len(digits) > _LONGEST:
        return sign | Numbers.OVER_64_BITS | Numbers.INEXACT
    number = int(digits)
    if sign:
        over = Numbers.OVER_64_BITS if number > _LARGEST_INT64 + 1 else Numbers.NONE
    elif number > _LARGEST_UINT64:
        over = Numbers.OVER_64_BITS
    else:
        over = Numbers.OVER_INT64 if number > _LARGEST_INT64 else Numbers.NONE
    return sign | over | _exactness((number,))


def _exactness(integers: Iterable[int]) -> Numbers:
    return Numbers.NONE if all(map(_is_exact, integers)) else Numbers.INEXACT


def _is_exact(number: int) -> bool:
    try:
        return int(float(number)) == number
    except OverflowError:
        return False


def warn_of_text(uri: str, column: str, numbers: Numbers) -> None:
    """Say that numbers of a column are read as text, and how to declare them.

    Args:
        uri: A file that has such numbers.
        column: The name of the column; fields within it behind dots.
        numbers: What its numbers are.
    """
    top = column.partition(".")[0].partition("[")[0]
    held = "integers that float64 cannot hold" if Numbers.FRACTIONS in numbers else "integers beyond 64 bits"
    beside = " beside fractions" if Numbers.FRACTIONS in numbers else ""
    wanted = "float64" if Numbers.FRACTIONS in numbers else "decimal128(38, 0)"
    example = f'{{"{top}": "string", ...}}' if top == column else f'{{"{top}": ..., ...}}'
    told = (
        f"{uri}: column {column!r} has {held}{beside}, and is read as text: declare what it is, with all "
        f'columns that are wanted: features={example}, or "{wanted}"'
    )
    site = CallSite.nearest()
    if site is None:
        warnings.warn(told, UserWarning, stacklevel=2)
    else:
        warnings.warn_explicit(told, UserWarning, site.file, site.line)
