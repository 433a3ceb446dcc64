"""JSON lines to Arrow and back to what they were: values in the forms in which our writer writes them."""

from __future__ import annotations

import binascii

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.types.arrays import conform, is_list
from hyped_beam.types.decimals import decimals_of


def parsed_type(arrow_type: pa.DataType) -> pa.DataType:
    """The type as which `pyarrow.json` can parse the values of a type; `decoded` makes the rest of the way.

    Raises:
        NotImplementedError: Values of the type have no form in JSON.
    """
    if isinstance(arrow_type, pa.BaseExtensionType):
        return parsed_type(arrow_type.storage_type)
    if pa.types.is_struct(arrow_type):
        return pa.struct([field.with_type(parsed_type(field.type)) for field in arrow_type])
    if is_list(arrow_type):
        return pa.list_(parsed_type(arrow_type.value_type))
    if pa.types.is_float16(arrow_type):
        return pa.float32()
    if pa.types.is_duration(arrow_type):
        return pa.int64()
    kept = (
        pa.types.is_boolean,
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_timestamp,
        pa.types.is_decimal,
        pa.types.is_null,
    )
    if any(check(arrow_type) for check in kept):
        return arrow_type
    if is_text(arrow_type) or _is_bytes(arrow_type) or pa.types.is_date(arrow_type):
        return pa.string()
    if pa.types.is_time(arrow_type):
        return pa.string()
    raise NotImplementedError(str(arrow_type))


def decoded(array: pa.Array, arrow_type: pa.DataType) -> pa.Array:
    """Parsed values in the type that they are of.

    Raises:
        pyarrow.ArrowException: A value is none of the type.
    """
    if array.type.equals(arrow_type):
        return array
    if isinstance(arrow_type, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(arrow_type, decoded(array, arrow_type.storage_type))
    if pa.types.is_struct(arrow_type):
        fields = [decoded(array.field(index), field.type) for index, field in enumerate(arrow_type)]
        return pa.StructArray.from_arrays(fields, fields=list(arrow_type), mask=array.is_null())
    if is_list(arrow_type):
        return _decoded_list(array, arrow_type)
    if _is_bytes(arrow_type):
        return _from_base64(array, arrow_type)
    if pa.types.is_time(arrow_type):  # no kernel parses times, but one parses them behind dates
        dated = pc.binary_join_element_wise("1970-01-01", array, "T")
        return pc.cast(pc.cast(dated, pa.timestamp(arrow_type.unit)), arrow_type)
    if is_text(array.type) and pa.types.is_decimal(arrow_type):
        return decimals_of(array, arrow_type)
    return pc.cast(array, arrow_type)


def _decoded_list(array: pa.Array, arrow_type: pa.DataType) -> pa.Array:
    elements = decoded(array.values, arrow_type.value_type)
    field = arrow_type.value_field.with_type(elements.type)
    lists = pa.ListArray.from_arrays(array.offsets, elements, type=pa.list_(field), mask=array.is_null())
    if pa.types.is_fixed_size_list(arrow_type) and array.null_count:
        size = arrow_type.list_size  # a cast wants room for the elements of lists that are not there
        room = pa.scalar([None] * size, lists.type)
        filled = pc.cast(pc.fill_null(lists, room), arrow_type)
        return pa.FixedSizeListArray.from_arrays(filled.values, type=arrow_type, mask=array.is_null())
    return conform(lists, arrow_type)


def _from_base64(array: pa.Array, arrow_type: pa.DataType) -> pa.Array:
    try:
        values = [
            None if value is None else binascii.a2b_base64(value, strict_mode=True)
            for value in array.to_pylist()
        ]
    except binascii.Error as error:
        raise pa.ArrowInvalid(f"not base64: {error}") from None
    return pa.array(values, arrow_type)


def is_text(arrow_type: pa.DataType) -> bool:
    """Whether values are text."""
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(check(arrow_type) for check in kinds)


def _is_bytes(arrow_type: pa.DataType) -> bool:
    kinds = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_fixed_size_binary,
        pa.types.is_binary_view,
    )
    return any(check(arrow_type) for check in kinds)
