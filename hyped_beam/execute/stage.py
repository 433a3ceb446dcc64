"""The stage executor: runs a stage program on batches, steps in order, columns shared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from hyped_beam.execute.failure import find_row, node_error, slice_inputs
from hyped_beam.ir.graph import Edge
from hyped_beam.nodes.aggregator import AggregatorRuntime
from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.runtime import ProcessorRuntime, RowError
from hyped_beam.plan.program import AggregateStep, Output, Program, Step
from hyped_beam.types import arrays
from hyped_beam.types.arrays import Value


@dataclass
class Batch:
    """One batch on its way through a stage.

    Attributes:
        values: What its nodes have computed so far, by the node's number.
        rows: The number of rows.
        first_row: The number of its first row in the source; None where that is not known.
    """

    values: dict[int, Value]
    rows: int
    first_row: int | None = None


@dataclass
class BatchResult:
    """What a stage made of one batch.

    Attributes:
        outputs: Rows by the name of the output.
        states: One state per aggregator, in the order of the program.
    """

    outputs: dict[str, pa.RecordBatch]
    states: list[pa.StructArray]


class StageRunner:
    """A stage program that runs; use it as a context manager, so that `setup` and `teardown` run.

    Args:
        program: The program.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.steps = [(step, ProcessorRuntime(step.operation, step.output_type)) for step in program.steps]
        self.aggregators = [
            AggregatorRuntime(step.operation, step.state_type, step.output_type) for step in program.aggregates
        ]

    def source_batch(self, batch: pa.RecordBatch, first_row: int | None = None) -> Batch:
        """A batch of the source as the program takes it."""
        columns = {name: batch.column(name) for name in self.program.columns}
        return Batch({self.program.takes[0]: columns}, batch.num_rows, first_row)

    def run(self, batch: Batch) -> BatchResult:
        """Run the program on one batch.

        Raises:
            NodeError: A node raised.
        """
        batch.values.update(self.program.constants)
        for step, runtime in self.steps:
            inputs = {name: resolve(batch, edge) for name, edge in step.inputs.items()}
            batch.values[step.node] = run_step(step, runtime, inputs, batch)
            for number in step.release:
                batch.values.pop(number, None)
        return self.result(batch)

    def result(self, batch: Batch) -> BatchResult:
        """What leaves the stage, once all steps have run."""
        outputs = {output.name: output_batch(output, batch) for output in self.program.outputs}
        states = [
            self._state(step, runtime, batch)
            for step, runtime in zip(self.program.aggregates, self.aggregators, strict=True)
        ]
        return BatchResult(outputs, states)

    def _state(self, step: AggregateStep, runtime: AggregatorRuntime, batch: Batch) -> pa.StructArray:
        inputs = {name: resolve(batch, edge) for name, edge in step.inputs.items()}
        try:
            return runtime.update(inputs, Groups.whole(batch.rows))
        except Exception as error:
            raise node_error(error, step, inputs, None, batch.first_row) from error


def resolve(batch: Batch, edge: Edge) -> Value:
    """What an edge carries for a batch."""
    return arrays.at_path(batch.values[edge.node], edge.path)


def output_batch(output: Output, batch: Batch) -> pa.RecordBatch:
    """The rows of an output."""
    columns = arrays.columns_of(resolve(batch, output.edge), batch.rows)
    conformed = [arrays.conform(columns[field.name], field.type) for field in output.schema]
    if not conformed:
        return pa.RecordBatch.from_struct_array(arrays.struct_of({}, batch.rows))
    return pa.RecordBatch.from_arrays(conformed, schema=output.schema)


def run_step(step: Step, runtime: ProcessorRuntime, inputs: Mapping[str, Value], batch: Batch) -> Value:
    """The output of a step that is no coroutine.

    Raises:
        NodeError: The node raised.
    """
    size = step.options.batch_size or batch.rows
    if size >= batch.rows:
        return _run_slice(step, runtime, inputs, batch.rows, batch.first_row)
    parts = [
        _run_slice(
            step,
            runtime,
            slice_inputs(inputs, start, min(size, batch.rows - start)),
            min(size, batch.rows - start),
            None if batch.first_row is None else batch.first_row + start,
        )
        for start in range(0, batch.rows, size)
    ]
    return concat_values(parts)


def _run_slice(
    step: Step, runtime: ProcessorRuntime, inputs: Mapping[str, Value], rows: int, first_row: int | None
) -> Value:
    try:
        return runtime.run(inputs, rows)
    except RowError as error:
        raise node_error(error, step, inputs, error.row, first_row) from error.__cause__
    except Exception as error:
        row = find_row(runtime.run, inputs, rows) if step.operation.repeatable else None
        raise node_error(error, step, inputs, row, first_row) from error


def concat_values(parts: list[Any]) -> Value:
    """Values of consecutive rows as one."""
    if isinstance(parts[0], Mapping):
        return {name: concat_values([part[name] for part in parts]) for name in parts[0]}
    return pa.concat_arrays(parts)


def in_order(runner: StageRunner, batches: Iterable[Batch]) -> Iterator[BatchResult]:
    """The results of batches, in their order."""
    for batch in batches:
        yield runner.run(batch)
