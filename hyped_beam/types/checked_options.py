"""Options that take numbers take no text, and those that take True and False nothing else."""

from __future__ import annotations

import types
import typing
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from hyped_beam.errors import CallSite, DefinitionTypeError
from hyped_beam.types.pickled import SamePickle

TEXT = (str, bytes)


class CheckedOptions(SamePickle):
    """A pydantic model that makes no number out of `"2"`, and no truth value out of `"yes"`."""

    def __init__(self, **given: Any) -> None:
        kinds = _kinds(type(self))
        for name, value in given.items():
            kind = kinds.get(name)
            if kind is not None and _is_another(value, kind):
                raise DefinitionTypeError(
                    f"{type(self).__name__} option {name!r}: it is {_SHOWN[kind]}, got {value!r:.80}",
                    site=CallSite.nearest(),
                    hint=_hint(name, value, kind),
                )
        super().__init__(**given)


_SHOWN = {int: "a whole number", float: "a number", bool: "True or False"}


@lru_cache(maxsize=1024)
def _kinds(owner: type[BaseModel]) -> dict[str, type]:
    """The options that are numbers, or True and False, by the name that they are given by."""
    found: dict[str, type] = {}
    for name, field in owner.model_fields.items():
        accepted = {*_types(field.annotation)} - {type(None)}
        kind = next((kind for kind in (bool, float, int) if kind in accepted), None)
        if kind is not None and accepted <= ({bool} if kind is bool else {int, float}):
            found[field.alias or name] = kind
    return found


def _types(annotation: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type."""
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if is_union else (annotation,)


def _is_another(value: Any, kind: type) -> bool:
    if kind is bool:
        return isinstance(value, (*TEXT, int, float)) and not isinstance(value, bool)
    return isinstance(value, (*TEXT, bool))


def _hint(name: str, value: Any, kind: type) -> str | None:
    try:
        return f"write {name}={kind(value)!r}" if isinstance(value, str) and kind is not bool else None
    except ValueError:
        return None
