"""The interface of a node, read from the signature of its `process`, `process_row` or `update`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import typing_extensions

from hyped_beam.errors import user_frame
from hyped_beam.types import annotations as feature_annotations
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import Pattern

BESIDE = "__hyped_beam_names__"
"""The attribute of a class with what its annotations name among the local variables of a function."""
_KEPT = "__hyped_beam_interface__"
_IDENTIFIER = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class Input:
    """One input of a node.

    Attributes:
        pattern: The features that it takes.
        optional: Whether it may be left out.
        admits_null: Whether rows that are null there are given to `process_row`.
    """

    pattern: Pattern
    optional: bool = False
    admits_null: bool = False


@dataclass(frozen=True)
class Interface:
    """What a node takes and gives.

    Attributes:
        inputs: The inputs by name.
        variadic: The pattern of inputs by any other name, where `**inputs` are taken.
        output: The pattern of the one output, or those of several by name; None where `output` computes it.
        record: The class that several outputs come in.
        row_wise: Whether it works on the values of a row.
        coroutine: Whether it is `async`.
    """

    inputs: Mapping[str, Input]
    variadic: Pattern | None
    output: Pattern | Mapping[str, Pattern] | None
    record: type | None
    row_wise: bool
    coroutine: bool

    def infer(self, given: Mapping[str, Feature]) -> Feature:
        """The feature of the output, from those of the inputs.

        Raises:
            TypeError: The annotation of the output leaves it open.
        """
        if isinstance(self.output, Mapping):
            return {name: self._infer_one(pattern, given) for name, pattern in self.output.items()}
        if self.output is None:
            msg = "the output has neither an annotation nor an `output` method"
            raise TypeError(msg)
        return self._infer_one(self.output, given)

    def _infer_one(self, pattern: Pattern, given: Mapping[str, Feature]) -> Feature:
        if pattern.dtype is not None or pattern.exact is not None:
            return pattern.feature()
        for name, declared in self.inputs.items():
            if name in given and declared.pattern == pattern:
                found = given[name]
                is_number = Family.INTEGER in pattern.families and Family.STRING not in pattern.families
                return features.value("int64") if is_number and features.is_class_label(found) else found
        feature = pattern.feature()
        if feature is None:
            msg = f"the output is {pattern.description}: annotate one type, or write an `output` method"
            raise TypeError(msg)
        return feature


def names_of(node: type) -> dict[str, Any]:
    """What annotations in a node's class may name: what stands in it or beside it, and where it inherits."""
    bases = [
        base for base in reversed(node.__mro__) if not base.__module__.startswith(("pydantic", "builtins"))
    ]
    beside = {name: value for base in bases for name, value in vars(base).get(BESIDE, {}).items()}
    return beside | {name: value for base in bases for name, value in vars(base).items()}


def local_names(*functions: Callable[..., Any]) -> dict[str, Any]:
    """What string annotations name among the local variables of the user's function that is running.

    A class that is written inside a function may be annotated with another one there; under `from
    __future__ import annotations` its annotations are text, which is looked up in the module alone.
    """
    frame = user_frame()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("pydantic"):
        frame = frame.f_back
    if frame is None or frame.f_locals is frame.f_globals:
        return {}
    texts = (
        text
        for function in functions
        for text in getattr(inspect.unwrap(function), "__annotations__", {}).values()
        if isinstance(text, str)
    )
    named = {name for text in texts for name in _IDENTIFIER.findall(text)}
    return {name: frame.f_locals[name] for name in named if name in frame.f_locals}


def kept(node: type, read: Callable[[], Interface]) -> Interface:
    """The interface of a node's class, read once.

    It is kept in the class, so that it travels with one that is pickled by value: what its annotations
    name does not.
    """
    found: Interface | None = vars(node).get(_KEPT)
    if found is None:
        found = read()
        setattr(node, _KEPT, found)
    return found


