"""Columns as JSON text, by Arrow kernels: no Python per row, except for binary values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import CallSite, DefinitionTypeError
from hyped_beam.io.writers.plain_text import characters, is_number, is_text, parts_of, plain_text

NULL = "null"
FIRST_PRINTABLE = 0x20
PRINTED = (("\\", "\\\\"), ('"', '\\"'))
SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
CONTROLS = (*SHORT.items(), *((chr(c), f"\\u{c:04x}") for c in range(FIRST_PRINTABLE) if chr(c) not in SHORT))
"""What is escaped, the frequent first."""


def lines(batch: pa.RecordBatch) -> Iterator[pa.Buffer]:
    """The rows of a batch as lines of JSON, in as few pieces as possible."""
    for part in parts_of(batch):
        yield characters(_object(part.columns, part.schema.names, part.num_rows, end="}\n"))


def check_holds(schema: pa.Schema) -> None:
    """Refuse types that have no form in JSON.

    Raises:
        DefinitionTypeError: There is such a column.
    """
    for field in schema:
        try:
            text_of(pa.nulls(0, field.type))
        except NotImplementedError:
            message = f"JSON cannot hold column {field.name!r}, which is {field.type}"
            hint = "drop it, cast it, or write Arrow or Parquet"
            raise DefinitionTypeError(message, site=CallSite.nearest(), hint=hint) from None


def text_of(array: pa.Array) -> pa.Array:
    """Each value as JSON, as an array of strings without nulls.

    Raises:
        NotImplementedError: Values of the type have no form in JSON.
    """
    if isinstance(array, pa.ExtensionArray):
        return text_of(array.storage)
    if pa.types.is_dictionary(array.type):
        return text_of(array.cast(array.type.value_type))
    if pa.types.is_null(array.type):
        return pa.repeat(pa.scalar(NULL), len(array))
    text = _nested(array) if pa.types.is_nested(array.type) else _plain(array)
    return text if text.null_count == 0 else pc.fill_null(text, NULL)


def _nested(array: pa.Array) -> pa.Array:
    if pa.types.is_struct(array.type):
        fields = [array.field(index) for index in range(array.type.num_fields)]
        text = _object(fields, array.type.names, len(array), end="}")
    elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        text = pc.binary_join_element_wise("[", _joined_elements(array), "]", "")
    elif pa.types.is_fixed_size_list(array.type):
        return _nested(array.cast(pa.list_(array.type.value_type)))
    else:
        raise NotImplementedError(str(array.type))
    return text if array.null_count == 0 else pc.if_else(array.is_valid(), text, None)


def _object(fields: Sequence[pa.Array], names: Sequence[str], rows: int, end: str) -> pa.Array:
    if not fields:
        return pa.repeat(pa.scalar("{" + end), rows)
    parts: list[Any] = []
    for name, field in zip(names, fields, strict=True):
        parts.append(("," if parts else "{") + json.dumps(name, ensure_ascii=False) + ":")
        parts.append(text_of(field))
    return pc.binary_join_element_wise(*parts, end, "")


def _joined_elements(array: pa.Array) -> pa.Array:
    """The elements of each list, with commas between."""
    offsets = array.offsets
    first, last = offsets[0].as_py(), offsets[-1].as_py()
    elements = text_of(array.values.slice(first, last - first))
    starts = pc.subtract(offsets, pa.scalar(first, offsets.type)).cast(pa.int32())
    return pc.binary_join(pa.ListArray.from_arrays(starts, elements), ",")


def _plain(array: pa.Array) -> pa.Array:
    kind = array.type
    text = plain_text(array)
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_finite(array), text, None)
    if is_number(kind):
        return text
    return _quoted(_escaped(text) if is_text(kind) else text)


def _quoted(text: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise('"', text, '"', "")


def _escaped(text: pa.Array) -> pa.Array:
    for character, escape in PRINTED:
        if bool((_bytes(text) == ord(character)).any()):
            text = pc.replace_substring(text, character, escape)
    for character, escape in CONTROLS:
        if not bool((_bytes(text) < FIRST_PRINTABLE).any()):
            break
        text = pc.replace_substring(text, character, escape)
    return text


def _bytes(text: pa.Array) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer(characters(text), np.uint8)
