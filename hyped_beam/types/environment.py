"""`Secret` and `env`: options that are shown nowhere, and whose values stand in the environment of a job."""

from __future__ import annotations

import json
import os
import typing
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import quote, quote_plus

from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError, InputError

if TYPE_CHECKING:
    from pydantic import BaseModel


T = TypeVar("T")

HIDDEN = "***"
"""What is shown in place of a secret."""

LEAST_SECRET = 4
"""The fewest characters of a secret that is looked for in messages: others would be found in any word."""


class _Mark:
    """Tells a declaration that is secret; the only one, also where a class was sent to another process."""

    def __reduce__(self) -> str:
        return "_SECRET"

    def __repr__(self) -> str:
        return "secret"


_SECRET = _Mark()

Secret = Annotated[T, _SECRET]
"""The type of a node's option that is shown nowhere: `key: Secret[str]`.

Such an option takes `env("NAME")`, and no other does. Its value is in no picture, plan, saved flow or error;
a flow in which it stands as text is not saved.
"""


@dataclass(frozen=True)
class EnvironmentValue:
    """The text in an environment variable, known by the variable's name until it is used.

    Attributes:
        name: The name of the variable.
    """

    name: str

    def resolve(self) -> str:
        """The text, of this process.

        Raises:
            InputError: The variable is not set.
        """
        try:
            return os.environ[self.name]
        except KeyError:
            raise InputError(
                f"the environment variable {self.name} is not set where the job runs",
                hint=f"set it for the workers: export {self.name}=...",
            ) from None

    def __repr__(self) -> str:
        return f"env({self.name!r})"


def env(name: str) -> Any:
    """An option of a node whose value is text in an environment variable.

    It is looked up where the node runs, when it is set up. Flows, plans, pictures and saved files show its
    name alone, so it is the way to give a node a password. Only options that are declared `Secret` take it.

    Args:
        name: The name of the variable.

    Raises:
        DefinitionTypeError: It is no name of a variable.

    Example:
        >>> from hyped_beam import Processor, Secret, env
        >>> class Ask(Processor):
        ...     key: Secret[str]
        ...     def process_row(self, question: str) -> str:
        ...         return f"{question} {len(self.key)}"
        >>> Ask(key=env("API_KEY"))
        Ask(key=env('API_KEY'))
    """
    given: Any = name
    if not isinstance(given, str) or not given or set(given) & {"=", "\0"}:
        raise DefinitionTypeError(
            f"env() takes the name of an environment variable, got {name!r:.40}",
            site=CallSite.nearest(),
            hint='write env("API_KEY")',
        )
    return EnvironmentValue(name)


def secret_options(owner: type[BaseModel]) -> frozenset[str]:
    """Return the names of the options of a node that are declared `Secret`."""
    found = _SECRET_OPTIONS.get(owner)
    if found is None:
        if not owner.__pydantic_complete__:  # an annotation names what was defined later
            owner.model_rebuild(raise_errors=False)
        found = frozenset(
            name
            for name, field in owner.model_fields.items()
            if _SECRET in field.metadata or _is_marked(field.annotation)
        )
        _SECRET_OPTIONS[owner] = found
    return found


_SECRET_OPTIONS: weakref.WeakKeyDictionary[type[BaseModel], frozenset[str]] = weakref.WeakKeyDictionary()


def _is_marked(annotation: Any) -> bool:
    return _SECRET in getattr(annotation, "__metadata__", ()) or any(
        map(_is_marked, typing.get_args(annotation))
    )


def _takes_text(annotation: Any) -> bool:
    return annotation in (str, Any) or any(map(_takes_text, typing.get_args(annotation)))


def check_takes_env(owner: type[BaseModel], option: str) -> None:
    """Refuse `env` as an option that is not declared secret, or is no text.

    Otherwise a flow of a stranger could have any variable written into its output.

    Raises:
        DefinitionError: The option takes no variable of the environment.
    """
    field = owner.model_fields.get(option)
    if option not in secret_options(owner):
        raise DefinitionError(
            f"{owner.__name__}: the option {option!r} is not declared secret, and only those take env()",
            site=CallSite.nearest(),
            hint=f'declare it in the class, {option}: Secret[str]; or give the value: os.environ["NAME"]',
        )
    if field is None or not _takes_text(field.annotation):
        raise DefinitionError(
            f"{owner.__name__}: the option {option!r} takes no text, and a variable is text",
            site=CallSite.nearest(),
            hint="make the option a Secret[str], and turn it into what it is in `setup`",
        )


def without_secrets(text: str, secrets: Iterable[Any]) -> str:
    """Return a text in which none of some secrets can be read, however they are quoted in it."""
    for secret in secrets:
        if isinstance(secret, str) and len(secret) >= LEAST_SECRET:
            for form in (
                secret,
                repr(secret)[1:-1],
                quote(secret),
                quote_plus(secret),
                json.dumps(secret)[1:-1],
            ):
                text = text.replace(form, HIDDEN)
    return text


def names_in(values: Mapping[str, Any]) -> dict[str, EnvironmentValue]:
    """Those of some options that stand in the environment."""
    return {name: value for name, value in values.items() if isinstance(value, EnvironmentValue)}
