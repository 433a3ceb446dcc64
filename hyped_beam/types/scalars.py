"""Arrow scalars as plain JSON values and back: readable where that is exact, else as base64 of Arrow IPC."""

from __future__ import annotations

import base64
import hashlib
import io
import math
from collections.abc import Mapping
from typing import IO, Any

import pyarrow as pa

from hyped_beam.types import arrays

_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_json(scalar: pa.Scalar) -> dict[str, Any]:
    """A scalar as plain JSON values: `{"value": ...}` where those are exact, else `{"arrow": base64}`.

    Numbers, text, booleans, nulls, and lists and structs of them are exact; NaN and the infinities are
    written as text. What is not (times, decimals, bytes, ...) is a stream of Arrow IPC with one row.
    """
    if _is_plain(scalar.type):
        try:
            return {"value": _plain(scalar.as_py(), scalar.type)}
        except UnicodeDecodeError:  # Arrow does not check that text is UTF-8
            pass
    return {"arrow": base64.b64encode(to_ipc({"value": scalar})).decode("ascii")}


def from_json(saved: Any, arrow_type: pa.DataType) -> pa.Scalar:
    """The scalar of a type that `to_json` wrote down.

    Raises:
        ValueError: It holds no value of that type.
    """
    if not isinstance(saved, Mapping) or len(saved) != 1 or not {"value", "arrow"} & set(saved):
        msg = 'a constant is {"value": ...} or {"arrow": "base64"}'
        raise ValueError(msg)
    if "arrow" in saved:
        try:
            found = from_ipc(base64.b64decode(saved["arrow"], validate=True), {"value": arrow_type})
        except TypeError as error:
            raise ValueError(str(error)) from None
        return found["value"]
    if not _is_plain(arrow_type):
        msg = f"{arrow_type} is no type that JSON holds exactly"
        raise ValueError(msg)
    try:
        return pa.scalar(_checked(saved["value"], arrow_type), arrow_type)
    except (pa.ArrowException, OverflowError) as error:
        raise ValueError(str(error)) from None


def to_ipc(scalars: Mapping[str, pa.Scalar]) -> bytes:
    """Scalars by name as an Arrow IPC file of one row; equal ones give equal bytes."""
    sink = io.BytesIO()
    write_ipc({name: of_scalar(scalar) for name, scalar in scalars.items()}, sink)
    return sink.getvalue()


def write_ipc(rows: Mapping[str, pa.Array], sink: IO[bytes] | io.RawIOBase) -> None:
    """Write scalars by name, each an array of one row, as an Arrow IPC file; equal ones give equal bytes.

    Raises:
        OSError: They cannot be written.
    """
    columns = [arrays.stored(row) for row in rows.values()]
    batch = pa.RecordBatch.from_arrays(columns, list(rows))
    with pa.ipc.new_file(pa.PythonFile(sink, "w"), batch.schema) as writer:
        writer.write_batch(batch)


def from_ipc(content: bytes | pa.Buffer, types: Mapping[str, pa.DataType]) -> dict[str, pa.Scalar]:
    """The scalars that `to_ipc` or `write_ipc` wrote down.

    Args:
        content: The file.
        types: The types of the scalars that it should hold, by name.

    Raises:
        ValueError: It is no such file, or holds others.
    """
    try:
        with pa.ipc.open_file(pa.py_buffer(content)) as reader:
            table = reader.read_all().combine_chunks()
            table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        msg = f"it holds no Arrow data: {error}"
        raise ValueError(msg) from None
    if table.num_rows != 1 or table.column_names != list(types):
        msg = f"it holds {table.num_rows} rows of {table.column_names}, where one of {list(types)} should be"
        raise ValueError(msg)
    return {
        name: _of_storage(name, table.column(name).chunk(0), arrow_type) for name, arrow_type in types.items()
    }


def array_type(arrow_type: pa.DataType) -> pa.DataType:
    """The type of an array of values as one scalar."""
    return pa.large_list(arrow_type)


