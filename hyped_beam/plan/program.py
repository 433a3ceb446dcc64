"""Stage programs: a piece of the graph as steps that run on one batch, free of features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from hyped_beam.errors import CallSite
from hyped_beam.ir.graph import Edge, Kind
from hyped_beam.ir.scope import BASE_SCOPES, SOURCE_ROWS, Scope


@dataclass(frozen=True)
class Step:
    """One node of a stage.

    Attributes:
        node: Its number in the graph.
        name: What to call it.
        operation: The processor, augmentor or aggregator.
        inputs: Its inputs by name.
        output_type: The Arrow type of its output.
        site: The line of the user's code that made it.
        options: How it runs.
        release: The values that no later step needs.
        kind: MAP, ROWS, or an AGGREGATE or KEYS that is computed from the batch alone.
        scope: The rows of its output.
        input_scope: The rows that it runs on: those of its output, or those that it puts together or makes
            rows of.
        state_type: Of an AGGREGATE the Arrow type of its states.
    """

    node: int
    name: str
    operation: Any
    inputs: Mapping[str, Edge]
    output_type: pa.DataType
    site: CallSite | None
    options: Any
    release: tuple[int, ...] = ()
    kind: Kind = Kind.MAP
    scope: int = SOURCE_ROWS
    input_scope: int = SOURCE_ROWS
    state_type: pa.StructType | None = None


@dataclass(frozen=True)
class AggregateStep:
    """One aggregator of a stage, whose states leave it.

    Attributes:
        node: Its number in the graph.
        name: What to call it.
        operation: The aggregator.
        inputs: Its inputs by name; the condition that chooses rows is among them.
        state_type: The Arrow type of its states.
        output_type: The Arrow type of its value.
        site: The line of the user's code that made it.
        input_scope: The rows that it puts together.
    """

    node: int
    name: str
    operation: Any
    inputs: Mapping[str, Edge]
    state_type: pa.StructType
    output_type: pa.DataType
    site: CallSite | None
    input_scope: int = SOURCE_ROWS


@dataclass(frozen=True)
class Grouping:
    """The groups of a stage's rows.

    Attributes:
        scope: The scope of the groups.
        node: The KEYS node.
        input_scope: The rows that belong to them.
        keys: The keys by name, values of these rows.
        key_type: The Arrow type of the struct of the keys.
        is_resolved: Whether the groups are bound before the stage runs: their values can be used at its rows.
        shuffled: Whether their states go to partitions of the keys, and are not put together in one place.
    """

    scope: int
    node: int
    input_scope: int
    keys: Mapping[str, Edge]
    key_type: pa.StructType
    is_resolved: bool = False
    shuffled: bool = False


@dataclass(frozen=True)
class Combine:
    """Aggregators of one scope whose states leave a stage together, a row for each group.

    Attributes:
        grouping: What the groups are; None for the whole dataset.
        steps: The aggregators; none where only the keys are needed.
        commutative: Whether states may be merged in any order.
        coalesced: Whether rows of neighbouring batches are put together before they are aggregated.
    """

    grouping: Grouping | None
    steps: tuple[AggregateStep, ...]
    commutative: bool
    coalesced: bool = False

    @property
    def shuffled(self) -> bool:
        """Whether its states go to partitions of the keys."""
        return self.grouping is not None and self.grouping.shuffled


@dataclass(frozen=True)
class Output:
    """Rows that leave a stage.

    Attributes:
        name: The name of the output.
        edge: The struct whose fields are the columns.
        schema: The columns, with their Hugging Face features as metadata.
        scope: Which rows.
    """

    name: str
    edge: Edge
    schema: pa.Schema
    scope: int = SOURCE_ROWS


@dataclass(frozen=True)
class Program:
    """What a stage computes on one batch.

    Attributes:
        takes: The nodes whose values it is given with each batch.
        columns: The columns of the source that it reads; empty for a stage without a source.
        constants: The values that are the same everywhere, or a value for each group of a fitted flow.
        steps: The steps, each behind its inputs.
        outputs: The rows that leave it.
        combines: The aggregators whose states leave it.
        groupings: The groups of its rows that are used or combined.
        prior: The nodes whose values earlier stages have made known, the same for all batches.
        by_range: The nodes of which each range is given the values of its own groups, and their types.
        gives: The nodes whose values later stages need.
        materialized: The nodes that may run only once, and whose values later scans need, batch by batch.
        restored: The nodes whose values an earlier scan has materialized.
        scopes: The scopes of the flow.
        scope_of: The scope of each value.
        base: The scope of the rows of a batch.
        condition: What holds of all rows of the source that it needs, a `pyarrow.compute.Expression`; others
            may be left out when the source is read. None where all may be needed.
        run: The run of a job with which its nodes share their limits, by name; empty for limits of its own.
    """

    takes: tuple[int, ...]
    columns: tuple[str, ...] = ()
    constants: Mapping[int, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    outputs: tuple[Output, ...] = ()
    combines: tuple[Combine, ...] = ()
    groupings: tuple[Grouping, ...] = ()
    prior: tuple[int, ...] = ()
    by_range: Mapping[int, pa.DataType] = field(default_factory=dict)
    gives: tuple[int, ...] = ()
    materialized: tuple[int, ...] = ()
    restored: tuple[int, ...] = ()
    scopes: tuple[Scope, ...] = BASE_SCOPES
    scope_of: Mapping[int, int] = field(default_factory=dict)
    base: int = SOURCE_ROWS
    condition: Any = None
    run: str = ""

    @property
    def aggregates(self) -> tuple[AggregateStep, ...]:
        """The aggregators whose states leave it, of all combines."""
        return tuple(step for combine in self.combines for step in combine.steps)

    @property
    def gathered(self) -> tuple[Combine, ...]:
        """The combines whose states are put together in one place."""
        return tuple(combine for combine in self.combines if not combine.shuffled)

    @property
    def shuffled(self) -> tuple[Combine, ...]:
        """The combines whose states go to partitions of the keys."""
        return tuple(combine for combine in self.combines if combine.shuffled)

    def sharing_limits(self, run: str) -> Program:
        """The same program, whose nodes share their limits with all that is done for the same run.

        Args:
            run: A name for the run, which no other has.
        """
        return replace(self, run=run)

    def with_batch_size(self, batch_size: int | None) -> Program:
        """The same program, with a bound on the rows that its nodes are given at once.

        Nodes with a bound of their own keep it.
        """
        if batch_size is None:
            return self
        steps = (
            step
            if step.options is None or step.options.batch_size is not None
            else replace(step, options=step.options.model_copy(update={"batch_size": batch_size}))
            for step in self.steps
        )
        return replace(self, steps=tuple(steps))
