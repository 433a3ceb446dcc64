"""The kernels of `cast`: columns of one feature as columns of another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import nearest_name
from hyped_beam.processors.row_errors import with_hint
from hyped_beam.types import features
from hyped_beam.types.decimals import decimals_of
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.vectors import computable, unwrapped, values_of

Conversion: TypeAlias = Callable[[pa.Array], pa.Array]

_FLOAT = r"(?i)^[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|inf|infinity)$"
_LENIENT = "write .cast(..., strict=False) for null where a value does not fit"


def convert(array: pa.Array, source: Feature, target: Feature, *, strict: bool) -> pa.Array:
    """A column of one feature as a column of another.

    Args:
        array: The column.
        source: Its feature.
        target: The feature wanted.
        strict: Whether a value that does not fit is an error; else it becomes null.

    Raises:
        ValueError: A value does not fit.
    """
    array = unwrapped(array)
    arrow_type = features.to_arrow(target)
    arrow_type = arrow_type.storage_type if isinstance(arrow_type, pa.BaseExtensionType) else arrow_type
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), arrow_type)
    labels = features.is_class_label(source) or features.is_class_label(target)
    if array.type.equals(arrow_type) and not (labels and not features.same(source, target)):
        return array
    if pa.types.is_struct(array.type):
        return _convert_struct(array, source, target, arrow_type, strict=strict)
    if pa.types.is_nested(array.type):
        return _convert_list(array, source, target, arrow_type, strict=strict)
    by_name = _between_labels(source, target)
    conversion = by_name or _between(array.type, arrow_type)
    if strict:
        return _strictly(conversion, array)
    return _leniently(conversion, array if by_name else _without_misfits(array, arrow_type), arrow_type)


def _strictly(conversion: Conversion, array: pa.Array) -> pa.Array:
    try:
        return conversion(array)
    except (pa.ArrowInvalid, ValueError) as error:
        message = str(error).removeprefix("ArrowInvalid: ")
        hint = " ".join(part for part in (getattr(error, "hint", ""), _hint(message), _LENIENT) if part)
        raise with_hint(ValueError(message), hint) from error


def _hint(message: str) -> str:
    return "round it first with .round(), .floor() or .ceil(), or" if "truncated" in message else ""


def _leniently(conversion: Conversion, array: pa.Array, arrow_type: pa.DataType) -> pa.Array:
    """Halves what fails until the values that do not fit stand alone."""
    try:
        return conversion(array)
    except (pa.ArrowInvalid, ValueError):
        if len(array) == 1:
            return pa.nulls(1, arrow_type)
    half = len(array) // 2
    parts = [_leniently(conversion, part, arrow_type) for part in (array.slice(0, half), array.slice(half))]
    return pa.concat_arrays(parts)


def _without_misfits(array: pa.Array, arrow_type: pa.DataType) -> pa.Array:
    """The column with null where it is easily seen that a value does not fit."""
    fits = None
    if _is_text(array.type) and pa.types.is_integer(arrow_type):
        fits = pc.match_substring_regex(array, r"^-?[0-9]+$")
    elif _is_text(array.type) and pa.types.is_floating(arrow_type):
        fits = pc.match_substring_regex(array, _FLOAT)
    elif pa.types.is_floating(array.type) and pa.types.is_integer(arrow_type):
        wide = pc.cast(array, pa.float64())
        fits = pc.equal(pc.trunc(wide), wide)
    if fits is None and pa.types.is_integer(array.type) and pa.types.is_integer(arrow_type):
        bounds, own = (np.iinfo(kind.to_pandas_dtype()) for kind in (arrow_type, array.type))
        low, high = max(bounds.min, own.min), min(bounds.max, own.max)
        lowest, highest = pa.scalar(low, array.type), pa.scalar(high, array.type)
        fits = pc.and_(pc.greater_equal(array, lowest), pc.less_equal(array, highest))
    return array if fits is None else pc.if_else(fits, array, pa.scalar(None, array.type))


def _between_labels(source: Feature, target: Feature) -> Conversion | None:
    """The conversion where the names of labels matter."""
    from_labels, to_labels = features.is_class_label(source), features.is_class_label(target)
    if from_labels and to_labels:
        return lambda array: _labels_of(_names_of(array, source.names), target.names)
    if to_labels and features.family(source) is Family.STRING:
        return lambda array: _labels_of(array, target.names)
    if to_labels:
        return lambda array: _checked_labels(pc.cast(array, pa.int64()), len(target.names))
    if from_labels and features.family(target) is Family.STRING:
        return lambda array: pc.cast(_names_of(array, source.names), features.to_arrow(target))
    return None


def _names_of(array: pa.Array, names: list[str]) -> pa.Array:
    named = pc.if_else(pc.equal(array, -1), pa.scalar(None, pa.int64()), array)  # no label has no name
    return pc.take(pa.array(names, pa.string()), _checked_labels(named, len(names)))


def _labels_of(array: pa.Array, names: list[str]) -> pa.Array:
    labels = pc.index_in(array, value_set=pa.array(names, array.type))
    unknown = pc.and_(labels.is_null(), array.is_valid())
    if pc.any(unknown).as_py():
        name = array.filter(unknown)[0].as_py()
        close = nearest_name(name, names)
        known = f"did you mean {close!r}?" if close else f"the labels are: {', '.join(names):.200};"
        raise with_hint(ValueError(f"{name!r} is none of the labels"), known)
    return pc.cast(labels, pa.int64())


def _checked_labels(array: pa.Array, count: int) -> pa.Array:
    outside = pc.or_(pc.less(array, -1), pc.greater_equal(array, count))
    if pc.any(outside).as_py():
        msg = f"{array.filter(outside)[0].as_py()} is the number of none of the {count} labels"
        raise ValueError(msg)
    return array


def _convert_struct(
    array: pa.Array, source: Feature, target: Feature, arrow_type: pa.DataType, *, strict: bool
) -> pa.Array:
    given, wanted = features.fields(source), features.fields(target)
    columns = [
        convert(pc.struct_field(array, field.name), given[field.name], wanted[field.name], strict=strict)
        for field in arrow_type
    ]
    if not columns:
        return array
    mask = array.is_null() if array.null_count else None
    return pa.StructArray.from_arrays(columns, [field.name for field in arrow_type], mask=mask)


def _convert_list(
    array: pa.Array, source: Feature, target: Feature, arrow_type: pa.DataType, *, strict: bool
) -> pa.Array:
    inner = (_element(source, array.type), _element(target, arrow_type))
    elements = convert(array.flatten(), *inner, strict=strict)
    lengths = pc.if_else(array.is_valid(), pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
    mask = array.is_null() if array.null_count else None
    return pc.cast(pa.LargeListArray.from_arrays(offsets, elements, mask=mask), arrow_type)


def _element(feature: Feature, arrow_type: pa.DataType) -> Feature:
    if features.family(feature) is Family.LIST:
        return features.element(feature)
    return features.from_arrow(arrow_type.value_type)  # an array feature, stored as lists


def _between(given: pa.DataType, wanted: pa.DataType) -> Conversion:
    """The conversion between two types that hold no others."""
    types = pa.types
    if types.is_boolean(given) and (types.is_decimal(wanted) or types.is_float16(wanted)):
        return lambda array: pc.cast(pc.cast(pc.cast(array, pa.int8()), pa.float32()), wanted)
    if types.is_integer(given) and types.is_decimal(wanted):  # the kernel wants room for all int64
        scale = max(wanted.scale, 0)
        return lambda array: pc.cast(pc.cast(array, pa.decimal256(min(20 + scale, 76), scale)), wanted)
    if types.is_boolean(wanted) and not _is_text(given):
        return lambda array: pc.not_equal(computable(array), pa.scalar(0, computable(array).type))
    if types.is_floating(wanted) and not _is_text(given):
        return lambda array: _to_float(array, wanted)
    if types.is_floating(given) and types.is_integer(wanted):
        return lambda array: _whole_floats(array, wanted)
    if types.is_floating(given) and _is_text(wanted):
        return lambda array: pc.cast(_float_text(array), wanted)
    if _is_text(given) and (types.is_integer(wanted) or types.is_decimal(wanted)):
        parse = _parsed_integers if types.is_integer(wanted) else decimals_of
        return lambda array: parse(array, wanted)
    if types.is_temporal(given) and types.is_integer(wanted):
        return lambda array: pc.cast(pc.cast(array, _counter(given)), wanted)
    if types.is_integer(given) and types.is_temporal(wanted):
        return lambda array: pc.cast(pc.cast(array, _counter(wanted)), wanted)
    return lambda array: pc.cast(array, wanted)


def _to_float(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Rounded to the nearest float, as Python and polars do."""
    if pa.types.is_float16(wanted) and not pa.types.is_floating(array.type):
        array = pc.cast(array, pa.float32(), safe=False)
    return pc.cast(array, wanted, safe=False)


