"""The JSON form of nodes: a class by its name, its configuration and its options; no pickle."""

from __future__ import annotations

import importlib
import inspect
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from hyped_beam.errors import CallSite, DefinitionError, FlowError, InputError, error_line, nearest_name
from hyped_beam.ir.graph import Kind, Node
from hyped_beam.nodes import call as calls
from hyped_beam.nodes import registry
from hyped_beam.nodes.aggregator import Aggregator
from hyped_beam.nodes.configuration import Operator
from hyped_beam.nodes.grouping import WHERE
from hyped_beam.nodes.processor import FunctionProcessor
from hyped_beam.nodes.promote import Promote
from hyped_beam.types import features, promotion
from hyped_beam.types.environment import env, secret_options
from hyped_beam.types.features import Feature

_LIBRARY = "hyped_beam."
_IN_A_MODULE = "move it into a module of its own, and import it from there"
_ENVIRONMENT = "env"
"""The key, in place of an option, of the environment variable whose text it is."""

_SAVE_AGAIN = "save the flow again, or undo what was changed in the file"


class NodeForm:
    """The JSON form of the nodes of a flow.

    Args:
        modules: The modules that may be imported for nodes, with those inside them.
        all_named: Says which modules a whole flow needs, for the hint where one is missing.
    """

    def __init__(self, modules: Iterable[str] = (), all_named: Iterable[str] = ()) -> None:
        self._modules = frozenset(modules) | registry.offered_modules()
        self._all_named = sorted({name for name in all_named if not self._may_import(name)})

    def write(self, node: Node) -> tuple[Any, Any]:
        """The class and configuration of a node, and its options, as plain JSON values.

        Raises:
            DefinitionError: The class cannot be imported by others, or JSON does not hold an option.
        """
        operation = node.operation
        saved: dict[str, Any] = {"node": _reference(operation, node.site)}
        configuration = _configuration(operation, node)
        if configuration:
            saved["options"] = configuration
        options = operation._options.model_dump(mode="json", exclude_unset=True)  # noqa: SLF001 - of the same package
        return saved, options or None

    def read(self, operation: Any, options: Any, node: Node, given: Mapping[str, Feature]) -> Node:
        """The node with the operation that `write` wrote down.

        Raises:
            FlowError: There is no such class, it does not take the options or inputs, or its output is of
                another type than it was.
        """
        try:
            return self._read(operation, options, node, given)
        except (FlowError, KeyboardInterrupt):
            raise
        except Exception as error:  # of a class of the user's own, or of an option that it does not expect
            raise InputError(f"it cannot be made: {error_line(error)}", hint=_SAVE_AGAIN) from error

    def _read(self, operation: Any, options: Any, node: Node, given: Mapping[str, Feature]) -> Node:
        made = self._operation(operation, node)
        if options is not None:
            made = made.options(**_mapping(options, "the options are"))
        if node.kind is Kind.AGGREGATE:
            given = {name: feature for name, feature in given.items() if name != WHERE}
        made, output = _typed(made, node.feature, given)
        if not features.same(output, node.feature):
            raise InputError(
                f"its output was {features.shortened(node.feature)} when the flow was saved, "
                f"and is {features.shortened(output)} now",
                hint=f"{type(made).__name__} has changed since: make the flow anew and save it",
            )
        return replace(node, operation=made, options=made._options)  # noqa: SLF001 - of the same package

    def _operation(self, saved: Any, node: Node) -> Any:
        reference = _mapping(saved, "an operation is").get("node")
        if not isinstance(reference, str) or set(saved) - {"node", "options"}:
            raise InputError(
                'an operation is {"node": name, "options": {...}}, ' + f"not {saved!r:.80}",
                hint=_SAVE_AGAIN,
            )
        found = self._find(reference, node.kind)
        configuration = _mapping(saved.get("options", {}), "the options are")
        if isinstance(found, FunctionProcessor):
            if configuration:
                raise InputError(f"the function {reference} takes no options", hint="leave them out")
            return found
        return found(**_with_environment(found, configuration))

    def _find(self, reference: str, kind: Kind) -> Any:
        """The class, or the function made a node, of a name."""
        aggregates = kind is Kind.AGGREGATE
        module, colon, path = reference.partition(":")
        if not colon:
            found: Any = _in_library(reference, aggregates=aggregates)
        elif reference in registry.registered():
            found = registry.registered()[reference]
        else:
            found = _attribute(self._import(module), path)
        made_from = type(found) if isinstance(found, FunctionProcessor) else found
        if not (inspect.isclass(made_from) and issubclass(made_from, Operator)):
            raise InputError(f"{reference} is no node", hint=_SAVE_AGAIN)
        if kind in (Kind.MAP, Kind.AGGREGATE) and issubclass(made_from, Aggregator) is not aggregates:
            raise InputError(f"{reference} is no node of kind {kind.value!r}", hint=_SAVE_AGAIN)
        return found

    def _may_import(self, module: str) -> bool:
        return any(module == name or module.startswith(f"{name}.") for name in self._modules)

    def _import(self, module: str) -> ModuleType:
        if not self._may_import(module):
            named = ", ".join(repr(name) for name in self._all_named or [module])
            raise InputError(
                f"it is of the module {module!r}, and loading imports only what is named",
                hint=f"if you trust it, write DataFlow.load(..., modules=[{named}])",
            )
        try:
            return importlib.import_module(module)
        except FlowError:
            raise
        except ImportError as error:
            raise InputError(
                f"its module {module!r} cannot be imported: {error}",
                hint="is it installed, or in a folder on the path?",
            ) from error
        except Exception as error:
            raise InputError(
                f"its module {module!r} raises on import: {error_line(error)}",
                hint="see that `import` of it works by itself",
            ) from error