def of_scalar(scalar: pa.Scalar) -> pa.Array:
    """A scalar as an array of one row."""
    return arrays.full(scalar, 1)


def of_array(array: pa.Array) -> pa.Array:
    """An array as one row, a list; without a copy."""
    offsets = pa.array([0, len(array)], pa.int64())
    return pa.LargeListArray.from_arrays(offsets, array, type=array_type(array.type))


def array_digest(array: pa.Array) -> str:
    """A checksum of the values of an array; equal ones have equal checksums."""
    sink = _Digest()
    write_ipc({"value": of_array(array)}, sink)
    return sink.found.hexdigest()


class _Digest(io.RawIOBase):
    """A file that keeps nothing but the checksum of what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.found = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.found.update(data)
        return len(data)


def to_array(scalar: pa.Scalar) -> pa.Array:
    """The array that `of_array` made a scalar of.

    Raises:
        ValueError: It is null.
    """
    if not scalar.is_valid:
        msg = "null is no list of values"
        raise ValueError(msg)
    return scalar.values


def _of_storage(name: str, array: pa.Array, arrow_type: pa.DataType) -> pa.Scalar:
    if not array.type.equals(arrays.storage_type(arrow_type)):
        msg = f"{name!r} is {array.type}, where {arrow_type} should be"
        raise ValueError(msg)
    if isinstance(arrow_type, pa.BaseExtensionType):
        # not [0] of an array: arrays of datasets' own types give their storage
        return pa.ExtensionScalar.from_storage(arrow_type, array[0])
    return (array if array.type.equals(arrow_type) else array.cast(arrow_type))[0]


def _is_plain(arrow_type: pa.DataType) -> bool:
    """Whether JSON holds values of a type exactly."""
    if pa.types.is_struct(arrow_type):
        names = arrow_type.names
        return len(names) == len(set(names)) and all(_is_plain(field.type) for field in arrow_type)
    if _is_list(arrow_type):
        return _is_plain(arrow_type.value_type)
    kinds = (pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating)
    return any(kind(arrow_type) for kind in (*kinds, pa.types.is_string, pa.types.is_large_string))


def _is_list(arrow_type: pa.DataType) -> bool:
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(kind(arrow_type) for kind in kinds)


def _plain(value: Any, arrow_type: pa.DataType) -> Any:
    """A value with NaN and the infinities as text."""
    if value is None:
        return None
    if pa.types.is_struct(arrow_type):
        return {field.name: _plain(value[field.name], field.type) for field in arrow_type}
    if _is_list(arrow_type):
        return [_plain(item, arrow_type.value_type) for item in value]
    if pa.types.is_floating(arrow_type) and not math.isfinite(value):
        return next(text for text, number in _NOT_FINITE.items() if str(number) == str(float(value)))
    return float(value) if pa.types.is_floating(arrow_type) else value


def _checked(value: Any, arrow_type: pa.DataType) -> Any:
    """The value that `_plain` made, each part of the Python type that it must have.

    Raises:
        ValueError: It is none of that type.
    """
    if value is None:
        return None
    if pa.types.is_struct(arrow_type) and isinstance(value, Mapping) and list(value) == arrow_type.names:
        return {field.name: _checked(value[field.name], field.type) for field in arrow_type}
    if _is_list(arrow_type) and isinstance(value, list):
        return [_checked(item, arrow_type.value_type) for item in value]
    if pa.types.is_floating(arrow_type) and isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    if any(type(value) in taken and check(arrow_type) for check, taken in _PYTHON_TYPES):
        return float(value) if pa.types.is_floating(arrow_type) else value
    msg = f"{value!r:.60} is no {arrow_type}"
    raise ValueError(msg)


_PYTHON_TYPES = (
    (pa.types.is_boolean, (bool,)),
    (pa.types.is_integer, (int,)),
    (pa.types.is_floating, (int, float)),
    (pa.types.is_string, (str,)),
    (pa.types.is_large_string, (str,)),
)
"""The types of Python that a value of an Arrow type may have in JSON."""
