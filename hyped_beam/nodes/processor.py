"""Processors: nodes that compute one row, or one column, from another."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Hashable, Mapping
from typing import Any, ClassVar, overload

import cloudpickle
from pydantic import PrivateAttr

from hyped_beam.errors import CallSite, DefinitionTypeError
from hyped_beam.nodes import call as calls
from hyped_beam.nodes import interface as interfaces
from hyped_beam.nodes.configuration import Operator, of_a_node
from hyped_beam.nodes.interface import Interface
from hyped_beam.nodes.refs import Ref
from hyped_beam.nodes.tables import TableByKey
from hyped_beam.types.patterns import Pattern


class Processor(Operator):
    """A node that maps rows to rows. Subclass it and write `process` or `process_row`.

    `process` gets Arrow columns and returns one of equal length, or a `NamedTuple` of several;
    `process_row` gets the Python values of one row. Either may be `async`. Parameter names are input
    names, a default of None makes an input optional, and annotations say which features are taken. Where
    the output's type depends on the inputs or on the configuration, `def output(self, **inputs)`, given
    their features, returns it. `setup` and `teardown` (either may be `async`) run before the first and
    after the last batch, on a copy of the node that no other node shares, nor another thread unless `Limits`
    ask for threads.

    Where what a node computes is known as a `pyarrow.compute.Expression`, `def as_expression(self,
    **inputs)`, given those of the inputs, returns it: conditions of filters then reach the statistics of
    files, parts of which are not read.

    Attributes:
        accepts_scalars: Whether inputs that are the same for all rows may come as `pyarrow.Scalar`; at
            least one input is a column then.
        takes_indexed: The inputs that may come as `Indexed`, where they belong to rows that those of the node
            were made from: each value once, and which one each row takes.
        promote: Whether all inputs (or those named) are cast to their common type first.
        passes_inputs: Whether each field of the output is the input of that name, unchanged.
        tells_rows_apart: Whether the output is a number for each row, which the executor alone knows.

    Example:
        >>> import pyarrow.compute as pc
        >>> from hyped_beam import Processor
        >>> from hyped_beam.types.patterns import Int32Column, StringColumn
        >>> class Commas(Processor):
        ...     def process(self, text: StringColumn) -> Int32Column:
        ...         return pc.count_substring(text, ",")
    """

    takes_limits: ClassVar[bool] = True
    accepts_scalars: ClassVar[bool] = False
    takes_indexed: ClassVar[tuple[str, ...]] = ()
    promote: ClassVar[bool | tuple[str, ...]] = False
    passes_inputs: ClassVar[bool] = False
    tells_rows_apart: ClassVar[bool] = False

    @classmethod
    def __pydantic_init_subclass__(cls, **arguments: Any) -> None:
        """Refuse a class with both kinds of `process`, its own or inherited."""
        super().__pydantic_init_subclass__(**arguments)
        if hasattr(cls, "process") and hasattr(cls, "process_row"):
            msg = f"{cls.__name__} has both `process` and `process_row`"
            raise DefinitionTypeError(msg, site=_site_of(cls.process_row), hint="write one of them")

    def table_by_key(self) -> TableByKey | None:
        """The table in which its one input is looked up; None for a node that is no lookup.

        A node that has one also has `with_rows(batches)`: the same node that knows these rows of it alone.
        """
        return None

    @classmethod
    def interface(cls) -> Interface:
        """What the node takes and gives, from its signature.

        Raises:
            DefinitionTypeError: It has no `process`, or a signature that says too little.
        """
        return interfaces.kept(cls, lambda: _interface(cls))

    @of_a_node
    def call(self, *args: Any, **inputs: Any) -> Ref:
        """Add the node to the flow that its inputs belong to.

        Args:
            *args: The input, for a node that has just one.
            **inputs: Refs or constants by the name of the input.

        Returns:
            A ref to the output.

        Raises:
            DefinitionError: The inputs are not what the node takes.
        """
        return calls.record(self, calls.bind_positional(self, args, inputs))


def _interface(cls: type[Processor]) -> Interface:
    function = getattr(cls, "process", None) or getattr(cls, "process_row", None)
    if function is None:
        raise DefinitionTypeError(
            f"{cls.__name__} has neither `process` nor `process_row`", site=CallSite.nearest()
        )
    row_wise = not hasattr(cls, "process")
    try:
        read = interfaces.read_signature(function, row_wise=row_wise, names=interfaces.names_of(cls))
    except (TypeError, NameError) as error:
        raise _no_interface(error, function) from error
    if read.output is None and not hasattr(cls, "output"):
        raise DefinitionTypeError(
            f"{cls.__name__}: the output has no type",
            site=_site_of(function),
            hint="annotate what `process` returns, or write an `output` method",
        )
    return read


def _no_interface(error: Exception, function: Callable[..., Any]) -> DefinitionTypeError:
    """What is wrong with the signature of a function."""
    hint = None
    if isinstance(error, interfaces.UnannotatedError):
        name = error.parameter
        hint = f"write its type, as in {name}: str, or {name}: StringColumn for a column of them"
    return DefinitionTypeError(str(error), site=_site_of(function), hint=hint)


def _site_of(function: Callable[..., Any]) -> CallSite | None:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return CallSite(code.co_filename, code.co_firstlineno) if code else None


class FunctionProcessor(Processor):
    """A plain function as a node; what `@processor` makes.

    It can still be called as a function.
    """

    _function: Any = PrivateAttr(default=None)

    def identity(self) -> Hashable:
        """Equal for one and the same function."""
        return (type(self), id(self._function))

    def __call__(self, *args: Any, **arguments: Any) -> Any:
        """Call the function.

        Raises:
            DefinitionTypeError: An argument is a ref, which has no value while the flow is written.
        """
        if any(isinstance(value, Ref) for value in (*args, *arguments.values())):
            name = self._function.__name__
            raise DefinitionTypeError(
                f"{name}(...) calls the function itself, and was given a ref, which has no value yet",
                site=CallSite.nearest(),
                hint=f"write {name}.call(...) to make it a node of the flow",
            )
        return self._function(*args, **arguments)

    def __reduce__(self) -> Any:
        function = self._function
        module = sys.modules.get(function.__module__)
        running = self.__dict__.get("__running__")
        if (
            not running
            and function.__module__ not in {"__main__", *cloudpickle.list_registry_pickle_by_value()}
            and getattr(module, function.__name__, None) is self
        ):
            return _find_function, (function.__module__, function.__name__)
        # With its interface: what its annotations name does not travel with a function.
        return _restore_function, (function, self.interface(), type(self).repeatable, self._options)


def _find_function(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def _restore_function(
    function: Callable[..., Any],
    read: Interface,
    repeatable: bool,  # noqa: FBT001
    options: Any,
) -> FunctionProcessor:
    return _node_of(function, read, repeatable=repeatable).options(**options.model_dump(exclude_unset=True))


def _make(function: Callable[..., Any], *, repeatable: bool) -> FunctionProcessor:
    names = interfaces.local_names(function)
    try:
        row_wise = not _takes_columns(function, names)
        read = interfaces.read_signature(function, row_wise=row_wise, skip=0, names=names)
    except (TypeError, NameError) as error:
        raise _no_interface(error, function) from error
    if read.output is None:
        raise DefinitionTypeError(
            f"{function.__qualname__}: the output has no type",
            site=_site_of(function),
            hint="annotate what the function returns",
        )
    return _node_of(function, read, repeatable=repeatable)


def _node_of(function: Callable[..., Any], read: Interface, *, repeatable: bool) -> FunctionProcessor:
    run = staticmethod(function)
    namespace: dict[str, Any] = {
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "__doc__": function.__doc__ or f"The function `{function.__qualname__}` as a node.",
        "repeatable": repeatable,
        ("process_row" if read.row_wise else "process"): run,
    }
    made: Any = type(function.__name__, (FunctionProcessor,), namespace)
    made.interface = classmethod(lambda _cls: read)
    node = made()
    object.__setattr__(node, "__pydantic_private__", {**node.__pydantic_private__, "_function": function})
    return node


def _takes_columns(function: Callable[..., Any], names: Mapping[str, Any]) -> bool:
    import typing_extensions

    hints = typing_extensions.get_type_hints(function, localns=names, include_extras=True)
    return any(
        isinstance(extra, Pattern) for hint in hints.values() for extra in getattr(hint, "__metadata__", ())
    )


@overload
def processor(function: Callable[..., Any]) -> FunctionProcessor: ...
@overload
def processor(*, repeatable: bool = True) -> Callable[[Callable[..., Any]], FunctionProcessor]: ...
def processor(function: Callable[..., Any] | None = None, *, repeatable: bool = True) -> Any:
    """Make a function a node.

    A function whose annotations are Python types is called for each row; one annotated with columns
    (`StringColumn`, ...) is called for each batch. It may be `async`.

    Args:
        function: The function; its parameters and annotations are the node's inputs and output.
        repeatable: Whether running it again on the same input gives the same and does no harm.

    Raises:
        DefinitionTypeError: An annotation is missing or says nothing about features.

    Example:
        >>> from hyped_beam import processor
        >>> @processor
        ... def clean(text: str) -> str:
        ...     return text.strip()
        >>> clean("  a ")
        'a'
    """
    if function is None:
        return lambda decorated: _make(decorated, repeatable=repeatable)
    return _make(function, repeatable=repeatable)