def module_of(operation: Any) -> str | None:
    """The module that a saved operation names; None for one of the library, and for nonsense."""
    reference = operation.get("node") if isinstance(operation, Mapping) else None
    module, colon, _ = reference.partition(":") if isinstance(reference, str) else ("", "", "")
    return module if colon else None


def _library(*, aggregates: bool) -> dict[str, type[Any]]:
    """The library's own nodes by name: of aggregators, or of all others."""
    return {
        node.__name__: node
        for node in registry.registered().values()
        if node.__module__.startswith(_LIBRARY) and issubclass(node, Aggregator) is aggregates
    }


def _in_library(name: str, *, aggregates: bool) -> type[Any]:
    known = _library(aggregates=aggregates)
    if name not in known:
        near = nearest_name(name, known)
        newer = "it may be of a newer hyped_beam: install that, or save the flow with this one"
        raise InputError(
            f"there is no node {name!r} in the library", hint=f"did you mean {near!r}?" if near else newer
        )
    return known[name]


def _reference(operation: Any, site: CallSite | None) -> str:
    """The name by which a node is found again.

    Raises:
        DefinitionError: It cannot be.
    """
    function = _function_of(operation)
    named: Any = type(operation) if function is None else function
    module, path = named.__module__, named.__qualname__
    library = _library(aggregates=isinstance(operation, Aggregator))
    if module.startswith(_LIBRARY) and library.get(path) is named:
        return str(path)
    problem = _not_found_again(named, module, path)
    if problem is not None:
        what = f"the {'class' if function is None else 'function'} {path!r}"
        message, hint = problem
        raise DefinitionError(f"a saved flow cannot name {what}: {message}", site=site, hint=hint)
    return f"{module}:{path}"


def _not_found_again(named: Any, module: str, path: str) -> tuple[str, str] | None:
    """Why others cannot find a class or function by its name, with a hint; None where they can."""
    if "<lambda>" in path:
        return "a lambda has no name", "write a function with def, at the top of a module"
    if module == "__main__":
        return "it is of the script or notebook that is running, which others cannot import", _IN_A_MODULE
    if "<locals>" in path:
        return "it is local to a function", "write it at the top of its module"
    try:
        found = _attribute(sys.modules[module], path)
    except (InputError, KeyError):
        found = None
    if (_function_of(found) or found) is not named:
        return f"{module}:{path} is something else now", _IN_A_MODULE
    return None


def _function_of(node: Any) -> Any:
    """The function that a node was made of; None where it was made of none."""
    return node._function if isinstance(node, FunctionProcessor) else None  # noqa: SLF001 - of the same package


