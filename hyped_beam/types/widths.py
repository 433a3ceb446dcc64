"""Types whose values are the same: text, bytes and lists with offsets of 32 bits, of 64, or with views."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pyarrow as pa

from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature

_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
_LISTS = (pa.types.is_list, pa.types.is_large_list)


def is_fixed_width(kind: pa.DataType) -> bool:
    """Whether values take the same few bytes each: numbers, times, truth values, decimals."""
    return pa.types.is_primitive(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)


def is_text(kind: pa.DataType) -> bool:
    """Whether values are text or bytes."""
    return any(is_one(kind) for is_one in (*_TEXT, *_BYTES))


def interchangeable(left: pa.DataType, right: pa.DataType) -> bool:
    """Whether two types are equal but for the width of offsets, also inside lists and structs.

    Each value of one is then a value of the other (below 2 GB of text in one array), and hashed as it.
    """
    if left.equals(right):
        return True
    if any(all(any(is_one(kind) for is_one in kinds) for kind in (left, right)) for kinds in (_TEXT, _BYTES)):
        return True
    if all(any(is_list(kind) for is_list in _LISTS) for kind in (left, right)):
        return interchangeable(left.value_type, right.value_type)
    if pa.types.is_fixed_size_list(left) and pa.types.is_fixed_size_list(right):
        return left.list_size == right.list_size and interchangeable(left.value_type, right.value_type)
    if pa.types.is_struct(left) and pa.types.is_struct(right):
        return left.names == right.names and all(
            interchangeable(one.type, other.type) for one, other in zip(left, right, strict=True)
        )
    return False


def wider(left: Feature, right: Feature) -> Feature | None:
    """The feature with the larger offsets of two that are equal but for these; None where they are not."""
    if features.same(left, right):
        return left
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        if list(left) != list(right):
            return None
        fields = {name: wider(left[name], right[name]) for name in left}
        return None if any(field is None for field in fields.values()) else fields
    families = {features.family(left), features.family(right)}
    if families == {Family.LIST}:
        return _wider_list(left, right)
    if families == {Family.STRING}:
        return features.value("large_string")
    if families == {Family.BINARY} and interchangeable(features.to_arrow(left), features.to_arrow(right)):
        return features.value("large_binary")
    return None


def without_views(columns: Mapping[str, Feature]) -> Mapping[str, Feature]:
    """Columns with large text and bytes in the place of views, which Arrow's kernels do not take.

    Returns:
        What was given, where it holds no views.
    """
    held = {name: _without_view(feature) for name, feature in columns.items()}
    if all(held[name] is feature for name, feature in columns.items()):
        return columns
    found: Mapping[str, Feature] = features.as_features(held)
    return found


def _without_view(feature: Feature) -> Feature:
    kind = type(feature).__name__
    if kind == "Value" and feature.dtype in ("string_view", "binary_view"):
        return features.value(f"large_{feature.dtype.removesuffix('_view')}")
    if isinstance(feature, Mapping):
        fields = {name: _without_view(inner) for name, inner in feature.items()}
        return feature if all(fields[name] is inner for name, inner in feature.items()) else fields
    if kind in ("List", "LargeList"):
        inner = _without_view(feature.feature)
        return feature if inner is feature.feature else dataclasses.replace(feature, feature=inner)
    return feature


def _wider_list(left: Feature, right: Feature) -> Feature | None:
    import datasets

    inner = wider(left.feature, right.feature)
    if inner is None or getattr(left, "length", -1) != getattr(right, "length", -1):
        return None
    if "LargeList" in (type(left).__name__, type(right).__name__):
        return datasets.LargeList(inner)
    return datasets.List(inner, length=left.length)
