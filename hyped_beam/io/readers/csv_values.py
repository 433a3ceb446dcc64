"""Values of CSV columns in the types that are declared; one that does not fit is named with its line."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import InputError
from hyped_beam.io.readers.base import Piece
from hyped_beam.io.readers.csv_text import HINT_OF_VALUES, Dialect, line_of_row, parsed_type, tables
from hyped_beam.io.readers.json_numbers import holds_infinity
from hyped_beam.io.readers.json_values import decoded
from hyped_beam.io.readers.numbers import (
    NAMED_INFINITY,
    declared_name,
    is_number,
    is_number_type,
    out_of_range,
)


class Decoder:
    """Makes the values of a piece of a file what they are declared as.

    Args:
        piece: The piece.
        dialect: How the file is written.
    """

    def __init__(self, piece: Piece, dialect: Dialect) -> None:
        self._piece = piece
        self._dialect = dialect
        self._checked: set[str] = set()

    def decode(self, parsed: pa.Array, field: pa.Field) -> pa.Array:
        """Parsed values of a column in its type.

        Raises:
            InputError: A value is not of the type, or a number is too large for it.
        """
        if pa.types.is_decimal(field.type) and pa.types.is_string(parsed.type):
            parsed = pc.utf8_trim_whitespace(parsed)  # as pyarrow reads narrower decimals
        try:
            values = decoded(parsed, field.type)
        except pa.ArrowException as error:
            self._check(field)
            message = f"column {field.name!r} of {self._piece.path} is not {field.type}: {error}"
            raise InputError(message, hint=HINT_OF_VALUES) from None
        if field.name not in self._checked and holds_infinity(values):
            self._check(field)
            self._checked.add(field.name)
        return values

    def refuse_hexadecimal(self, wanted: pa.Schema) -> None:
        """Look at the columns of integers of a piece in which there may be hexadecimal numbers.

        `pyarrow` reads `0xffffffffffffffff` as -1.

        Raises:
            InputError: There is one.
        """
        for field in wanted:
            if pa.types.is_integer(field.type) and field.name not in self._checked:
                self._check(field)
                self._checked.add(field.name)

    def _check(self, field: pa.Field) -> None:
        """Look at all values of the piece as they are written.

        Raises:
            InputError: One does not fit.
        """
        row = 0
        schema = pa.schema([(field.name, pa.string())])
        for batch, _, _ in tables(self._piece, self._dialect, schema):
            texts = batch[field.name]
            is_null = pc.is_in(texts, pa.array(self._dialect.null_values, pa.string()))
            texts = pc.if_else(is_null, pa.scalar(None, pa.string()), texts)
            wrong = _first_wrong(texts, field.type)
            if wrong is not None:
                raise self._error(row + wrong, field, texts[wrong].as_py())
            row += batch.num_rows

    def _error(self, row: int, field: pa.Field, text: str) -> InputError:
        line = line_of_row(self._piece, self._dialect, row)
        if is_number(text) and is_number_type(field.type):
            message, hint = out_of_range(field.name, text, field.type)
        else:
            message = (
                f"column {field.name!r} is declared as {declared_name(field.type)}, which {text!r:.60} is not"
            )
            hint = HINT_OF_VALUES
        return InputError(f"{self._piece.path}:{line}: {message}", hint=hint)


def _first_wrong(texts: pa.Array, kind: pa.DataType) -> int | None:
    """The number of the first text that is not a value of a type; None where all are."""
    if _are_values(texts, kind):
        return None
    good, bad = 0, len(texts)  # the first `good` are values, of the first `bad` one is not
    while bad - good > 1:
        middle = (good + bad) // 2
        if _are_values(texts.slice(good, middle - good), kind):
            good = middle
        else:
            bad = middle
    return good


def _are_values(texts: pa.Array, kind: pa.DataType) -> bool:
    parsed = parsed_type(kind)
    if pa.types.is_integer(kind) and pc.any(pc.match_substring(texts, "0x", ignore_case=True)).as_py():
        return False
    try:
        trimmed = pc.utf8_trim_whitespace(texts) if is_number_type(kind) else texts
        values = decoded(decoded(trimmed, parsed), kind)
    except pa.ArrowException:
        return False
    if not pa.types.is_floating(kind):
        return True
    is_infinite = pc.is_inf(pc.cast(values, pa.float64()))
    named = pc.match_substring_regex(texts, NAMED_INFINITY)
    return not pc.any(pc.and_not(is_infinite, named)).as_py()
