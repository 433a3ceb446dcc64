"""Columns as CSV text, by Arrow kernels: no Python per row, except for binary values."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import CallSite, DefinitionTypeError, InputError
from hyped_beam.io.writers.plain_text import characters, ends, is_text, parts_of, plain_text

NEVER_IN_NUMBERS = ",;\t|"
NEVER_NUMBERS = ("", "NA", "N/A", "NULL", "null", "None", "\\N")


def header(names: Sequence[str], delimiter: str) -> bytes:
    """The line of the names."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerow(names)
    return text.getvalue().encode()


def rows(batch: pa.RecordBatch, delimiter: str, null: str) -> Iterator[pa.Buffer]:
    """The rows of a batch as lines, in as few pieces as possible.

    Args:
        batch: Rows of columns that are not nested.
        delimiter: What stands between fields.
        null: What stands for null.

    Raises:
        InputError: The only column holds a null, and null has no text: a line without any character is not a
            row to those who read it, and one of two quotes is an empty text.
    """
    if null == "" and batch.num_columns == 1 and batch.column(0).null_count:
        raise InputError(
            f"the only column {batch.schema.names[0]!r} holds a null, which CSV cannot tell from empty text",
            hint='give null a text: CsvDatasetWriter(..., null="NA")',
        )
    for part in parts_of(batch):
        columns = [_field_text(column, delimiter, null).fill_null(null) for column in part.columns]
        yield characters(pc.binary_join_element_wise(*_between(columns, delimiter), "\n", ""))


def _between(columns: Sequence[pa.Array], delimiter: str) -> Iterator[pa.Array | str]:
    for index, column in enumerate(columns):
        if index:
            yield delimiter
        yield column


def check_holds(schema: pa.Schema) -> None:
    """Refuse columns that are no text of one field.

    Raises:
        DefinitionTypeError: There is such a column.
    """
    for field in schema:
        try:
            plain_text(pa.nulls(0, field.type))
        except NotImplementedError:
            message = f"CSV cannot hold column {field.name!r}, which is {field.type}"
            hint = "make columns of its fields, join a list to a string, or write Parquet or JSON"
            raise DefinitionTypeError(message, site=CallSite.nearest(), hint=hint) from None


def _field_text(column: pa.Array, delimiter: str, null: str) -> pa.Array:
    """The text of each value, in quotes where it needs them; null for null."""
    text = plain_text(column)
    is_number = not is_text(column.type) and "binary" not in str(column.type)  # base64 may be empty, or NULL
    if is_number and delimiter in NEVER_IN_NUMBERS and null in NEVER_NUMBERS:
        return text
    quoted = _needs_quotes(text, delimiter, null)
    if not pc.any(quoted).as_py():
        return text
    inside = pc.replace_substring(text, '"', '""')
    return pc.if_else(quoted, pc.binary_join_element_wise('"', inside, '"', ""), text)


def _needs_quotes(text: pa.Array, delimiter: str, null: str) -> pa.Array:
    """Where a value holds something special, or is a string that reads like null."""
    held = np.frombuffer(characters(text), np.uint8)
    # Arrow looks for a character value by value, which takes five times as long as all else here.
    special = reduce(np.logical_or, (held == ord(one) for one in ('"', "\n", "\r", delimiter)))
    rows_of_special = np.searchsorted(ends(text), np.flatnonzero(special), side="right")
    quoted = np.zeros(len(text), bool)
    quoted[rows_of_special] = True
    return reduce(pc.or_, (pc.equal(text, value) for value in {"", null}), pa.array(quoted))