def _whole_floats(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    wide = pc.cast(array, pa.float64())
    bounds = np.iinfo(wanted.to_pandas_dtype())
    # 2.0**63 is no int64, yet equal to the largest one as float64; so the bound is compared from outside
    outside = pc.or_(pc.less(wide, float(bounds.min)), pc.greater_equal(wide, float(bounds.max + 1)))
    if pc.any(outside).as_py():
        msg = f"Float value {array.filter(outside)[0].as_py()!r} is out of the range of {wanted}"
        raise ValueError(msg)
    return pc.cast(wide, wanted)


def _parsed_integers(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    parsed = pc.cast(array, wanted)
    if pc.any(pc.match_substring_regex(array, "[xX]")).as_py():  # Arrow reads hexadecimal numbers
        found = array.filter(pc.match_substring_regex(array, "[xX]"))[0].as_py()
        msg = f"Failed to parse string: {found!r} as a scalar of type {wanted}"
        raise ValueError(msg)
    return parsed


def _float_text(array: pa.Array) -> pa.Array:
    """Floats as Python writes them: Arrow's form where it is the same, the others one by one."""
    text = pc.cast(array, pa.string())
    values = values_of(array)
    size = np.abs(values.astype(np.float64))
    with np.errstate(invalid="ignore"):  # what lies under nulls may be anything
        integral = np.rint(size) == size
        whole = integral & (size < 2.0 ** np.finfo(values.dtype).nmant) & ~np.signbit(values)
        same = ~np.isfinite(size) | ((size > 1.1e-4) & (size < 1e9) & ~integral)  # noqa: PLR2004
    same &= ~np.isfinite(size) | (values.dtype != np.float16)  # which Arrow writes as if it were wider
    if whole.any():
        digits = pc.cast(pa.array(np.where(whole, values, 0).astype(np.int64)), pa.string())
        text = pc.if_else(pa.array(whole), pc.binary_join_element_wise(digits, ".0", ""), text)
    others = np.flatnonzero(~(whole | same))
    if len(others):
        mask = np.zeros(len(values), bool)
        mask[others] = True
        shortest = [np.format_float_scientific(value, unique=True) for value in values[others]]
        written = [repr(float(digits)) for digits in shortest]
        text = pc.replace_with_mask(text, pa.array(mask), pa.array(written, pa.string()))
    return pc.if_else(array.is_valid(), text, pa.scalar(None, pa.string())) if array.null_count else text


def _counter(arrow_type: pa.DataType) -> pa.DataType:
    """The integer type in which times of a type are stored."""
    return pa.int32() if arrow_type.bit_width == 32 else pa.int64()  # noqa: PLR2004


def _is_text(arrow_type: Any) -> bool:
    return bool(pa.types.is_string(arrow_type) or pa.types.is_large_string(arrow_type))
