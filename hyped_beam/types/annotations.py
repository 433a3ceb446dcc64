"""Python annotations as feature patterns: columns, plain Python types, and their optional forms."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import types
import typing
from typing import Any

import pyarrow as pa
import typing_extensions

from hyped_beam.types import features, patterns
from hyped_beam.types.features import Family
from hyped_beam.types.patterns import Pattern

_INTEGER = patterns.several("an integer", Family.INTEGER, fallback="int64")
_NUMBER = patterns.several("a number", Family.INTEGER, Family.FLOAT, fallback="float64")
_PLAIN: dict[Any, Pattern] = {
    str: patterns.several("a string", Family.STRING, fallback="string"),
    int: _INTEGER,
    float: _NUMBER,
    bool: patterns.one("bool"),
    bytes: patterns.several("binary", Family.BINARY, fallback="binary"),
    datetime.datetime: patterns.several("a timestamp", Family.TIMESTAMP, fallback="timestamp[us]"),
    datetime.date: patterns.several("a date", Family.DATE, fallback="date32"),
    datetime.time: patterns.several("a time", Family.TIME, fallback="time64[us]"),
    datetime.timedelta: patterns.several("a duration", Family.DURATION, fallback="duration[us]"),
    decimal.Decimal: patterns.several("a decimal", Family.DECIMAL),
    type(None): patterns.one("null"),
    object: patterns.several("any type", *Family),
    Any: patterns.several("any type", *Family),
    list: patterns.several("a list", Family.LIST),
    dict: patterns.several("a struct", Family.STRUCT),
}


class AnnotationError(TypeError):
    """An annotation that says nothing about features."""


def split_optional(annotation: Any) -> tuple[Any, bool]:
    """An annotation without its `| None`, and whether it had one."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        rest = [item for item in typing.get_args(annotation) if item is not type(None)]
        if len(rest) < len(typing.get_args(annotation)):
            return (rest[0] if len(rest) == 1 else typing.Union[tuple(rest)]), True  # noqa: UP007
    return annotation, annotation in (Any, object)


def pattern_of(annotation: Any) -> Pattern:
    """The pattern that an annotation stands for.

    Raises:
        AnnotationError: It stands for none.
    """
    annotation, _ = split_optional(annotation)
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _annotated(annotation)
    if origin in (typing.Union, types.UnionType):
        return patterns.any_of([pattern_of(item) for item in typing.get_args(annotation)])
    if origin in (list, collections.abc.Sequence):
        return patterns.lists_of(pattern_of(typing.get_args(annotation)[0]))
    if origin in (dict, collections.abc.Mapping):
        return _PLAIN[dict]
    if is_record(annotation):
        return patterns.exactly({name: _required(inner) for name, inner in record_fields(annotation).items()})
    try:
        return _PLAIN[annotation]
    except (KeyError, TypeError):
        pass
    if isinstance(annotation, type) and issubclass(annotation, pa.Array):
        return patterns.several("any type", *Family)
    msg = f"{annotation!r} is no feature pattern"
    raise AnnotationError(msg)


def as_output(annotation: Any) -> Any:
    """An annotation of an output: a number of Python is of 64 bits, whatever the input that it is made from.

    The half of an integer is no integer, and a thousand times an `int8` none of 8 bits.
    """
    annotation, _ = split_optional(annotation)
    if annotation in (int, float):
        return patterns.Int64Column if annotation is int else patterns.Float64Column
    if typing.get_origin(annotation) in (list, collections.abc.Sequence):
        return list[as_output(typing.get_args(annotation)[0])]  # type: ignore[misc]  # made at run time
    return annotation


def _annotated(annotation: Any) -> Pattern:
    for extra in annotation.__metadata__:
        if isinstance(extra, Pattern):
            return extra
        if isinstance(extra, collections.abc.Mapping) or type(extra).__module__.startswith("datasets."):
            return patterns.exactly(extra)
        if isinstance(extra, pa.DataType):
            return patterns.exactly(features.from_arrow(extra))
    return pattern_of(annotation.__origin__)


def _required(annotation: Any) -> Any:
    feature = pattern_of(annotation).feature()
    if feature is None:
        msg = f"{annotation!r} does not say which feature it is"
        raise AnnotationError(msg)
    return feature


def is_record(annotation: Any) -> bool:
    """Whether an annotation is a class of named fields: NamedTuple, TypedDict or dataclass."""
    if not isinstance(annotation, type):
        return False
    return (
        (issubclass(annotation, tuple) and hasattr(annotation, "_fields"))
        or typing_extensions.is_typeddict(annotation)
        or dataclasses.is_dataclass(annotation)
    )


def record_fields(annotation: type) -> dict[str, Any]:
    """The fields of a class of named fields, with their annotations resolved."""
    return typing_extensions.get_type_hints(annotation, include_extras=True)
