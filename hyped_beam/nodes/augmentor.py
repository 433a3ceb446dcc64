"""Augmentors: nodes that make rows from rows, fewer or more, each of which knows where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError
from hyped_beam.ir.graph import Edge, Kind, Node
from hyped_beam.ir.scope import DATASET, ScopeKind
from hyped_beam.nodes import call as calls
from hyped_beam.nodes import interface as interfaces
from hyped_beam.nodes.configuration import Operator, of_a_node
from hyped_beam.nodes.interface import Interface
from hyped_beam.nodes.refs import Ref
from hyped_beam.nodes.runtime import check_length, checking_result
from hyped_beam.types import arrays
from hyped_beam.types.arrays import Value


@dataclass(frozen=True)
class Rows:
    """The rows that an augmentor makes of a batch.

    Attributes:
        parent: For each row the number of the row in the batch that it came from (integers, no nulls).
        columns: What else the rows hold: an array, or a mapping of names to arrays; None for nothing.
    """

    parent: Any
    columns: Any = None


class Augmentor(Operator):
    """A node that makes rows from rows. Subclass it and write `process`.

    `process` gets Arrow columns and returns `Rows(parent, columns)`. Parameter names are input names, and
    annotations say which features are taken, as in a `Processor`. `def output(self, **inputs)`, given their
    features, returns the feature of `columns`; without it the rows hold nothing but what they came from.
    The values of the rows that they came from are repeated for them wherever both are used together.

    Attributes:
        expands: Whether there may be more rows than there were.

    Example:
        >>> import numpy as np
        >>> from hyped_beam import Augmentor, Rows
        >>> from hyped_beam.types.patterns import Int64Column
        >>> class Times(Augmentor):
        ...     def output(self, count):
        ...         return count
        ...     def process(self, count: Int64Column) -> Rows:
        ...         parent = np.repeat(np.arange(len(count)), count.to_numpy())
        ...         return Rows(parent, count.take(parent))
    """

    expands: ClassVar[bool] = True

    def condition(self) -> str | None:
        """The input, a condition, that is true for each row from which one is made; None where there is none.

        What is known of it as an expression reaches the statistics of files.
        """
        return None

    @classmethod
    def interface(cls) -> Interface:
        """What the node takes, from its signature.

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
            A ref to the columns of the rows that it makes, which are rows of their own.

        Raises:
            DefinitionError: The inputs are not what the node takes.
        """
        return augment(self, calls.bind_positional(self, args, inputs))


def augment(node: Any, inputs: Mapping[str, Any]) -> Ref:
    """Add an augmentor to the flow that its inputs belong to; see `Augmentor.call`."""
    bound = calls.bind(node, inputs)
    if bound.scope == DATASET:
        raise DefinitionError(
            f"{bound.shown} takes values of rows, got values of the whole dataset", site=bound.site
        )
    same = bound.builder.equal_node(_node(bound), (bound.scope,))
    if same is not None:
        return Ref(bound.builder, Edge(same.id), bound.output)
    scope = bound.builder.add_scope(ScopeKind.ROWS, bound.name, parent=bound.scope, site=bound.site)
    return bound.add(Kind.ROWS, scope)


def _node(bound: calls.Bound) -> Node:
    """The node that would make the rows: what is written twice makes the same ones, to be used together."""
    options = bound.node._options  # noqa: SLF001 - of the same package
    return Node(
        -1, Kind.ROWS, bound.name, bound.node, bound.edges, bound.scope, bound.output, options=options
    )


def _interface(cls: type[Augmentor]) -> Interface:
    function = getattr(cls, "process", None)
    if function is None:
        raise DefinitionTypeError(f"{cls.__name__} has no `process`", site=CallSite.nearest())
    try:
        inputs = interfaces.read_inputs(function, names=interfaces.names_of(cls))
    except (TypeError, NameError) as error:
        missing = error.parameter if isinstance(error, interfaces.UnannotatedError) else None
        hint = f"write its type, as in {missing}: StringColumn" if missing else None
        raise DefinitionTypeError(str(error), site=CallSite.nearest(), hint=hint) from error
    variadic = next((inputs.pop(name).pattern for name in list(inputs) if name.startswith("**")), None)
    return Interface(inputs, variadic, {}, None, row_wise=False, coroutine=False)


class AugmentorRuntime:
    """An augmentor that runs.

    Args:
        operation: The augmentor.
        output_type: The Arrow type of its columns.
    """

    def __init__(self, operation: Any, output_type: pa.DataType) -> None:
        self.node = operation.runtime_copy(output_type)
        self.output_type = output_type

    def hook(self, name: str) -> Any:
        """`setup` or `teardown`, where the node has it."""
        return getattr(self.node, name, None)

    coroutine = False
    needs_loop = False

    def run(self, inputs: Mapping[str, Value], rows: int) -> tuple[pa.Array, Value]:
        """For each row that is made the row of the batch that it came from, and its columns.

        Raises:
            ResultError: Its result has the wrong type or length.
            Exception: Whatever `process` raised.
        """
        columns = {name: arrays.for_kernels(arrays.whole(value, rows)) for name, value in inputs.items()}
        made = self.node.process(**columns)
        with checking_result():
            if not isinstance(made, Rows):
                msg = f"returned {type(made).__name__}, where Rows(parent, columns) is expected"
                raise TypeError(msg)
            parent = _parents(made.parent, rows)
            return parent, self._columns(made.columns, len(parent))

    def _columns(self, columns: Any, rows: int) -> Value:
        if pa.types.is_struct(self.output_type) and (columns is None or isinstance(columns, Mapping)):
            given = columns or {}
            wanted = {field.name: field.type for field in self.output_type}
            if set(given) != set(wanted):
                msg = f"returned the columns {sorted(given)}, where {sorted(wanted)} are declared"
                raise TypeError(msg)
            return {name: _checked(given[name], kind, rows) for name, kind in wanted.items()}
        return _checked(columns, self.output_type, rows)


def _parents(parent: Any, rows: int) -> pa.Array:
    array = parent if isinstance(parent, pa.Array) else pa.array(np.asarray(parent, np.int64))
    array = pc.cast(array, pa.int64())
    if array.null_count:
        msg = "returned a row without a parent"
        raise ValueError(msg)
    if len(array):
        ends = pc.min_max(array).as_py()
        if ends["min"] < 0 or ends["max"] >= rows:
            msg = f"returned a parent that is no row of the batch: {ends} of {rows} rows"
            raise ValueError(msg)
    return array


def _checked(column: Any, kind: pa.DataType, rows: int) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not isinstance(column, pa.Array):
        column = arrays.from_values(column, kind)
    check_length(column, rows, f"returned {len(column)} values for {rows} rows")
    return arrays.conform(column, kind)
