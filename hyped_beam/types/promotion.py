"""Which type two values have in common, and which type a Python literal gets beside a feature."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature

_INTEGERS = ("int8", "int16", "int32", "int64")
_UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
_UNITS = ("s", "ms", "us", "ns")
_DECIMAL, _WIDEST_DECIMAL = 38, 76
_INTEGER_DIGITS = {
    "int8": 3, "uint8": 3, "int16": 5, "uint16": 5, "int32": 10, "uint32": 10, "int64": 19, "uint64": 20,
}  # fmt: skip


def common(left: Feature, right: Feature) -> Feature | None:
    """The smallest feature that holds the values of both, or None where there is none.

    Numbers widen as in polars: int32 with int64 is int64, integers with floats are float64 (float32 only
    where the integer has at most 16 bits), signed with unsigned of 64 bits is refused (None), because no
    integer type holds both. Decimals keep all digits. A `ClassLabel` meets other integers as int64, but no
    `ClassLabel` with other names. Times take the finer unit; time zones must be equal. Lists and structs
    widen inside, and lists of one fixed length keep it; null goes with everything.
    """
    if features.same(left, right):
        return left
    families = (features.family(left), features.family(right))
    if Family.NULL in families:
        return right if families[0] is Family.NULL else left
    if families[0] is Family.LIST and families[1] is Family.LIST:
        inner = common(left.feature, right.feature)
        large = left if type(left).__name__ == "LargeList" else right
        length = features.fixed_length(left)
        both = length if length == features.fixed_length(right) else None
        return None if inner is None else features.list_of(inner, like=large, length=both)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return _common_struct(left, right)
    if features.is_class_label(left) and features.is_class_label(right):
        return None
    return _common_scalar(families, left, right)


def _common_scalar(families: tuple[Family, Family], left: Feature, right: Feature) -> Feature | None:
    both = set(families)
    if both <= {Family.INTEGER, Family.FLOAT}:
        return _common_number(_number(left), _number(right))
    if both <= {Family.DECIMAL, Family.INTEGER}:
        return _common_decimal(left, right)
    if both == {Family.DECIMAL, Family.FLOAT}:
        return features.value("float64")
    if both == {Family.TIMESTAMP, Family.DATE}:
        stamp = left if families[0] is Family.TIMESTAMP else right
        return stamp if features.to_arrow(stamp).tz is None else None
    return _common_in_family(families[0], left, right) if len(both) == 1 else None


def hint(left: Feature, right: Feature) -> str:
    """How to mend that two features have nothing in common."""
    given = (left, right)
    families = {features.family(feature) for feature in given}
    labels = [feature for feature in given if features.is_class_label(feature)]
    if labels and (len(labels) == 2 or Family.STRING in families):  # noqa: PLR2004 - both
        return 'compare the names of the labels: write .cast("string") on the ClassLabel'
    if Family.TIMESTAMP in families and families <= {Family.TIMESTAMP, Family.DATE}:
        return "one has a time zone, the other has none or another: cast one to the type of the other"
    if families == {Family.INTEGER}:
        return 'no integer type holds both: write .cast("int64") on the unsigned one, or .cast("float64")'
    if Family.BOOLEAN in families and families & {Family.INTEGER, Family.FLOAT}:
        return 'write .cast("int64") on the boolean'
    if Family.STRING in families and families & {Family.INTEGER, Family.FLOAT, Family.DECIMAL}:
        return 'write .cast("float64") on the text, or .cast("string") on the number'
    if Family.STRING in families and families & {Family.TIMESTAMP, Family.DATE}:
        return "give a datetime or a date, or write .cast(...) on the text"
    return "cast one of them: ref.cast(...)"


def _number(feature: Feature) -> str:
    return "int64" if features.is_class_label(feature) else str(feature.dtype)


def _common_struct(left: Mapping[str, Feature], right: Mapping[str, Feature]) -> Feature | None:
    if list(left) != list(right):
        return None
    merged = {name: common(left[name], right[name]) for name in left}
    return None if any(inner is None for inner in merged.values()) else merged


def _common_number(left: str, right: str) -> Feature | None:
    both = (left, right)
    if all(name in _INTEGERS for name in both):
        return features.value(max(both, key=_INTEGERS.index))
    if all(name in _UNSIGNED for name in both):
        return features.value(max(both, key=_UNSIGNED.index))
    if all(not name.startswith("float") for name in both):
        signed, unsigned = sorted(both, key=lambda name: name in _UNSIGNED)
        wanted = max(_INTEGERS.index(signed), _UNSIGNED.index(unsigned) + 1)
        return features.value(_INTEGERS[wanted]) if wanted < len(_INTEGERS) else None
    if all(name.startswith("float") for name in both):
        return features.value(max(both, key=lambda name: int(name[5:])))
    small = {"int8", "int16", "uint8", "uint16", "float32", "float16"}
    return features.value("float32" if set(both) <= small else "float64")


def _common_decimal(left: Feature, right: Feature) -> Feature | None:
    """The decimal with the places of both before and after the point, where 76 digits are enough."""
    shapes = [_decimal_shape(feature) for feature in (left, right)]
    before, after = max(shape[0] for shape in shapes), max(shape[1] for shape in shapes)
    if before + after > _WIDEST_DECIMAL:
        return None
    wide = any(str(feature.dtype).startswith("decimal256") for feature in (left, right))
    if wide or before + after > _DECIMAL:
        return features.from_arrow(pa.decimal256(before + after, after))
    return features.from_arrow(pa.decimal128(before + after, after))


def _decimal_shape(feature: Feature) -> tuple[int, int]:
    if features.family(feature) is Family.INTEGER:
        return _INTEGER_DIGITS[_number(feature)], 0
    arrow_type = features.to_arrow(feature)
    return arrow_type.precision - arrow_type.scale, arrow_type.scale


def _common_in_family(family: Family, left: Feature, right: Feature) -> Feature | None:
    if family is Family.STRING:
        return features.value("large_string")
    if family is Family.BINARY:
        return features.value("large_binary" if "large_binary" in (left.dtype, right.dtype) else "binary")
    arrow_left, arrow_right = features.to_arrow(left), features.to_arrow(right)
    if family in (Family.TIMESTAMP, Family.DURATION, Family.TIME):
        if getattr(arrow_left, "tz", None) != getattr(arrow_right, "tz", None):
            return None
        return left if _UNITS.index(arrow_left.unit) >= _UNITS.index(arrow_right.unit) else right
    if family is Family.DATE:
        return features.value("date64")
    return None


def literal(value: Any, beside: Feature | None = None) -> Feature | None:
    """The feature of a Python literal, chosen to fit the feature that it stands beside.

    An integer takes the type of the integers or floats beside it where it fits (`int32 + 1` is int32), a
    float that of the floats beside it, text that of the strings; a `ClassLabel` takes the names of its
    labels. None where Python values of that type are no constants.
    """
    if isinstance(value, Mapping):
        inner = features.fields(beside) if beside is not None else {}
        merged = {str(name): literal(item, inner.get(str(name))) for name, item in value.items()}
        return None if any(item is None for item in merged.values()) else merged
    if isinstance(value, (list, tuple)):
        return _literal_list(value, beside)
    plain = _literal_scalar(value)
    if plain is None or beside is None:
        return plain
    return _fit(value, plain, beside)


def encoded(value: Any, feature: Feature) -> Any:
    """A literal with the names of labels replaced by their numbers."""
    if isinstance(value, str) and features.is_class_label(feature):
        return feature.str2int(value)
    if isinstance(value, Mapping):
        inner = features.fields(feature)
        return {str(name): encoded(item, inner[str(name)]) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encoded(item, features.element(feature)) for item in value]
    return value


def unknown_label(value: Any, beside: Feature | None) -> str | None:
    """The first text in a literal beside a `ClassLabel` that is none of its names."""
    if beside is None or not features.is_class_label(beside):
        return None
    items = value if isinstance(value, (list, tuple)) else [value]
    return next((item for item in items if isinstance(item, str) and item not in beside.names), None)


def _literal_list(value: list[Any] | tuple[Any, ...], beside: Feature | None) -> Feature | None:
    """A list beside a list is one like it; beside anything else, its elements are like that."""
    is_list = beside is not None and features.family(beside) is Family.LIST
    inner: Feature | None = features.value("null")
    for item in value:
        found = literal(item, features.element(beside) if is_list else beside)
        inner = None if found is None or inner is None else common(inner, found)
    is_as_long = is_list and features.fixed_length(beside) == len(value)
    return (
        None
        if inner is None
        else features.list_of(inner, like=beside, length=len(value) if is_as_long else None)
    )


def _literal_scalar(value: Any) -> Feature | None:
    if isinstance(value, pa.Scalar):
        return features.from_arrow(value.type)
    if value is None:
        return features.value("null")
    if isinstance(value, bool):
        return features.value("bool")
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            return None
        return features.value("int64" if value < 2**63 else "uint64")
    if isinstance(value, float):
        return features.value("float64")
    if isinstance(value, str):
        return features.value("string")
    if isinstance(value, (bytes, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal)):
        return features.from_arrow(pa.scalar(value).type)
    item = getattr(value, "item", None)  # numpy scalars
    return _literal_scalar(item()) if callable(item) and getattr(value, "shape", None) == () else None


def _fit(value: Any, plain: Feature, beside: Feature) -> Feature:
    families = (features.family(plain), features.family(beside))
    if families == (Family.STRING, Family.INTEGER) and features.is_class_label(beside):
        return beside if value in beside.names else plain
    if features.is_class_label(beside):
        return plain
    fits = families[0] is families[1] or families in (
        (Family.INTEGER, Family.FLOAT),
        (Family.INTEGER, Family.DECIMAL),
    )
    if not fits or families[0] is Family.NULL:
        return plain
    try:
        fitted = pa.scalar(value, features.to_arrow(beside)).as_py()
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        return plain
    if families[0] is Family.FLOAT:  # rounded to the width of the floats beside it
        return beside if math.isinf(fitted) == math.isinf(value) else plain
    return beside if fitted == value else plain  # of a finer unit, or one has a time zone and one has none
