"""The JSON form of the operations that the graph itself knows: source, constants, keys, outputs."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from hyped_beam.ir.graph import Constant, GroupConstant, Keys, Kind, Node, Sink, Source
from hyped_beam.types import features, scalars
from hyped_beam.types.features import Feature

LARGE = 1 << 16
"""Constants of more bytes than this are kept beside the JSON."""

_WRITTEN = 5
"""Bytes that a value takes in JSON at least, about: of truth values more than a bit."""

OPERATIONS: Mapping[Kind, tuple[Any, ...]] = {
    Kind.SOURCE: (Source,),
    Kind.CONST: (Constant, GroupConstant),
    Kind.KEYS: (Keys,),
    Kind.SINK: (Sink,),
}
"""The operations of each kind that the graph knows; what they hold of Arrow has the node's type."""

_BESIDE = "beside"
"""The key, in place of a large constant, of its name in the file beside the JSON."""


def to_json(node: Node, constants: dict[str, pa.Array]) -> dict[str, Any]:
    """The fields of an operation that are not as they are by default.

    Args:
        node: A node of one of the kinds of `OPERATIONS`.
        constants: Where large constants are put, an array of one row each, by the names under which they are
            found again.
    """
    saved: dict[str, Any] = {}
    for field in fields(node.operation):
        value = getattr(node.operation, field.name)
        if value is field.default or value == field.default:
            continue
        if not isinstance(value, (pa.Scalar, pa.Array)):
            saved[field.name] = TypeAdapter(type(value)).dump_python(value, mode="json")
            continue
        row = scalars.of_scalar(value) if isinstance(value, pa.Scalar) else scalars.of_array(value)
        values = len(value) if isinstance(value, pa.Array) else 1
        if row.nbytes + _WRITTEN * values > LARGE:
            key = f"{node.id}.{field.name}"
            constants[key] = row
            saved[field.name] = {_BESIDE: key}
        else:
            saved[field.name] = scalars.to_json(value if isinstance(value, pa.Scalar) else row[0])
    return saved


def _class_of(kind: Kind, saved: Any) -> Any:
    """The class of an operation of the graph's own, by the names of its fields."""
    given = saved if isinstance(saved, dict) else {"": None}
    for own in OPERATIONS[kind]:
        names = {field.name for field in fields(own)}
        needed = {field.name for field in fields(own) if field.default is MISSING}
        if needed <= set(given) <= names:
            return own
    takes = " or ".join(", ".join(field.name for field in fields(own)) for own in OPERATIONS[kind])
    msg = f"the operation of a {kind.value} has the fields {takes}, not {json.dumps(given):.80}"
    raise ValueError(msg)


def _arrow_type(hint: Any, feature: Feature) -> pa.DataType | None:
    """The type of what a field holds as a value of Arrow; None where it holds none."""
    if _holds(hint, pa.Scalar):
        return features.to_arrow(feature)
    return scalars.array_type(features.to_arrow(feature)) if _holds(hint, pa.Array) else None


def _holds(hint: Any, kind: type) -> bool:
    """Whether a field may hold an instance of a class."""
    return any(isinstance(one, type) and issubclass(one, kind) for one in (*typing.get_args(hint), hint))


def types_beside(kind: Kind, saved: Any, number: int, feature: Feature) -> dict[str, pa.DataType]:
    """The types of the large constants of an operation, by their names in the file beside the JSON.

    Raises:
        ValueError: It is no operation of that kind.
    """
    own = _class_of(kind, saved)
    hints = typing.get_type_hints(own)
    types = {}
    for name, value in saved.items():
        if not isinstance(value, dict) or set(value) != {_BESIDE}:
            continue
        arrow_type = _arrow_type(hints[name], feature)
        if value[_BESIDE] != f"{number}.{name}" or arrow_type is None:
            msg = f"its {name} is no constant of the file beside"
            raise ValueError(msg)
        types[value[_BESIDE]] = arrow_type
    return types


def from_json(kind: Kind, saved: Any, feature: Feature, constants: Mapping[str, pa.Scalar]) -> Any:
    """The operation that `to_json` wrote down.

    Args:
        kind: The kind of the node.
        saved: What was written down.
        feature: The feature of the node's output.
        constants: The large constants, by their names.

    Raises:
        ValueError: It is no operation of that kind, or holds values of another type.
    """
    own = _class_of(kind, saved)
    hints = typing.get_type_hints(own)
    return own(**{name: _read(name, value, hints[name], feature, constants) for name, value in saved.items()})


def _read(name: str, saved: Any, hint: Any, feature: Feature, constants: Mapping[str, pa.Scalar]) -> Any:
    arrow_type = _arrow_type(hint, feature)
    if arrow_type is None:
        try:
            return TypeAdapter(hint).validate_python(saved)
        except ValidationError as error:
            msg = f"its {name}: {error.errors()[0]['msg']}"
            raise ValueError(msg) from None
    is_beside = isinstance(saved, dict) and set(saved) == {_BESIDE}
    scalar = constants[saved[_BESIDE]] if is_beside else scalars.from_json(saved, arrow_type)
    return scalar if _holds(hint, pa.Scalar) else scalars.to_array(scalar)
