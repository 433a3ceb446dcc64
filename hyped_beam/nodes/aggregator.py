"""Aggregators: nodes that compute one value from many rows, by three functions over groups."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import pyarrow as pa

from hyped_beam.errors import CallSite, DefinitionTypeError
from hyped_beam.nodes import call as calls
from hyped_beam.nodes import grouping
from hyped_beam.nodes import interface as interfaces
from hyped_beam.nodes.configuration import Operator, of_a_node
from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.interface import Interface
from hyped_beam.nodes.refs import Ref
from hyped_beam.nodes.runtime import check_length, checking_result
from hyped_beam.types import annotations as feature_annotations
from hyped_beam.types import arrays, features
from hyped_beam.types.features import Feature


class Aggregator(Operator):
    """A node that computes one value from many rows. Subclass it and write three functions.

    `State`, a `NamedTuple` of columns, is what is known about each group so far. `update(inputs..., by)`
    gives one state per group of a batch; `merge(state, by)` one from the neighbouring states of each
    group, in source order; `finish(state)` the value. `merge` must be associative. States are Arrow
    structs, so they are merged, shipped and saved without pickle. Where the types of the state depend on
    the inputs, `def state_features(self, **inputs)`, given their features, returns them by name; where
    that of the value does, `def output(self, **inputs)`.

    Attributes:
        commutative: Whether the order in which states are merged does not matter, to the last bit.

    Example:
        >>> from typing import NamedTuple
        >>> from hyped_beam import Aggregator, Groups
        >>> from hyped_beam.types.patterns import Int64Column, StringColumn
        >>> import pyarrow.compute as pc
        >>> class Characters(Aggregator):
        ...     class State(NamedTuple):
        ...         total: Int64Column
        ...     def update(self, text: StringColumn, by: Groups) -> State:
        ...         return self.State(by.sum(pc.utf8_length(text)))
        ...     def merge(self, state: State, by: Groups) -> State:
        ...         return self.State(by.sum(state.total))
        ...     def finish(self, state: State) -> Int64Column:
        ...         return state.total
    """

    State: ClassVar[Any]
    commutative: ClassVar[bool] = False

    @classmethod
    def interface(cls) -> Interface:
        """What the node takes and gives, from the signatures of `update` and `finish`.

        Raises:
            DefinitionTypeError: A function is missing, or its signature says too little.
        """
        return interfaces.kept(cls, lambda: _interface(cls))

    @of_a_node
    def call(self, *args: Any, by: Any = None, where: Any = None, **inputs: Any) -> Ref:
        """Aggregate over the whole dataset, or over groups.

        Args:
            *args: The input, for a node that has just one.
            by: What is one group: a key, several keys by name, an `ops.group_by`, or `ops.each(ref)` for one
                group per row of an ancestor of exploded rows.
            where: A condition that chooses the rows; a null is no true one.
            **inputs: Refs or constants by the name of the input.

        Returns:
            A ref to the value: one of the whole dataset, or one of each group.

        Raises:
            DefinitionError: The inputs are not what the node takes, or belong to different rows.
        """
        return grouping.aggregate(self, calls.bind_positional(self, args, inputs), by, where)

    def approximation(self) -> str | None:
        """Its error in a few words, for an aggregator whose value is an estimate; the plan shows it.

        Override it where the value is approximate, as in `+-1.6 %`. What is exact has none.
        """
        return None

    def state_type(self, given: Mapping[str, Feature]) -> pa.StructType:
        """The Arrow type of a state, from the features of the inputs."""
        compute = getattr(self, "state_features", None)
        if compute is not None:
            return features.to_arrow(dict(compute(**given)))
        patterns = {
            name: feature_annotations.pattern_of(hint)
            for name, hint in feature_annotations.record_fields(self.State).items()
        }
        declared = self.interface()
        read = Interface(declared.inputs, None, patterns, self.State, row_wise=False, coroutine=False)
        return features.to_arrow(read.infer(given))


PARTS = {
    "State": "class State(NamedTuple): total: Float64Column",
    "update": "def update(self, value: NumberColumn, by: Groups) -> State",
    "merge": "def merge(self, state: State, by: Groups) -> State",
    "finish": "def finish(self, state: State) -> Float64Column",
}
"""What an aggregator consists of, and how it is written."""


def _interface(cls: type[Aggregator]) -> Interface:
    for name, written in PARTS.items():
        if not hasattr(cls, name):
            raise DefinitionTypeError(
                f"{cls.__name__} has no `{name}`", site=CallSite.nearest(), hint=f"write {written}"
            )
    if "by" not in inspect.signature(cls.update).parameters:  # type: ignore[attr-defined]  # checked above
        raise DefinitionTypeError(
            f"{cls.__name__}: `update` takes no groups `by`",
            site=CallSite.nearest(),
            hint=f"its last argument is the groups of the rows: {PARTS['update']}",
        )
    names = interfaces.names_of(cls)
    try:
        # The state is what `update` returns, so its annotation says nothing about the interface.
        taken = interfaces.read_inputs(cls.update, leave_out=("by",), names=names)  # type: ignore[attr-defined]  # checked above
        output, record = interfaces.read_output(cls.finish, names=names)  # type: ignore[attr-defined]  # checked above
    except (TypeError, NameError) as error:
        hint = f"inputs and the value are annotated, as in {PARTS['update']} and {PARTS['finish']}"
        raise DefinitionTypeError(str(error), site=CallSite.nearest(), hint=hint) from error
    if grouping.WHERE in taken:
        raise DefinitionTypeError(
            f"{cls.__name__}: `update` takes an input {grouping.WHERE!r}, by which call() chooses rows",
            site=CallSite.nearest(),
            hint="give it another name",
        )
    return Interface(taken, None, output, record, row_wise=False, coroutine=False)


class AggregatorRuntime:
    """An aggregator that runs.

    Args:
        operation: The aggregator.
        state_type: The Arrow type of its states.
        output_type: The Arrow type of its value.
    """

    def __init__(self, operation: Any, state_type: pa.StructType, output_type: pa.DataType) -> None:
        self.node = operation.runtime_copy(output_type)
        self.state_type = state_type
        self._fields = list(state_type)
        self.output_type = output_type
        self.commutative = operation.commutative

    coroutine = False
    needs_loop = False

    def hook(self, name: str) -> Any:
        """`setup` or `teardown`, where the node has it."""
        return getattr(self.node, name, None)

    def update(self, inputs: Mapping[str, arrays.Value], by: Groups) -> pa.StructArray:
        """One state per group of a batch."""
        columns = {name: arrays.for_kernels(arrays.whole(value, by.rows)) for name, value in inputs.items()}
        return self._states(self.node.update(**columns, by=by), by.n)

    def merge(self, states: pa.StructArray, by: Groups) -> pa.StructArray:
        """One state per group from the states that `by` puts into it, in their order."""
        return self._states(self.node.merge(self._unpack(states), by), by.n)

    def finish(self, states: pa.StructArray) -> pa.Array:
        """The values of states."""
        value = self.node.finish(self._unpack(states))
        with checking_result():
            if isinstance(value, tuple) and hasattr(value, "_asdict"):
                value = arrays.struct_of(value._asdict(), len(states))
            return arrays.conform(_one_array(value), self.output_type)

    def _unpack(self, states: pa.StructArray) -> Any:
        return self.node.State(**{name: states.field(name) for name in self.state_type.names})

    def _states(self, state: Any, groups: int) -> pa.StructArray:
        with checking_result():
            return self._checked_states(state, groups)

    def _checked_states(self, state: Any, groups: int) -> pa.StructArray:
        if not isinstance(state, tuple) or not all(hasattr(state, field.name) for field in self._fields):
            names = ", ".join(self.state_type.names)
            msg = f"returned {type(state).__name__}, where a state of {names} is due"
            raise TypeError(msg)
        columns = [self._column(getattr(state, field.name), field, groups) for field in self._fields]
        return pa.StructArray.from_arrays(columns, fields=self._fields)

    def _column(self, value: Any, field: pa.Field, groups: int) -> pa.Array:
        """One column of what `update` or `merge` returned."""
        column = _one_array(value)
        if not isinstance(column, pa.Array):
            msg = (
                f"state {field.name!r} is of type {type(value).__name__}, where an array of {field.type} "
                "is due with a row for each group, such as by.sum(...) gives"
            )
            raise TypeError(msg)
        if not column.type.equals(field.type):
            try:
                column = arrays.conform(column, field.type)
            except TypeError as error:
                msg = f"state {field.name!r}: {error}"
                raise TypeError(msg) from None
        check_length(column, groups, f"state {field.name!r} has {len(column)} rows for {groups} groups")
        return column


def _one_array(column: Any) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
