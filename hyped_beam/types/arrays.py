"""Arrow arrays: made from Python values, conformed to a type, and taken apart by a path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.types.indexed import Indexed

Columns: TypeAlias = Mapping[str, pa.Array]
"""Several columns of equal length: a struct none of whose rows is null."""

Value: TypeAlias = pa.Array | pa.Scalar | Columns | Indexed
"""What an edge carries for one batch; a scalar is the same in every row, an indexed value in several."""


def from_values(values: Iterable[Any], arrow_type: pa.DataType) -> pa.Array:
    """Python values as an Arrow array.

    Raises:
        pyarrow.ArrowException: A value does not fit the type.
    """
    if isinstance(arrow_type, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(arrow_type, from_values(values, arrow_type.storage_type))
    if not holds_extensions(arrow_type):
        return _plain_from_values(values, arrow_type)
    # Arrow makes extensions inside lists and structs only by a cast
    return pa.array(values, storage_type(arrow_type)).cast(arrow_type)


def _plain_from_values(values: Iterable[Any], arrow_type: pa.DataType) -> pa.Array:
    if not holds_type(arrow_type, pa.types.is_integer) or hasattr(values, "dtype"):
        return pa.array(values, arrow_type)
    # Arrow cuts the fraction off where it makes integers of floats
    values = values if isinstance(values, Sequence) else list(values)
    inferred = _inferred(values)
    if inferred is None or not holds_type(inferred, pa.types.is_floating):
        return pa.array(values, arrow_type)
    exact = pa.array(values, _with_floats(arrow_type, inferred))
    return pc.cast(exact, arrow_type, safe=True)


def _inferred(values: Sequence[Any]) -> pa.DataType | None:
    """The type that Arrow would take; None where the values have none in common."""
    try:
        return pa.infer_type(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None


def _with_floats(arrow_type: pa.DataType, inferred: pa.DataType) -> pa.DataType:
    """A type with floats in place of those integers that are floats in another type."""
    if pa.types.is_integer(arrow_type) and pa.types.is_floating(inferred):
        return pa.float64()
    if is_list(arrow_type) and is_list(inferred):
        field = arrow_type.value_field
        inside = field.with_type(_with_floats(field.type, inferred.value_type))
        if pa.types.is_fixed_size_list(arrow_type):
            return pa.list_(inside, arrow_type.list_size)
        return pa.large_list(inside) if pa.types.is_large_list(arrow_type) else pa.list_(inside)
    if pa.types.is_struct(arrow_type) and pa.types.is_struct(inferred):
        there = {field.name: field.type for field in inferred}
        return pa.struct(
            [
                field.with_type(_with_floats(field.type, there[field.name])) if field.name in there else field
                for field in arrow_type
            ]
        )
    return arrow_type


def holds_type(arrow_type: pa.DataType, kind: Callable[[pa.DataType], bool]) -> bool:
    """Whether a type is of a kind, or has inside it one that is; extension types are not looked into."""
    if kind(arrow_type):
        return True
    return any(holds_type(arrow_type.field(number).type, kind) for number in range(arrow_type.num_fields))


def holds_dictionaries(arrow_type: pa.DataType) -> bool:
    """Whether a type is, or has inside it, a dictionary type; extension types by what stores them."""
    return holds_type(storage_type(arrow_type), pa.types.is_dictionary)


def holds_extensions(arrow_type: pa.DataType) -> bool:
    """Whether a type is, or has inside it, an extension type."""
    if isinstance(arrow_type, pa.BaseExtensionType):
        return True
    children = (arrow_type.field(number).type for number in range(arrow_type.num_fields))
    return any(holds_extensions(child) for child in children)


def storage_type(arrow_type: pa.DataType) -> pa.DataType:
    """A type with the storage of extension types in their place, also inside lists and structs."""
    if isinstance(arrow_type, pa.BaseExtensionType):
        return storage_type(arrow_type.storage_type)
    if not holds_extensions(arrow_type):
        return arrow_type
    fields = [arrow_type.field(number) for number in range(arrow_type.num_fields)]
    inside = [field.with_type(storage_type(field.type)) for field in fields]
    if pa.types.is_struct(arrow_type):
        return pa.struct(inside)
    if pa.types.is_fixed_size_list(arrow_type):
        return pa.list_(inside[0], arrow_type.list_size)
    return pa.large_list(inside[0]) if pa.types.is_large_list(arrow_type) else pa.list_(inside[0])


def stored(array: pa.Array) -> pa.Array:
    """An array with the storage of extension types in their place, also inside lists and structs."""
    if isinstance(array, pa.ExtensionArray):
        return stored(array.storage)
    return array.cast(storage_type(array.type)) if holds_extensions(array.type) else array


def full(scalar: pa.Scalar, rows: int) -> pa.Array:
    """An array that repeats a scalar."""
    if isinstance(scalar.type, pa.BaseExtensionType):
        storage = full(scalar.value, rows) if scalar.is_valid else pa.nulls(rows, scalar.type.storage_type)
        return pa.ExtensionArray.from_storage(scalar.type, storage)
    # `repeat` makes no empty column of structs or lists
    return pa.repeat(scalar, rows) if rows else pa.nulls(0, scalar.type)


def whole(value: Value, rows: int) -> pa.Array:
    """A value as one array of `rows` rows."""
    if isinstance(value, pa.Scalar):
        return full(value, rows)
    if isinstance(value, Mapping):
        return struct_of({name: whole(column, rows) for name, column in value.items()}, rows)
    return value.repeated() if isinstance(value, Indexed) else value


def struct_of(columns: Columns, rows: int) -> pa.StructArray:
    """Columns as one struct array."""
    if not columns:
        return pa.array([{}] * rows, pa.struct([]))
    return pa.StructArray.from_arrays(list(columns.values()), list(columns))


def columns_of(value: Value, rows: int) -> dict[str, pa.Array]:
    """The fields of a struct value, each as an array; rows where the struct is null are null in all."""
    if isinstance(value, Mapping):
        return {name: whole(column, rows) for name, column in value.items()}
    array = whole(value, rows)
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    return {name: pc.struct_field(array, name) for name in array.type.names}


def at_path(value: Value, path: tuple[str, ...]) -> Value:
    """The field that a path leads to; null where a struct on the way is null."""
    for name in path:
        if isinstance(value, Mapping):
            value = value[name]
        elif isinstance(value, pa.Scalar):
            fields = value.value if isinstance(value.type, pa.BaseExtensionType) else value
            kind = fields.type.field(name).type
            value = fields[name] if fields.is_valid else pa.nulls(1, kind)[0]
        else:
            array = value.storage if isinstance(value, pa.ExtensionArray) else value
            value = pc.struct_field(array, name)
    return value


def conform(array: pa.Array, arrow_type: pa.DataType) -> pa.Array:
    """An array in a type that holds the same values.

    Strings, lists, numbers and times may differ in width where no value is lost; nulls become any type.

    Raises:
        TypeError: The types are of different families.
        pyarrow.ArrowInvalid: A value does not fit.
    """
    if array.type.equals(arrow_type):
        return array
    if isinstance(arrow_type, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(arrow_type, conform(array, arrow_type.storage_type))
    if isinstance(array, pa.ExtensionArray):
        return conform(array.storage, arrow_type)
    if not _alike(array.type, arrow_type):
        msg = f"returned {array.type}, where {arrow_type} is declared"
        raise TypeError(msg)
    if holds_extensions(array.type):
        array = array.cast(storage_type(array.type))
    if holds_extensions(arrow_type):
        return pc.cast(array, storage_type(arrow_type), safe=True).cast(arrow_type)
    return pc.cast(array, arrow_type, safe=True)


def _alike(given: pa.DataType, wanted: pa.DataType) -> bool:
    given, wanted = storage_type(given), storage_type(wanted)
    if given.equals(wanted) or pa.types.is_null(given):
        return True
    if pa.types.is_dictionary(given):
        return _alike(given.value_type, wanted)
    if is_list(given) and is_list(wanted):
        return _alike(given.value_type, wanted.value_type)
    if pa.types.is_struct(given) and pa.types.is_struct(wanted):
        return given.names == wanted.names and all(
            _alike(left.type, right.type) for left, right in zip(given, wanted, strict=True)
        )
    if pa.types.is_floating(wanted) and pa.types.is_integer(given):
        return True
    return any(check(given) and check(wanted) for check in _FAMILIES)


def is_list(arrow_type: pa.DataType) -> bool:
    """Whether a type is a list, of any kind."""
    return (
        pa.types.is_list(arrow_type)
        or pa.types.is_large_list(arrow_type)
        or pa.types.is_fixed_size_list(arrow_type)
    )


def _is_text(arrow_type: pa.DataType) -> bool:
    return (
        pa.types.is_string(arrow_type)
        or pa.types.is_large_string(arrow_type)
        or pa.types.is_string_view(arrow_type)
    )


def _is_bytes(arrow_type: pa.DataType) -> bool:
    return (
        pa.types.is_binary(arrow_type)
        or pa.types.is_large_binary(arrow_type)
        or pa.types.is_fixed_size_binary(arrow_type)
        or pa.types.is_binary_view(arrow_type)
    )


_FAMILIES = (
    _is_text,
    _is_bytes,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_timestamp,
    pa.types.is_date,
    pa.types.is_time,
    pa.types.is_duration,
)


def concat_values(parts: list[Any]) -> Value:
    """Values of consecutive rows as one."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], Mapping):
        return {name: concat_values([part[name] for part in parts]) for name in parts[0]}
    return concat(parts)


