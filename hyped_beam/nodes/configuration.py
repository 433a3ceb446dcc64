"""The base of all nodes: a frozen pydantic model whose fields are the node's configuration."""

from __future__ import annotations

import copy
import functools
import inspect
import os
import types
from collections.abc import Callable, Hashable, Mapping
from typing import Any, ClassVar, TypeVar, cast

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError
from typing_extensions import Self

from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError, wrong_options
from hyped_beam.nodes.interface import BESIDE, Interface, local_names
from hyped_beam.nodes.options import DEFAULT_OPTIONS, Options
from hyped_beam.types.checked_options import CheckedOptions
from hyped_beam.types.environment import (
    HIDDEN,
    EnvironmentValue,
    check_takes_env,
    names_in,
    secret_options,
)

Method = TypeVar("Method", bound=Callable[..., Any])


class OfANode:
    """A method that is refused with a way out where it is called on the class instead of a node.

    Args:
        function: The method.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, node: Any, kind: type[Any]) -> Callable[..., Any]:
        if node is not None:
            return types.MethodType(self._function, node)

        @functools.wraps(self._function)
        def unbound(*args: Any, **inputs: Any) -> Any:
            if args and isinstance(args[0], kind):
                return self._function(*args, **inputs)
            name, method = kind.__name__, self._function.__name__
            raise DefinitionTypeError(
                f"{name}.{method}(...) is called on the class, and it is a node that takes inputs",
                site=CallSite.nearest(),
                hint=f"write {name}().{method}(...), with its options, if any, in the first parentheses",
            )

        return unbound


def of_a_node(method: Method) -> Method:
    """Refuse the method where it is called on the class: `Mean.call(ref)` instead of `Mean().call(ref)`."""
    return cast("Method", OfANode(method))


class Operator(CheckedOptions):
    """A node: its fields are its configuration, validated where it is written and frozen.

    Attributes:
        repeatable: Whether running it again on the same input gives the same and does no harm. A node
            that is not is never merged with its equals, computed in advance or scanned again.
        takes_limits: Whether its calls can have `Limits`.
        output_type: The Arrow type of the output; there while the node runs.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        ser_json_bytes="base64",
        val_json_bytes="base64",
        protected_namespaces=(),
        ser_json_inf_nan="constants",
        ignored_types=(OfANode,),
    )

    repeatable: ClassVar[bool] = True
    takes_limits: ClassVar[bool] = False
    output_type: ClassVar[pa.DataType]
    # A factory, because pydantic deep-copies a default for each node.
    _options: Options = PrivateAttr(default_factory=lambda: DEFAULT_OPTIONS)

    @classmethod
    def __pydantic_init_subclass__(cls, **arguments: Any) -> None:
        """Keep what annotations in a class inside a function name beside it."""
        super().__pydantic_init_subclass__(**arguments)
        beside = local_names(*filter(inspect.isfunction, vars(cls).values()))
        if beside:
            setattr(cls, BESIDE, beside)

    def __init__(self, *args: Any, **configuration: Any) -> None:
        if args:
            name = type(self).__name__
            raise DefinitionTypeError(
                f"{name} takes its options by name, got {args[0]!r:.80}",
                site=CallSite.nearest(),
                hint=f"inputs are given to call: {name}().call(ref); options as in {name}(option=...)",
            )
        held = names_in(configuration)
        for name in held:
            if name in type(self).model_fields:
                check_takes_env(type(self), name)
        try:
            super().__init__(**{**configuration, **{name: f"${value.name}" for name, value in held.items()}})
        except ValidationError as error:
            raise wrong_options(type(self), self._without_secrets(configuration), error) from None
        except DefinitionError as error:  # a validator's own, with a hint; it cannot see past pydantic
            error.site = CallSite.nearest()
            raise
        for name, value in held.items():
            self.__dict__[name] = value

    @classmethod
    def interface(cls) -> Interface:
        """What the node takes and gives."""
        raise NotImplementedError

    def options(self, **options: Any) -> Self:
        """The same node, run in another way.

        Args:
            **options: Fields of `Options`: `name`, `batch_size`, `limits`.

        Raises:
            DefinitionError: There is no such option, its value is wrong, or the node takes no limits.
        """
        try:
            merged = Options(**{**self._options.model_dump(exclude_unset=True), **options})
        except ValidationError as error:
            raise wrong_options(Options, options, error) from None
        except DefinitionError as error:  # of the limits within
            error.site = CallSite.nearest()
            raise
        if merged.limits.is_set and not self.takes_limits:
            raise DefinitionError(
                f"{type(self).__name__} takes no limits, which bound the calls of processors",
                site=CallSite.nearest(),
                hint="give them to the processor that computes its input",
            )
        changed = self.model_copy()
        private = self.__pydantic_private__ or {}
        object.__setattr__(changed, "__pydantic_private__", {**private, "_options": merged})
        return changed

    def identity(self) -> Hashable:
        """Equal for two nodes that compute the same."""
        if not self.__dict__:
            return type(self)
        try:
            # JSON alone does not tell a date from the text that it is written as, nor repr all of an array.
            return (type(self), self.written(), repr(self.__dict__))
        except ValueError:
            return (type(self), id(self))

    @classmethod
    def _without_secrets(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Some options, with secrets that are given as text hidden."""
        secrets = secret_options(cls)
        return {
            name: _Hidden() if name in secrets and not isinstance(value, EnvironmentValue) else value
            for name, value in options.items()
        }

    def __repr_args__(self) -> Any:
        """The options as they are shown."""
        given = dict(super().__repr_args__())
        return self._without_secrets({str(name): value for name, value in given.items()}).items()

    @property
    def from_environment(self) -> Mapping[str, EnvironmentValue]:
        """The options that are given by `env`; their values are there while the node runs."""
        return names_in(self.__dict__)

    def written(self) -> str:
        """The whole configuration as JSON text; of what `env` gives, the name.

        Raises:
            ValueError: JSON has no form for it.
        """
        held = self.from_environment
        text = self.model_dump_json(exclude=set(held) or None)
        return f"{text} {held}" if held else text

    def refuses_saving(self) -> DefinitionError | None:
        """Why it cannot be saved, for a node that knows it better than its options' types do."""
        return None

    def resolve(self, **inputs: Any) -> Self:  # noqa: ARG002 - for subclasses
        """The node with all that it must look up in files, such as the columns of a table, in its options.

        It is asked once, when the node is recorded. A saved flow has its answer, so that loading one opens
        nothing; where what was looked up may have changed since, `setup` has to check it.

        Args:
            **inputs: The features of the inputs.
        """
        return self

    def absorb(self, consumer: Any) -> Any:  # noqa: ARG002 - for subclasses
        """The node that computes at once what `consumer` computes from this node's output.

        Override it where an intermediate result need not be made, as the list of words of
        `text.split().length()`. It is asked when the whole output of this node is the only input of
        `consumer`, and nothing else uses it.

        Args:
            consumer: The node behind this one.

        Returns:
            A node with the inputs of this one and the values and type of the consumer's output; None
            where there is none.
        """
        return None

    def describe(self) -> str:
        """Its configuration in a few characters."""
        return ", ".join(f"{name}={_in_short(value)}" for name, value in self.shown_options().items())

    def shown_options(self) -> dict[str, Any]:
        """The options that were set, as they may be shown to anybody."""
        given = {name: value for name, value in self if name in self.model_fields_set}
        return self._without_secrets(given)

    def runtime_copy(self, output_type: pa.DataType) -> Self:
        """A copy that may be changed by `setup` and while it runs.

        Raises:
            InputError: An option is given by `env`, and the variable is not set here.
        """
        running = copy.copy(self)
        resolved = {name: value.resolve() for name, value in self.from_environment.items()}
        object.__setattr__(running, "__dict__", {**self.__dict__, **resolved, "output_type": output_type})
        object.__setattr__(running, "__pydantic_extra__", None)
        running.__dict__["__running__"] = True
        return running

    def __setattr__(self, name: str, value: Any) -> None:
        if "__running__" in self.__dict__:
            self.__dict__[name] = value
        elif name.startswith("_"):
            super().__setattr__(name, value)
        else:
            msg = f"{type(self).__name__} is frozen: {name!r} cannot be set outside `setup` and `process`"
            raise DefinitionError(msg, site=CallSite.nearest(), hint="make a new node with other options")


def secret_values(node: Operator) -> list[Any]:
    """Return the values of a node's secret options, as far as they are known in this process."""
    known = []
    for name in secret_options(type(node)):
        value = node.__dict__.get(name)
        known.append(os.environ.get(value.name) if isinstance(value, EnvironmentValue) else value)
    return known


class _Hidden:
    """What is shown in place of a secret."""

    def __repr__(self) -> str:
        return HIDDEN


def _in_short(value: Any) -> str:
    """The first characters of an option; a reader says itself what it reads."""
    by_default: tuple[Any, ...] = (object.__str__, BaseModel.__str__)
    says_itself = type(value).__str__ not in by_default and not isinstance(value, str)
    return f"{value!s:.60}" if says_itself else f"{value!r:.40}"
