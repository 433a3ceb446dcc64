"""What the numbers of a column are: no integer becomes a float64 that cannot hold it by inference."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Mapping
from enum import IntFlag

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import A_LINE_OF_NAMES, CallSite
from hyped_beam.types import features as features_of

EXACT_IN_FLOAT64 = 1 << 53
"""Up to here float64 holds every integer; of larger ones some."""

SHORTEST_INEXACT = 16
"""An integer of fewer digits is one that float64 holds."""

NAMED_INFINITY = r"^\s*[+-]?(?i:inf|infinity)\s*$"
"""Text that means infinity; another number that becomes infinite was too large for its type."""

_INTEGER = re.compile(r"\s*[+-]?(\d+)\s*")
_SHOWN = 60
_DIGITS_OF_DECIMAL128, _DIGITS_OF_DECIMAL256 = 38, 76
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
    OVER_FLOAT64 = 32
    """A number with an exponent or a fraction that is larger than any of float64."""

    @property
    def arrow_type(self) -> pa.DataType:
        """The type that holds all of them; text where there is none."""
        if Numbers.OVER_FLOAT64 in self:
            return pa.string()
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


BEYOND = Numbers.OVER_INT64 | Numbers.OVER_64_BITS | Numbers.INEXACT | Numbers.OVER_FLOAT64
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


def of_fraction(text: str) -> Numbers:
    """What one number is that is not written as an integer."""
    is_over = math.isinf(float(text)) and not re.search(NAMED_INFINITY, text)
    return Numbers.FRACTIONS | (Numbers.OVER_FLOAT64 if is_over else Numbers.NONE)


def is_number(text: str) -> bool:
    """Whether a text is a number, as files have them."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text and text.isascii()


def declared_name(kind: pa.DataType) -> str:
    """Return how a type is written in `features=`."""
    return features_of.describe(features_of.from_arrow(kind))


def is_number_type(kind: pa.DataType) -> bool:
    """Whether values of a type are numbers."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def out_of_range(column: str, text: str, kind: pa.DataType) -> tuple[str, str]:
    """What to say of a number that a column does not hold.

    Args:
        column: The name of the column; of a field within it with dots.
        text: The number, as it is written.
        kind: The type that is declared.

    Returns:
        What is wrong, and how to fix it.
    """
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    if pa.types.is_integer(kind) and text.lstrip().startswith("+"):
        message = f"column {column!r} is declared as {declared_name(kind)}, which has no plus sign: {shown}"
        return message, f'declare "float64", "decimal128({_DIGITS_OF_DECIMAL128}, 0)" or "string"'
    message = f"column {column!r} is declared as {declared_name(kind)}, which does not hold {shown}"
    top = column.partition(".")[0].partition("[")[0]
    example = f'features={{"{top}": ..., ...}}'
    return message, f"declare {_wider(text, kind)}: {example}"


def _wider(text: str, kind: pa.DataType) -> str:
    """How to declare what holds a number."""
    found = _INTEGER.fullmatch(text)
    if found is None:
        is_double = not math.isinf(float(text)) and not pa.types.is_float64(kind)
        return '"float64", or "string" for what is written' if is_double else '"string" for what is written'
    count = len(found[1])
    over = of_text(text) & (Numbers.OVER_INT64 | Numbers.OVER_64_BITS)
    kept = f'"string" for its {count} digits'
    if not over:
        return '"int64"'
    if over == Numbers.OVER_INT64 and not pa.types.is_uint64(kind):
        return f'"uint64" or "decimal128(38, 0)" for the number, or {kept}'
    for wider, most in (("decimal128", _DIGITS_OF_DECIMAL128), ("decimal256", _DIGITS_OF_DECIMAL256)):
        if count <= most:
            return f'"{wider}({most}, 0)" for the number, or {kept}'
    return kept


def _exactness(integers: Iterable[int]) -> Numbers:
    return Numbers.NONE if all(map(_is_exact, integers)) else Numbers.INEXACT


def _is_exact(number: int) -> bool:
    try:
        return int(float(number)) == number
    except OverflowError:
        return False


def warn_of_texts(
    texts: Mapping[str, Numbers], files: Iterable[tuple[str, Iterable[tuple[str, Numbers]]]]
) -> None:
    """Warn of columns of numbers that are read as text: of the first ones by name, of the others once.

    Args:
        texts: What the numbers of these columns are, by the name of the column; fields within it behind dots.
        files: The URIs of all files, each with what its numbers are.
    """
    if not texts:
        return
    first: dict[str, str] = {}
    for uri, held in files:
        for column, numbers in held:
            if column not in first and numbers & texts.get(column, Numbers.NONE) & BEYOND:
                first[column] = uri
    shown = list(texts)[:A_LINE_OF_NAMES]
    for column in shown:
        _warn(_told(first[column], column, texts[column]))
    others = len(texts) - len(shown)
    if others:
        columns = "1 more column" if others == 1 else f"{others:,} more columns"
        _warn(f"{columns} of {first[shown[0]]} and the files with it have such numbers, and are read as text")


def _told(uri: str, column: str, numbers: Numbers) -> str:
    """What is said of a column, and how to declare it."""
    top = column.partition(".")[0].partition("[")[0]
    if Numbers.OVER_FLOAT64 in numbers:
        held, other = "numbers beyond those of float64", ""
    elif Numbers.FRACTIONS in numbers:
        held, other = "integers that float64 cannot hold beside fractions", ', or "float64"'
    else:
        held, other = "integers beyond 64 bits", ', or "decimal128(38, 0)"'
    example = f'{{"{top}": "string", ...}}' if top == column else f'{{"{top}": ..., ...}}'
    return (
        f"{uri}: column {column!r} has {held}, and is read as text: declare what it is, with all "
        f"columns that are wanted: features={example}{other}"
    )


def _warn(message: str) -> None:
    site = CallSite.nearest()
    if site is None:
        warnings.warn(message, UserWarning, stacklevel=2)
    else:
        warnings.warn_explicit(message, UserWarning, site.file, site.line)