class UnannotatedError(TypeError):
    """A parameter has no annotation.

    Attributes:
        parameter: Its name.
    """

    def __init__(self, function: Callable[..., Any], parameter: str) -> None:
        super().__init__(f"{function.__qualname__}: parameter {parameter!r} has no annotation")
        self.parameter = parameter


def read_signature(
    function: Callable[..., Any], *, row_wise: bool, skip: int = 1, names: Mapping[str, Any] | None = None
) -> Interface:
    """The interface that a function's signature says.

    Args:
        function: `process`, `process_row` or a plain function.
        row_wise: Whether it works on the values of a row.
        skip: How many parameters come before the inputs (`self`).
        names: What annotations may name beside the globals of the function's module.

    Raises:
        TypeError: A parameter has no annotation, or one that is no feature pattern.
    """
    inputs = read_inputs(function, skip=skip, names=names)
    variadic = next((inputs.pop(name).pattern for name in list(inputs) if name.startswith("**")), None)
    output, record = read_output(function, names)
    return Interface(inputs, variadic, output, record, row_wise, inspect.iscoroutinefunction(function))


def read_inputs(
    function: Callable[..., Any],
    *,
    skip: int = 1,
    leave_out: Collection[str] = (),
    names: Mapping[str, Any] | None = None,
) -> dict[str, Input]:
    """The inputs that the parameters of a function say; those of any other name stand under `**name`.

    Args:
        function: The function.
        skip: How many parameters come before the inputs (`self`).
        leave_out: Parameters that are no inputs.
        names: What annotations may name beside the globals of the function's module.

    Raises:
        TypeError: A parameter has no annotation, or one that is no feature pattern.
    """
    hints = typing_extensions.get_type_hints(function, localns=names, include_extras=True)
    inputs: dict[str, Input] = {}
    for parameter in list(inspect.signature(function).parameters.values())[skip:]:
        if parameter.name in leave_out:
            continue
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            msg = f"{function.__qualname__}: inputs have names, so *{parameter.name} cannot be one"
            raise TypeError(msg)
        if parameter.name not in hints:
            raise UnannotatedError(function, parameter.name)
        if parameter.default not in (None, inspect.Parameter.empty):
            msg = (
                f"{function.__qualname__}: {parameter.name!r} has a default, {parameter.default!r:.40}; an "
                "input that is left out is None: write `= None`, or make it an option, a field of the class"
            )
            raise TypeError(msg)
        annotation, admits_null = feature_annotations.split_optional(hints[parameter.name])
        variadic = parameter.kind is inspect.Parameter.VAR_KEYWORD
        inputs[f"**{parameter.name}" if variadic else parameter.name] = Input(
            _pattern(function, parameter.name, annotation),
            optional=parameter.default is None,
            admits_null=admits_null,
        )
    return inputs


def _pattern(function: Callable[..., Any], name: str, annotation: Any) -> Pattern:
    try:
        return feature_annotations.pattern_of(annotation)
    except feature_annotations.AnnotationError as error:
        msg = f"{function.__qualname__}: {name}: {error}"
        raise TypeError(msg) from None


def read_output(
    function: Callable[..., Any], names: Mapping[str, Any] | None = None
) -> tuple[Pattern | dict[str, Pattern] | None, type | None]:
    """The pattern of what a function returns, or those of several outputs with the class they come in.

    Raises:
        TypeError: The annotation is no feature pattern.
    """
    annotation = typing_extensions.get_type_hints(function, localns=names, include_extras=True).get("return")
    if annotation is None:
        return None, None
    annotation, _ = feature_annotations.split_optional(annotation)
    if feature_annotations.is_record(annotation):
        hints = feature_annotations.record_fields(annotation)
        return {name: _output_pattern(function, name, hint) for name, hint in hints.items()}, annotation
    return _output_pattern(function, "return", annotation), None


def _output_pattern(function: Callable[..., Any], name: str, annotation: Any) -> Pattern:
    return _pattern(function, name, feature_annotations.as_output(annotation))
