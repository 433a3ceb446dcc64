"""The types of CSV columns, found in their values."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.io.filesystem import FileInfo
from hyped_beam.io.readers.base import Piece
from hyped_beam.io.readers.csv_text import Dialect, column_names, tables
from hyped_beam.io.readers.numbers import SHORTEST_INEXACT, Numbers, of_fraction, of_integers, of_texts
from hyped_beam.io.unchanged import present
from hyped_beam.io.versions import Version

LEADING_ZERO = r"^\s*[+-]?0[\dxX]"
"""What stays text: a number is written otherwise, and of hexadecimal text Arrow makes other numbers."""
INTEGER = r"^\s*[+-]?\d+\s*$"
PLUS_SIGN = r"^\s*\+"
"""Before an integer: `pyarrow` reads such as floats and decimals, and not as integers."""


@dataclass(frozen=True)
class Kind:
    """What all values of a column are.

    Attributes:
        name: `null`, `bool`, `number` or `text`.
        numbers: What its numbers are.
    """

    name: str
    numbers: Numbers = Numbers.NONE

    @property
    def arrow_type(self) -> pa.DataType:
        """The type of the column; of nothing but null, a string."""
        if self.name == "number":
            return self.numbers.arrow_type
        return pa.bool_() if self.name == "bool" else pa.string()

    @property
    def is_long(self) -> bool:
        """Whether its values are numbers that only text holds."""
        return self.name == "number" and self.numbers.are_text

    def with_values_of(self, other: Kind) -> Kind:
        """What the values of both are."""
        names = {self.name, other.name} - {"null"}
        if len(names) > 1:
            return Kind("text")
        return Kind(next(iter(names), "null"), self.numbers | other.numbers)


def inferred(file: FileInfo, dialect: Dialect) -> dict[str, Kind]:
    """What the values of each column of a file are."""
    return dict(_inferred(file.uri, file.version, dialect))


@lru_cache(maxsize=1024)
def _inferred(uri: str, version: Version, dialect: Dialect) -> tuple[tuple[str, Kind], ...]:
    names = column_names(uri, version, dialect)
    kinds = dict.fromkeys(names, Kind("null"))
    schema = pa.schema([(name, pa.string()) for name in names])
    for batch, _, _ in tables(Piece(uri, 0, None, version=version), dialect, schema):
        for name, column in zip(names, batch.columns, strict=True):
            if kinds[name].name != "text":
                kinds[name] = kinds[name].with_values_of(_kind_of(column))
    present(uri, version)
    return tuple(kinds.items())


def _kind_of(column: pa.Array) -> Kind:
    values = column.drop_null()
    if not len(values):
        return Kind("null")
    if pc.all(pc.is_in(pc.utf8_lower(values), pa.array(["true", "false"]))).as_py():
        return Kind("bool")
    if pc.any(pc.match_substring_regex(values, LEADING_ZERO)).as_py():
        return Kind("text")
    for arrow_type in (pa.int64(), pa.uint64()):
        with contextlib.suppress(pa.ArrowInvalid):
            return Kind("number", of_integers(pc.cast(values, arrow_type)))
    try:
        floats = pc.cast(values, pa.float64())
    except pa.ArrowInvalid:
        return Kind("text")
    whole = values.filter(pc.match_substring_regex(values, INTEGER))
    has_plus_signs = pc.any(pc.match_substring_regex(whole, PLUS_SIGN)).as_py()
    found = Numbers.NONE if len(whole) == len(values) and not has_plus_signs else Numbers.FRACTIONS
    return Kind("number", found | _of_whole(whole) | _of_infinite(values.filter(pc.is_inf(floats))))


def _of_infinite(values: pa.Array) -> Numbers:
    """What texts are that float64 reads as infinite."""
    fractions = values.filter(pc.invert(pc.match_substring_regex(values, INTEGER)))
    found = Numbers.NONE
    for text in fractions.unique().to_pylist():
        found |= of_fraction(text)
    return found


def _of_whole(values: pa.Array) -> Numbers:
    """What numbers are that are written as integers."""
    found = Numbers.NEGATIVE if pc.any(pc.starts_with(pc.utf8_ltrim_whitespace(values), "-")).as_py() else 0
    long = values.filter(pc.greater_equal(pc.utf8_length(values), SHORTEST_INEXACT))
    return Numbers(found) | of_texts(long.unique().to_pylist())
