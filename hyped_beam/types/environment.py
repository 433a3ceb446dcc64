"""`env`: an option whose value stands in an environment variable where the job runs, and nowhere else."""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError, InputError

if TYPE_CHECKING:
    from pydantic import BaseModel


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
    name alone, so it is the way to give a node a password or an address.

    Args:
        name: The name of the variable.

    Raises:
        DefinitionTypeError: It is no name of a variable.

    Example:
        >>> from hyped_beam import Processor, env
        >>> class Ask(Processor):
        ...     key: str
        ...     def process_row(self, question: str) -> str:
        ...         return f"{question} {self.key}"
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


def check_takes_text(owner: type[BaseModel], option: str) -> None:
    """Refuse an option that is no text.

    Raises:
        DefinitionError: It is of another type, or another name for an option.
    """
    field = owner.model_fields.get(option)
    kinds: tuple[Any, ...] = () if field is None else (field.annotation, *typing.get_args(field.annotation))
    if {str, Any} & set(kinds):
        return
    raise DefinitionError(
        f"{owner.__name__}: the option {option!r} takes no text, so it cannot be of an environment variable",
        site=CallSite.nearest(),
        hint="make the option a str, and turn it into what it is in `setup`",
    )


def names_in(values: Mapping[str, Any]) -> dict[str, EnvironmentValue]:
    """Those of some options that stand in the environment."""
    return {name: value for name, value in values.items() if isinstance(value, EnvironmentValue)}