def concat(parts: Sequence[pa.Array]) -> pa.Array:
    """Arrays as one; neighbouring slices of one array are not copied.

    Raises:
        pyarrow.ArrowException: They are of different types, or too long for one array.
    """
    if len(parts) == 1:
        return parts[0]
    whole_again = _rejoined(parts)
    return pa.concat_arrays(parts) if whole_again is None else whole_again


def _rejoined(parts: Sequence[pa.Array]) -> pa.Array | None:
    """The slice that neighbouring slices of one array make up; None where they are not that."""
    first, rows = parts[0], 0
    kind = first.type
    if kind.num_fields or pa.types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType):
        return None
    held = _addresses(first)
    for part in parts:
        if part.offset != first.offset + rows or part.type != kind:
            return None
        if _addresses(part) != held:
            return None
        rows += len(part)
    return pa.Array.from_buffers(kind, rows, first.buffers(), offset=first.offset)


def _addresses(array: pa.Array) -> list[int | None]:
    return [None if buffer is None else buffer.address for buffer in array.buffers()]


def for_kernels(array: pa.Array) -> pa.Array:
    """The same values as kernels take them: few take views, and some make broken arrays of odd offsets."""
    array = _without_views(array)
    if _is_text(array.type) and array.offset == 0 and len(array):
        # Casts of slices, and other libraries, leave offsets that do not begin at 0. Arrow 25's `ascii_lower`
        # and its like copy those beside fewer bytes, and who reads them reads beyond the end.
        begins = array.buffers()[1]
        width = 8 if pa.types.is_large_string(array.type) else 4
        if begins is not None and any(begins[:width].to_pybytes()):
            return pa.concat_arrays([array])
    return array


def _without_views(array: pa.Array) -> pa.Array:
    if pa.types.is_string_view(array.type):
        return pc.cast(array, pa.large_string())
    if pa.types.is_binary_view(array.type):
        return pc.cast(array, pa.large_binary())
    return array
