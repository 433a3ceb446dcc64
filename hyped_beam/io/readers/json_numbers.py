"""JSON lines with numbers where text is wanted, as where nothing else holds them: as they are written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.io.readers.json_types import Token, parsed_line
from hyped_beam.io.readers.json_values import is_text
from hyped_beam.types.arrays import is_list


def holds_text(kind: pa.DataType) -> bool:
    """Whether there is text in values of a type: numbers in its place are read as they are written."""
    if isinstance(kind, pa.BaseExtensionType):
        return holds_text(kind.storage_type)
    if pa.types.is_struct(kind):
        return any(holds_text(field.type) for field in kind)
    if is_list(kind):
        return holds_text(kind.value_type)
    return is_text(kind)


def with_numbers_as_text(lines: Iterable[bytes], wanted: pa.Schema, parsed: pa.Schema) -> list[pa.Array]:
    """Columns of lines that have numbers where text is wanted, as they are written.

    Args:
        lines: The lines, each one object.
        wanted: The columns, as they are wanted.
        parsed: The same as `pyarrow.json` would parse them.

    Raises:
        pyarrow.ArrowInvalid: A value is none of its type.
    """
    rows = [parsed_line(line) for line in lines]
    return [
        _built([row.get(field.name) for row in rows], field.type, parsed.field(field.name).type, field.name)
        for field in wanted
    ]


def _built(values: list[Any], wanted: pa.DataType, parsed: pa.DataType, path: str) -> pa.Array:
    if isinstance(wanted, pa.BaseExtensionType):
        return _built(values, wanted.storage_type, parsed, path)
    missing = pa.array([value is None for value in values], pa.bool_())
    if pa.types.is_struct(parsed):
        _check_kind(values, dict, path, "an object")
        fields = [
            _built(
                [None if value is None else value.get(field.name) for value in values],
                wanted.field(number).type,
                field.type,
                f"{path}/{field.name}",
            )
            for number, field in enumerate(parsed)
        ]
        return pa.StructArray.from_arrays(fields, fields=list(parsed), mask=missing)
    if pa.types.is_list(parsed):
        _check_kind(values, list, path, "an array")
        flat = [one for value in values if value is not None for one in value]
        sizes = [0, *(0 if value is None else len(value) for value in values)]
        offsets = pa.array(np.cumsum(sizes), pa.int32())
        inner = _built(flat, wanted.value_type, parsed.value_type, path)
        return pa.ListArray.from_arrays(offsets, inner, type=parsed, mask=missing)
    return _leaf(values, wanted, parsed, path)


def _leaf(values: list[Any], wanted: pa.DataType, parsed: pa.DataType, path: str) -> pa.Array:
    if is_text(wanted):
        _check_kind(values, str, path, "text or a number")
        return pa.array([None if value is None else str(value) for value in values], parsed)
    if pa.types.is_boolean(parsed):
        _check_kind(values, bool, path, "a boolean")
        return pa.array(values, parsed)
    is_number = pa.types.is_integer(parsed) or pa.types.is_floating(parsed)
    for value in values:
        is_wrong = (
            isinstance(value, str) and not isinstance(value, Token) if is_number else type(value) is Token
        )
        takes_both = pa.types.is_decimal(parsed)
        if value is not None and (not isinstance(value, str) or (is_wrong and not takes_both)):
            raise pa.ArrowInvalid(f"Column(/{path}) is {wanted}, not {value!r:.60}")
    texts = pa.array([None if value is None else str(value) for value in values], pa.string())
    return pc.cast(texts, parsed)


def _check_kind(values: Iterable[Any], kind: type, path: str, shown: str) -> None:
    for value in values:
        if value is not None and not isinstance(value, kind):
            raise pa.ArrowInvalid(f"Column(/{path}) takes {shown}, not {value!r:.60}")
