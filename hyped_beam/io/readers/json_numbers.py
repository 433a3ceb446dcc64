"""JSON lines whose numbers are not what their columns are declared as: read as text, or refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.io.readers.json_types import ELEMENT, Token, parsed_line
from hyped_beam.io.readers.json_values import decoded, is_text, parsed_type
from hyped_beam.io.readers.numbers import NAMED_INFINITY, is_number_type, out_of_range
from hyped_beam.types.arrays import is_list, storage_type


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
    return decoded(texts, parsed)


def _check_kind(values: Iterable[Any], kind: type, path: str, shown: str) -> None:
    for value in values:
        if value is not None and not isinstance(value, kind):
            raise pa.ArrowInvalid(f"Column(/{path}) takes {shown}, not {value!r:.60}")


# ------------------------------------------------------------------------------ numbers that do not fit


class Misfit(NamedTuple):
    """A number that its column does not hold.

    Attributes:
        column: The name of the column; of a field within it with dots.
        number: The number, as it is written.
        kind: The type that is declared.
    """

    column: str
    number: str
    kind: pa.DataType


def holds_infinity(array: pa.Array) -> bool:
    """Whether there is an infinite number in some values, or within them."""
    if isinstance(array, pa.ExtensionArray):
        return holds_infinity(array.storage)
    if pa.types.is_struct(array.type):
        return any(holds_infinity(array.field(number)) for number in range(array.type.num_fields))
    if is_list(array.type):
        return holds_infinity(array.values)
    return pa.types.is_floating(array.type) and bool(pc.any(pc.is_inf(_wide(array))).as_py())


def _wide(array: pa.Array) -> pa.Array:
    return pc.cast(array, pa.float32()) if pa.types.is_float16(array.type) else array


def check_infinities(lines: Iterable[bytes], wanted: pa.Schema) -> None:
    """Refuse numbers that became infinite because they are too large for their columns.

    Raises:
        pyarrow.ArrowInvalid: A line has one.
    """
    for line in lines:
        found = misfit(line, wanted)
        if found is not None:
            raise pa.ArrowInvalid(out_of_range(*found)[0])


def misfit(line: bytes, wanted: pa.Schema) -> Misfit | None:
    """Return the first number of a line that its column does not hold, if there is one."""
    row = parsed_line(line)
    if not isinstance(row, dict):
        return None
    found = (one for field in wanted for one in _misfits(row.get(field.name), field.type, field.name))
    return next(found, None)


def _misfits(value: Any, wanted: pa.DataType, column: str) -> Iterator[Misfit]:
    kind = storage_type(wanted)
    if pa.types.is_struct(kind) and isinstance(value, dict):
        for field in kind:
            yield from _misfits(value.get(field.name), field.type, f"{column}.{field.name}")
    elif is_list(kind) and isinstance(value, list):
        for one in value:
            yield from _misfits(one, kind.value_type, column + ELEMENT)
    elif isinstance(value, Token) and is_number_type(kind) and not _holds(kind, value):
        yield Misfit(column, value, kind)


def _holds(kind: pa.DataType, number: str) -> bool:
    try:
        value = decoded(decoded(pa.array([number], pa.string()), parsed_type(kind)), kind)
    except pa.ArrowException:
        return False
    return not holds_infinity(value) or bool(pc.match_substring_regex(number, NAMED_INFINITY).as_py())
