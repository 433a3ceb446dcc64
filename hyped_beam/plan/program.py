"""Stage programs: a piece of the graph as steps that run on one batch, free of features and scopes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from hyped_beam.errors import CallSite
from hyped_beam.ir.graph import Edge


@dataclass(frozen=True)
class Step:
    """One node of a stage.

    Attributes:
        node: Its number in the graph.
        name: What to call it.
        operation: The processor.
        inputs: Its inputs by name.
        output_type: The Arrow type of its output.
        site: The line of the user's code that made it.
        options: How it runs.
        release: The values that no later step needs.
    """

    node: int
    name: str
    operation: Any
    inputs: Mapping[str, Edge]
    output_type: pa.DataType
    site: CallSite | None
    options: Any
    release: tuple[int, ...] = ()


@dataclass(frozen=True)
class AggregateStep:
    """One aggregator of a stage, whose states leave it.

    Attributes:
        node: Its number in the graph.
        name: What to call it.
        operation: The aggregator.
        inputs: Its inputs by name.
        state_type: The Arrow type of its states.
        output_type: The Arrow type of its value.
        site: The line of the user's code that made it.
    """

    node: int
    name: str
    operation: Any
    inputs: Mapping[str, Edge]
    state_type: pa.StructType
    output_type: pa.DataType
    site: CallSite | None


@dataclass(frozen=True)
class Output:
    """Rows that leave a stage.

    Attributes:
        name: The name of the output.
        edge: The struct whose fields are the columns.
        schema: The columns, with their Hugging Face features as metadata.
    """

    name: str
    edge: Edge
    schema: pa.Schema


@dataclass(frozen=True)
class Program:
    """What a stage computes on one batch.

    Attributes:
        takes: The nodes whose values it is given.
        columns: The columns of the source that it reads; empty for a stage without a source.
        constants: The values that are the same everywhere.
        steps: The steps, each behind its inputs.
        outputs: The rows that leave it.
        aggregates: The aggregators whose states leave it.
    """

    takes: tuple[int, ...]
    columns: tuple[str, ...] = ()
    constants: Mapping[int, pa.Scalar] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    outputs: tuple[Output, ...] = ()
    aggregates: tuple[AggregateStep, ...] = ()

    def shared_by(self, processes: int) -> Program:
        """The same program for each of several processes, which share the limits of its nodes evenly."""
        if processes == 1:
            return self

        def shared(step: Step) -> Step:
            limits = step.options.limits.shared_by(processes)
            return replace(step, options=step.options.model_copy(update={"limits": limits}))

        return replace(self, steps=tuple(shared(step) for step in self.steps))

    def with_batch_size(self, batch_size: int | None) -> Program:
        """The same program, with a bound on the rows that its nodes are given at once.

        Nodes with a bound of their own keep it.
        """
        if batch_size is None:
            return self
        steps = (
            step
            if step.options.batch_size is not None
            else replace(step, options=step.options.model_copy(update={"batch_size": batch_size}))
            for step in self.steps
        )
        return replace(self, steps=tuple(steps))
