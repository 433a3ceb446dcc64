"""Which type two values have in common, and which type a Python literal gets beside a feature."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature

_INTEGERS = ("int8", "int16", "int32", "int64")
_UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
_UNITS = ("s", "ms", "us", "ns")


def common(left: Feature, right: Feature) -> Feature | None:
    """The smallest feature that holds the values of both, or None where there is none.

    Numbers widen as in polars: int32 with int64 is int64, integers with floats are float64 (float32 only
    where the integer has at most 16 bits), signed with unsigned of 64 bits is refused (None), because no integer type
    holds both. A `ClassLabel` meets other integers as int64. Times take the finer unit; time zones must be
    equal. Lists and structs widen inside; null goes with everything.
    """
    if features.same(left, right):
        return left
    families = (features.family(left), features.family(right))
    if Family.NULL in families:
        return right if families[0] is Family.NULL else left
    if families[0] is Family.LIST and families[1] is Family.LIST:
        inner = common(left.feature, right.feature)
        large = left if type(left).__name__ == "LargeList" else right
        return None if inner is None else features.list_of(inner, like=large)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return _common_struct(left, right)
    numeric = (Family.INTEGER, Family.FLOAT)
    if families[0] in numeric and families[1] in numeric:
        return _common_number(_number(left), _number(right))
    if families[0] is families[1]:
        return _common_in_family(families[0], left, right)
    if set(families) == {Family.TIMESTAMP, Family.DATE}:
        stamp = left if families[0] is Family.TIMESTAMP else right
        return stamp if features.to_arrow(stamp).tz is None else None
    if Family.DECIMAL in families and Family.INTEGER in families:
        return left if families[0] is Family.DECIMAL else right
    if Family.DECIMAL in families and Family.FLOAT in families:
        return features.value("float64")
    return None


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


def _literal_list(value: list[Any] | tuple[Any, ...], beside: Feature | None) -> Feature | None:
    is_list = beside is not None and features.family(beside) is Family.LIST
    inner: Feature | None = features.value("null")
    for item in value:
        found = literal(item, features.element(beside) if is_list else None)
        inner = None if found is None or inner is None else common(inner, found)
    return None if inner is None else features.list_of(inner, like=beside)


def _literal_scalar(value: Any) -> Feature | None:  # noqa: PLR0911 - one line per Python type
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
        (Family.DATE, Family.TIMESTAMP),
    )
    if not fits or families[0] is Family.NULL:
        return plain
    try:
        pa.scalar(value, features.to_arrow(beside))
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        return plain
    if families[0] is Family.INTEGER and families[1] is Family.FLOAT and float(value) != value:
        return plain
    return beside