def _attribute(module: ModuleType, path: str) -> Any:
    """What stands in a module under a dotted name, without anything being run for it.

    Raises:
        InputError: There is no such thing.
    """
    found: Any = module
    for name in path.split("."):
        names = vars(found) if isinstance(found, (ModuleType, type)) else {}
        if name not in names:
            near = nearest_name(name, names)
            raise InputError(
                f"there is no {path!r} in the module {module.__name__!r}",
                hint=f"did you mean {near!r}?" if near else "was it renamed or moved?",
            )
        found = names[name]
    return found


def _configuration(operation: Operator, node: Node) -> dict[str, Any]:
    """What was set of a node's configuration, as plain JSON values.

    Raises:
        DefinitionError: JSON does not hold a value, or not exactly.
    """
    refused = operation.refuses_saving()
    if refused is not None:
        refused.site = node.site
        raise refused
    kind = type(operation)
    secrets = secret_options(kind)
    saved: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        if name not in operation.model_fields_set or field.exclude:
            continue
        if name in secrets:
            saved[name] = _secret(operation, name, node)
            continue
        try:
            saved |= _finite(operation.model_dump(mode="json", include={name}, warnings="error"))
        except (PydanticSerializationError, ValueError, TypeError) as error:
            raise _not_exact(operation, name, node) from error
    if not saved:
        return saved
    try:
        read = kind(**_with_environment(kind, saved))
    except FlowError as error:
        raise DefinitionError(
            f"the options of {kind.__name__} cannot be read back from JSON: {error.message}",
            site=node.site,
            hint="give the option a type that pydantic writes to JSON and reads from it",
        ) from error
    for name in saved:
        if not _equal(getattr(operation, name), getattr(read, name)):
            raise _not_exact(operation, name, node)
    return saved


def _secret(operation: Operator, name: str, node: Node) -> dict[str, str]:
    """The name of the variable in which a secret option stands.

    Raises:
        DefinitionError: It stands in the flow as text.
    """
    if name not in operation.from_environment:
        raise DefinitionError(
            f"option {name!r} of {type(operation).__name__} is secret, and a saved flow would show it",
            site=node.site,
            hint=f'give the name of a variable of the environment: {name}=env("NAME")',
        )
    return {_ENVIRONMENT: operation.from_environment[name].name}


def _not_exact(operation: Operator, name: str, node: Node) -> DefinitionError:
    value = getattr(operation, name)
    return DefinitionError(
        f"option {name!r} of {type(operation).__name__} holds a {type(value).__name__}, which does not come "
        f"back from JSON as it was: {value!r:.60}",
        site=node.site,
        hint="give the option a type that pydantic writes to JSON and reads from it, instead of Any",
    )


def _equal(left: Any, right: Any) -> bool:
    """Whether two values of an option are equal and of the same types, also inside."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return list(left) == list(right) and all(_equal(left[key], right[key]) for key in left)
    if type(left) is not type(right):
        return False
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(_equal, left, right))
    if isinstance(left, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, BaseModel):
        return all(_equal(getattr(left, name), getattr(right, name)) for name in type(left).model_fields)
    return bool(left == right)


def _with_environment(kind: type[Operator], saved: Mapping[str, Any]) -> dict[str, Any]:
    """Options as they were saved, with secret ones of the environment as such."""
    secrets = secret_options(kind)
    return {
        name: env(value[_ENVIRONMENT])
        if name in secrets and isinstance(value, dict) and set(value) == {_ENVIRONMENT}
        else value
        for name, value in saved.items()
    }


def _finite(value: Any) -> Any:
    """Plain values with NaN and the infinities as text, which pydantic reads as numbers."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    return value


def _mapping(saved: Any, what: str) -> dict[str, Any]:
    if not isinstance(saved, dict):
        raise InputError(f"{what} a mapping, not {saved!r:.60}", hint=_SAVE_AGAIN)
    return saved


def _typed(operation: Any, saved: Feature, given: Mapping[str, Feature]) -> tuple[Any, Feature]:
    """A node for inputs of certain features, and the feature of its output."""
    operation, output = calls.checked(operation, given)
    if isinstance(operation, Promote) and promotion.common(output, saved) is not None:
        # its type is what it is promoted to, for which there are as many reasons as nodes behind it
        wider = promotion.common(output, saved)
        output = saved if features.same(wider, saved) else output
    return operation, output
