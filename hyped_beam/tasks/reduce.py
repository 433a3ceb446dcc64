"""What is computed once, after a scan, from the states that its aggregators have left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from hyped_beam.execute.batch import Batch, take_value
from hyped_beam.execute.bindings import PriorResults
from hyped_beam.execute.stage import StageRunner
from hyped_beam.execute.states import StateMerger
from hyped_beam.ir.graph import Kind
from hyped_beam.ir.scope import DATASET, domain_of
from hyped_beam.plan.program import Combine, Program
from hyped_beam.types import arrays
from hyped_beam.types.arrays import Value


@dataclass(frozen=True)
class Reduced:
    """What has come of the states of a scan.

    Attributes:
        outputs: Rows by the name of the output: one for the whole dataset, or those of groups in their order.
        prior: What later stages need.
        groups: By the name of an output of groups the number of the group that each of its rows belongs to.
    """

    outputs: dict[str, pa.RecordBatch]
    prior: PriorResults
    groups: dict[str, pa.Array]


def reduce_states(
    combines: Sequence[Combine], program: Program, states: Sequence[pa.RecordBatch], prior: PriorResults
) -> Reduced:
    """Compute what comes of the states that a scan has left.

    Args:
        combines: The combines of the scan.
        program: What is computed from their values.
        states: The states of each combine, merged.
        prior: What earlier stages have made known.

    Raises:
        NodeError: An aggregator, or a node behind it, raised.
    """
    with StageRunner(program, prior) as runner:
        return reduce_with(runner, combines, states)


def reduce_with(
    runner: StageRunner, combines: Sequence[Combine], states: Sequence[pa.RecordBatch]
) -> Reduced:
    """Compute what comes of states by a program that runs; see `reduce_states`.

    Args:
        runner: What runs the program.
        combines: The combines of the scan.
        states: The states of each combine, merged.
    """
    values: dict[int, Value] = {}
    counts: dict[int, int] = {}
    for combine, merged in zip(combines, states, strict=True):
        keys, found = StateMerger(combine).finish(merged)
        values.update(found)
        if combine.grouping is not None and keys is not None:
            values[combine.grouping.node] = arrays.columns_of(keys, len(keys))
            counts[combine.grouping.scope] = len(keys)
    batch = Batch(values, 1, base=DATASET, counts=counts)
    for scope, count in counts.items():
        batch.maps[scope, DATASET] = pa.array(np.zeros(count, np.int64))
    outputs = runner.run(batch).outputs
    groups: dict[str, pa.Array] = {}
    for output in runner.program.outputs:
        domain = domain_of(runner.program.scopes, output.scope)
        if domain != DATASET:
            of_groups = batch.map_to(runner.program.scopes, output.scope, domain)
            outputs[output.name], groups[output.name] = _in_order(outputs[output.name], of_groups)
    return Reduced(outputs, _given(runner.program, batch), groups)


def _in_order(rows: pa.RecordBatch, of_groups: pa.Array) -> tuple[pa.RecordBatch, pa.Array]:
    """Rows that are groups, or are made of them, in the order of the groups, and the group of each."""
    groups = of_groups.to_numpy()
    if np.all(groups[1:] >= groups[:-1]):
        return rows, pa.array(groups)
    order = np.argsort(groups, kind="stable")
    columns = [take_value(column, pa.array(order)) for column in rows.columns]
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema), pa.array(groups[order])


def _given(program: Program, batch: Batch) -> PriorResults:
    values = {
        number: arrays.whole(batch.values[number], batch.rows_of(program.scope_of[number]))
        for number in program.gives
    }
    maps = {
        (step.input_scope, step.scope): batch.maps[step.input_scope, step.scope]
        for step in program.steps
        if step.kind is Kind.KEYS
    }
    return PriorResults(values, maps)
