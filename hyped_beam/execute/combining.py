"""Aggregators on batches: the states that leave a stage, and values that a batch alone decides."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.execute.aggregate_inputs import AggregateInputs, InputSelector
from hyped_beam.execute.batch import Batch, take_value
from hyped_beam.execute.bindings import key_columns
from hyped_beam.execute.failure import RAISED, RowLocation, found_error, node_error, shown_cause
from hyped_beam.execute.timing import Timings, add_timing, node_key
from hyped_beam.ir.scope import DATASET
from hyped_beam.nodes.aggregator import AggregatorRuntime
from hyped_beam.nodes.grouping import WHERE
from hyped_beam.nodes.groups import Groups
from hyped_beam.plan.program import AggregateStep, Combine, Program, Step
from hyped_beam.types import arrays
from hyped_beam.types.arrays import Value
from hyped_beam.types.identity import group_rows, one_zero

KEYS = "keys"
"""The column of a batch of states that holds the keys of groups."""

_IDS = "by"
"""The name under which the numbers of groups go with the inputs of `update`, which has it as a parameter."""


def state_column(number: int) -> str:
    """The column of a batch of states that holds those of one aggregator."""
    return f"state{number}"


class StageUpdate:
    """What makes the states of all combines of a stage from batches.

    Args:
        program: The program of the stage.
    """

    def __init__(self, program: Program) -> None:
        self._combines = [CombineUpdate(combine, program) for combine in program.combines]
        self._coalesced = InputSelector(program, [one for one in program.combines if one.coalesced])
        self._per_batch = InputSelector(program, [one for one in program.combines if not one.coalesced])
        self._lock = threading.Lock()

    def take(self, batch: Batch) -> tuple[AggregateInputs, AggregateInputs]:
        """What those aggregators take of a batch that may take several together, and the others."""
        return self._coalesced.take(batch), self._per_batch.take(batch)

    def states(
        self, taken: AggregateInputs, timings: Timings, *, coalesced: bool
    ) -> list[tuple[int, pa.RecordBatch]]:
        """The states of what was taken, with the number of their combine; may be called from any thread.

        Args:
            taken: What was taken.
            timings: Where it is noted how long each took.
            coalesced: Whether those took it whose batches may be coalesced, or the others.

        Raises:
            NodeError: An aggregator raised.
        """
        with self._lock:
            return [
                (number, update.states(taken, timings))
                for number, update in enumerate(self._combines)
                if update.coalesced is coalesced
            ]


class CombineUpdate:
    """What makes the states of a combine from batches.

    Args:
        combine: The combine.
        program: The program of the stage.
    """

    def __init__(self, combine: Combine, program: Program) -> None:
        self.coalesced = combine.coalesced
        self._combine = combine
        self._program = program
        self._runtimes = [
            AggregatorRuntime(step.operation, step.state_type, step.output_type) for step in combine.steps
        ]

    def states(self, taken: AggregateInputs, timings: Timings) -> pa.RecordBatch:
        """The states of the aggregators, a row for each group of what was taken.

        Args:
            taken: Their inputs.
            timings: Where it is noted how long each took.

        Raises:
            NodeError: An aggregator raised.
        """
        ids, groups, columns = self._groups(taken)
        for number, (step, runtime) in enumerate(zip(self._combine.steps, self._runtimes, strict=True)):
            began = time.perf_counter()
            columns[state_column(number)] = self._states(step, runtime, taken, ids, groups)
            took = time.perf_counter() - began
            add_timing(timings, node_key(step.node), took, taken.counts[step.input_scope])
        return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))

    def _groups(self, taken: AggregateInputs) -> tuple[pa.Array | None, int, dict[str, pa.Array]]:
        """The group of each row, the number of groups, and their keys."""
        grouping = self._combine.grouping
        if grouping is None:
            return None, 1, {}
        held = taken.grouped.get(grouping.scope)
        if held is None:
            rows = taken.counts[grouping.input_scope]
            inputs = {name: taken.values[edge, grouping.input_scope] for name, edge in grouping.keys.items()}
            columns = {name: one_zero(column) for name, column in key_columns(grouping, inputs, rows).items()}
            ids, first = group_rows(columns, rows)
            keys = arrays.struct_of(
                {name: take_value(column, pa.array(first)) for name, column in columns.items()}, len(first)
            )
            held = taken.grouped[grouping.scope] = (pa.array(ids), arrays.conform(keys, grouping.key_type))
        return held[0], len(held[1]), {KEYS: held[1]}

    def _states(
        self,
        step: AggregateStep,
        runtime: AggregatorRuntime,
        taken: AggregateInputs,
        ids: pa.Array | None,
        groups: int,
    ) -> pa.StructArray:
        grouping = self._combine.grouping
        key = (step.input_scope, DATASET if grouping is None else grouping.scope)
        rows = taken.counts[step.input_scope]
        if key not in taken.shared:
            if ids is not None and grouping is not None and step.input_scope != grouping.input_scope:
                ids = pc.take(ids, taken.owners[step.input_scope, grouping.input_scope])
            taken.shared[key] = Groups(groups, ids, rows)
        inputs = {name: taken.values[edge, step.input_scope] for name, edge in step.inputs.items()}
        place = functools.partial(RowLocation, step, taken, self._program)
        return _updated(step, runtime, inputs, rows, taken.shared[key], place)


def aggregate_in_place(
    step: Step, runtime: AggregatorRuntime, inputs: Mapping[str, Value], batch: Batch, program: Program
) -> None:
    """Aggregate rows that a batch holds all of, and put the values into it.

    Raises:
        NodeError: The aggregator raised.
    """
    key = (step.input_scope, step.scope)
    if key not in batch.shared:
        ids = None if step.scope == DATASET else batch.map_to(program.scopes, step.input_scope, step.scope)
        batch.shared[key] = Groups(batch.rows_of(step.scope), ids, batch.rows_of(step.input_scope))
    place = functools.partial(RowLocation, step, batch, program)
    states = _updated(step, runtime, inputs, batch.rows_of(step.input_scope), batch.shared[key], place)
    try:
        batch.values[step.node] = runtime.finish(states)
    except RAISED as error:
        raise node_error(error, step, {}, None, None) from shown_cause(error, step)


def step_inputs(step: Step | AggregateStep, batch: Batch, program: Program) -> dict[str, Value]:
    """The inputs of a step, for the rows that it runs on."""
    indexed = getattr(step.operation, "takes_indexed", ())
    return {
        name: batch.resolve(
            edge, program.scope_of[edge.node], step.input_scope, program.scopes, repeat=name not in indexed
        )
        for name, edge in step.inputs.items()
    }


def _updated(
    step: Step | AggregateStep,
    runtime: AggregatorRuntime,
    inputs: Mapping[str, Value],
    rows: int,
    by: Groups,
    place: Callable[[pa.Array | None], RowLocation],
) -> pa.StructArray:
    """The states of the groups; aggregators of the same rows share what their groups have worked out."""
    given: dict[str, Any] = dict(inputs)
    if by.n != 1:
        given[_IDS] = by.ids
    chosen = None
    if WHERE in given:
        where = arrays.whole(given.pop(WHERE), rows)
        is_true = pc.fill_null(where.cast(pa.bool_()), pa.scalar(value=False))
        chosen = pa.array(np.flatnonzero(is_true.to_numpy(zero_copy_only=False)))
        given = {name: take_value(value, chosen) for name, value in given.items()}
        rows = len(chosen)

    def update(some: Mapping[str, Value], count: int) -> pa.StructArray:
        columns = dict(some)
        numbers = columns.pop(_IDS, None)
        if some is given and chosen is None:
            return runtime.update(columns, by)
        return runtime.update(columns, Groups(by.n, numbers, count))

    try:
        return update(given, rows)
    except RAISED as error:
        raise found_error(error, update, step, given, rows, place(chosen)) from shown_cause(error, step)
