"""Hugging Face features: their Arrow types, families, fields and names.

A feature is whatever `datasets.Features` holds: a `Value`, a `ClassLabel`, a `List`, an `Image`, or a
dict of features, which is a struct. `datasets` itself is imported when a feature is first made or
looked at, never when this module is.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import pyarrow as pa

from hyped_beam.errors import DefinitionError, escaped_name, some_of
from hyped_beam.types.dtypes import unknown_dtype
from hyped_beam.types.nesting import TOO_DEEP, is_too_deep

Feature: TypeAlias = Any
"""A Hugging Face feature; `datasets` has no common base class for them."""


class Family(enum.Enum):
    """Which methods and operators a feature has."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    FLOAT = "float"
    DECIMAL = "decimal"
    STRING = "string"
    BINARY = "binary"
    TIMESTAMP = "timestamp"
    DATE = "date"
    TIME = "time"
    DURATION = "duration"
    LIST = "list"
    STRUCT = "struct"
    NULL = "null"
    OTHER = "other"


@lru_cache(maxsize=512)
def value(dtype: str) -> Feature:
    """The `datasets.Value` of a dtype; equal dtypes give the same object."""
    import datasets

    return datasets.Value(dtype)


def of_dtype(name: str) -> Feature:
    """Return the feature that the name of a type stands for.

    Raises:
        DefinitionError: There is no such type.
    """
    try:
        return value(name)
    except (ValueError, TypeError, AttributeError):
        raise unknown_dtype(name) from None


def to_arrow(feature: Feature) -> pa.DataType:
    """The Arrow type in which values of a feature are stored."""
    if type(feature).__name__ == "Value":
        return feature.pa_type

    from datasets.features.features import get_nested_type

    return get_nested_type(feature)


def from_arrow(arrow_type: pa.DataType) -> Feature:
    """The plain feature of an Arrow type."""
    from datasets.features.features import generate_from_arrow_type

    if pa.types.is_dictionary(arrow_type):
        arrow_type = arrow_type.value_type
    if (
        isinstance(arrow_type, pa.DataType)
        and arrow_type.num_fields == 0
        and pa.types.is_primitive(arrow_type)
    ):
        return value(generate_from_arrow_type(arrow_type).dtype)
    return generate_from_arrow_type(arrow_type)


def as_features(features: Any) -> Any:
    """Whatever describes columns, as `datasets.Features`.

    Args:
        features: `Features`, a dict of features, an Arrow schema, or anything with `features` (a dataset,
            a reader).

    Raises:
        TypeError: It describes no columns.
        DefinitionError: There is no dtype of a name.
    """
    import datasets

    if isinstance(features, pa.Schema):
        return datasets.Features.from_arrow_schema(features)
    if not isinstance(features, Mapping) and hasattr(features, "features"):
        features = features.features
    if isinstance(features, pa.StructType):
        features = from_arrow(features)
    if not isinstance(features, Mapping) or any(not isinstance(name, str) for name in features):
        msg = f"not a mapping of column names to features: {features!r:.80}"
        raise TypeError(msg)
    if isinstance(features, datasets.Features):
        return features
    return datasets.Features({name: _as_feature(name, feature) for name, feature in features.items()})


def problem_with(columns: Mapping[str, Feature]) -> str | None:
    """Return what is wrong with the columns of a source; None where nothing is."""
    for name, feature in columns.items():
        found = "" if is_name(name) else "has a name with null characters or halves of characters"
        found = found or ("is none: " + TOO_DEEP if is_too_deep(feature) else _bad_field_in(feature))
        if found:
            return f"the column {name!r} {found}"
    return None


def is_name(name: str) -> bool:
    """Return whether Arrow can hold a name: it is UTF-8, and C ends text at a null character."""
    try:
        return b"\0" not in name.encode()
    except UnicodeEncodeError:
        return False


def _bad_field_in(feature: Feature) -> str:
    if isinstance(feature, Mapping):
        bad = next((name for name in feature if not is_name(name)), None)
        if bad is not None:
            return f"has a field {bad!r}: null characters and halves of characters cannot be in a name"
        return next(filter(None, map(_bad_field_in, feature.values())), "")
    return _bad_field_in(feature.feature) if family(feature) is Family.LIST else ""


def _as_feature(name: str, feature: Any) -> Feature:
    """A feature as it was given, where a dtype stands for the `Value` of it.

    Raises:
        TypeError: It is no feature.
        DefinitionError: There is no dtype of that name.
    """
    if isinstance(feature, str):
        try:
            return of_dtype(feature)
        except DefinitionError as error:
            raise DefinitionError(f"column {name!r}: {error.message}", hint=error.hint) from None
    if isinstance(feature, Mapping):
        return {str(key): _as_feature(f"{name}.{key}", inner) for key, inner in feature.items()}
    if isinstance(feature, (list, tuple)) and len(feature) == 1:
        return list_of(_as_feature(f"{name}[]", feature[0]))
    if isinstance(feature, pa.DataType):
        return from_arrow(feature)
    is_feature = isinstance(feature, (list, tuple)) or callable(feature) or hasattr(feature, "feature")
    if isinstance(feature, type) or not is_feature:
        msg = (
            f"{name!r} is {feature!r:.60}, which is no feature: write its dtype, as in {{{name!r}: 'int64'}}"
        )
        raise TypeError(msg)
    return feature


def arrow_schema(feature: Mapping[str, Feature]) -> pa.Schema:
    """The Arrow schema of columns, with the features as metadata under `huggingface`."""
    return as_features(feature).arrow_schema


