"""The signatures of methods: what the node behind one takes, as Python writes it."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from dataclasses import dataclass, replace
from typing import Any

from pydantic.fields import FieldInfo

from hyped_beam.nodes.interface import Input
from hyped_beam.types.features import Family

PYTHON_TYPES = {
    Family.BOOLEAN: "bool",
    Family.INTEGER: "int",
    Family.FLOAT: "float",
    Family.DECIMAL: "decimal.Decimal",
    Family.STRING: "str",
    Family.BINARY: "bytes",
    Family.TIMESTAMP: "datetime.datetime",
    Family.DATE: "datetime.date",
    Family.TIME: "datetime.time",
    Family.DURATION: "datetime.timedelta",
    Family.LIST: "Sequence[Any]",
    Family.STRUCT: "Mapping[str, Any]",
}

MOST_TYPES = 4
"""The most types that are listed for an input; one that takes more takes nearly anything."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a method.

    Attributes:
        name: Its name.
        types: Its types, as they are written.
        default: Its default, as it is written; None where it must be given.
    """

    name: str
    types: tuple[str, ...]
    default: str | None = None

    @property
    def shown_types(self) -> str:
        """Its types as one annotation."""
        return "Any" if "Any" in self.types else " | ".join(self.types)

    def __str__(self) -> str:
        return f"{self.name}: {self.shown_types}" + ("" if self.default is None else f" = {self.default}")


@dataclass(frozen=True)
class _Written:
    """Something that a signature shows as it is written."""

    text: str

    def __repr__(self) -> str:
        return self.text


def signature_of(node: type[Any]) -> inspect.Signature:
    """The signature of the method that a node is, without the ref that it is a method of."""
    kinds = {"**": inspect.Parameter.VAR_KEYWORD, "*": inspect.Parameter.VAR_POSITIONAL}
    parameters = []
    for one in parameters_of(node):
        stars = one.name[: len(one.name) - len(one.name.lstrip("*"))]
        parameters.append(
            inspect.Parameter(
                one.name.lstrip("*"),
                kinds.get(stars, inspect.Parameter.POSITIONAL_OR_KEYWORD),
                default=inspect.Parameter.empty if one.default is None else _Written(one.default),
                annotation=_Written(one.shown_types),
            )
        )
    return inspect.Signature(parameters, return_annotation=_Written("Ref"))


def parameters_of(node: type[Any]) -> list[Parameter]:
    """The parameters of the method that a node is."""
    interface = node.interface()
    if interface.variadic is not None:
        return [Parameter("*args", ("Any",)), Parameter("**arguments", ("Any",))]
    inputs = [_input(name, declared) for name, declared in list(interface.inputs.items())[1:]]
    options = [_option(name, field) for name, field in node.model_fields.items()]
    ordered: list[Parameter] = []
    for parameter in (*inputs, *options):
        after_default = bool(ordered) and ordered[-1].default is not None
        ordered.append(
            replace(parameter, default="...") if after_default and parameter.default is None else parameter
        )
    return ordered


def _input(name: str, declared: Input) -> Parameter:
    families = declared.pattern.families
    known = [PYTHON_TYPES[family] for family in Family if family in families and family in PYTHON_TYPES]
    listed = ["Any"] if len(known) > MOST_TYPES or not known else ["Ref", *known]
    if declared.optional:
        return Parameter(name, (*listed, "None"), "None")
    return Parameter(name, tuple(listed))


def _option(name: str, field: FieldInfo) -> Parameter:
    if field.is_required():
        return Parameter(name, tuple(_types(field.annotation)))
    default = field.get_default()
    plain = default is None or type(default) in (bool, int, float, str, bytes)
    return Parameter(name, tuple(_types(field.annotation)), repr(default) if plain else "...")


def _types(annotation: Any) -> list[str]:
    """An annotation as the types that it stands for; `Any` where it names what the stub does not know."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is None or annotation is type(None):
        return ["None"]
    if origin in (typing.Union, types.UnionType):
        return list(dict.fromkeys(kind for argument in arguments for kind in _types(argument)))
    if origin is typing.Annotated:
        return _types(arguments[0])
    if origin is typing.Literal:
        return [f"Literal[{', '.join(map(repr, arguments))}]"]
    if origin in (list, tuple, dict, set, frozenset, collections.abc.Sequence, collections.abc.Mapping):
        return [_generic(origin, arguments)]
    if isinstance(annotation, type) and annotation.__module__ == "builtins":
        return [annotation.__name__]
    return ["Any"]


def _generic(origin: Any, arguments: tuple[Any, ...]) -> str:
    inner = ", ".join("..." if argument is ... else " | ".join(_types(argument)) for argument in arguments)
    return f"{origin.__name__}[{inner}]"