def family(feature: Feature) -> Family:
    """The family of a feature."""
    name = type(feature).__name__
    if name == "Value" and isinstance(feature.dtype, str):
        return _family_of_dtype(feature.dtype)
    if isinstance(feature, Mapping):
        return Family.STRUCT
    if name == "ClassLabel":
        return Family.INTEGER
    if name in ("List", "LargeList", "Sequence"):
        return Family.LIST
    if name in ("Translation", "TranslationVariableLanguages"):
        return Family.STRUCT
    return Family.OTHER


@lru_cache(maxsize=512)
def _family_of_dtype(dtype: str) -> Family:
    prefixes = {
        "bool": Family.BOOLEAN,
        "int": Family.INTEGER,
        "uint": Family.INTEGER,
        "float": Family.FLOAT,
        "decimal": Family.DECIMAL,
        "string": Family.STRING,
        "large_string": Family.STRING,
        "binary": Family.BINARY,
        "large_binary": Family.BINARY,
        "fixed_size_binary": Family.BINARY,
        "timestamp": Family.TIMESTAMP,
        "date": Family.DATE,
        "time": Family.TIME,
        "duration": Family.DURATION,
        "null": Family.NULL,
    }
    longest = max((prefix for prefix in prefixes if dtype.startswith(prefix)), key=len, default=None)
    return prefixes[longest] if longest else Family.OTHER


def is_class_label(feature: Feature) -> bool:
    """Whether a feature is a `datasets.ClassLabel`."""
    return type(feature).__name__ == "ClassLabel"


def fields(feature: Feature) -> Mapping[str, Feature]:
    """The fields of a struct (also of a `Translation`, or an `Image`'s storage); empty for all else."""
    if isinstance(feature, Mapping):
        return feature
    if hasattr(feature, "pa_type") or callable(feature):
        storage = to_arrow(feature)
        if pa.types.is_struct(storage):
            return {field.name: from_arrow(field.type) for field in storage}
    return {}


def element(feature: Feature) -> Feature:
    """The feature of a list's elements.

    Raises:
        TypeError: It is no list.
    """
    if family(feature) is not Family.LIST:
        msg = f"{describe(feature)} has no elements"
        raise TypeError(msg)
    return feature.feature


def list_of(feature: Feature, like: Feature | None = None, length: int | None = None) -> Feature:
    """The list feature with elements of `feature`; a large list where `like` is one.

    Args:
        feature: The feature of its elements.
        like: Another list.
        length: The number of elements of each list that is not null, where that is known.
    """
    import datasets

    if length is not None:
        return datasets.List(feature, length=length)
    if type(like).__name__ == "LargeList":
        return datasets.LargeList(feature)
    return datasets.List(feature)


def fixed_length(feature: Feature) -> int | None:
    """The number of elements of each list of a feature; None where that is not known, or it is no list."""
    length = getattr(feature, "length", -1)
    return int(length) if family(feature) is Family.LIST and length >= 0 else None


def describe(feature: Feature) -> str:
    """A feature in a few characters, for messages and plans."""
    if isinstance(feature, Mapping):
        return (
            "{"
            + ", ".join(f"{escaped_name(name)}: {describe(inner)}" for name, inner in feature.items())
            + "}"
        )
    kind = type(feature).__name__
    if kind == "Value":
        return str(feature.dtype)
    if kind == "ClassLabel":
        return f"ClassLabel({some_of([escaped_name(name) for name in feature.names[:4]], 3)})"
    if kind in ("List", "Sequence"):
        length = f", {feature.length}" if feature.length >= 0 else ""
        return f"list<{describe(feature.feature)}{length}>"
    if kind == "LargeList":
        return f"large_list<{describe(feature.feature)}>"
    if kind.startswith("Array"):
        sizes = ("?" if size is None else str(size) for size in feature.shape)
        return f"{kind}({feature.dtype}, {'x'.join(sizes)})"
    return kind


def shortened(feature: Feature, width: int = 120) -> str:
    """A feature in about so many characters: of a long struct the first fields, and the number of others."""
    shown = describe(feature)
    if len(shown) <= width:
        return shown
    if not isinstance(feature, Mapping):
        return f"{shown[:width]}..."
    parts: list[str] = []
    for name, inner in feature.items():
        part = f"{escaped_name(name)}: {shortened(inner, max(width // 3, 40))}"
        if parts and sum(map(len, parts)) + 2 * len(parts) + len(part) > width:
            return f"{{{', '.join(parts)}, ... ({len(feature) - len(parts)} more)}}"
        parts.append(part)
    return f"{{{', '.join(parts)}}}"


def to_json(feature: Feature) -> Any:
    """A feature as plain JSON values, in the form that `datasets` saves."""
    import datasets

    return json.loads(json.dumps(datasets.Features({"feature": feature}).to_dict()["feature"]))


def from_json(saved: Any) -> Feature:
    """The feature that `to_json` wrote down.

    Raises:
        ValueError: It is none; whatever JSON values are given.
    """
    import datasets

    try:
        feature = datasets.Features.from_dict({"feature": saved})["feature"]
        to_arrow(feature)
    except Exception as error:  # noqa: BLE001 - `datasets` takes what it is given for a feature, and trips
        msg = f"{type(error).__name__}: {error}"
        raise ValueError(msg) from None
    return feature


def same(left: Feature, right: Feature) -> bool:
    """Whether two features are equal, their metadata (label names, shapes, decoding) included."""
    if left is right:
        return True
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return _same_fields(left, right)
    return type(left) is type(right) and bool(left == right)


def _same_fields(left: Mapping[str, Feature], right: Mapping[str, Feature]) -> bool:
    return list(left) == list(right) and all(same(left[name], right[name]) for name in left)
