"""From the nodes of a stage to the program that runs them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hyped_beam.ir.graph import Graph, Kind, Node
from hyped_beam.ir.scope import DATASET, SOURCE_ROWS
from hyped_beam.nodes.grouping import WHERE
from hyped_beam.plan.batches import keys_of_several_batches, takes_several_batches
from hyped_beam.plan.conditions import condition_of
from hyped_beam.plan.levels import Levels
from hyped_beam.plan.program import AggregateStep, Combine, Grouping, Output, Program, Step
from hyped_beam.types import features


@dataclass(frozen=True)
class Stage:
    """The nodes of a stage.

    Attributes:
        base: The scope of the rows of its batches.
        takes: Those whose values come with each batch.
        steps: Those that run, in order.
        combined: Those whose states leave it, and the keys that they go by.
        outputs: The sinks of rows that leave it.
        prior: Those whose values earlier stages have made known.
        by_range: Those of which each range is given the values of its own groups.
        shuffled: The scopes of groups whose states go to partitions of the keys.
        gives: Those whose values later stages need.
        materialized: Those that may run only once, and whose values later scans need, batch by batch.
        restored: Those whose values an earlier scan has materialized.
    """

    base: int
    takes: Sequence[Node]
    steps: Sequence[Node]
    combined: Sequence[Node] = ()
    outputs: Sequence[Node] = ()
    prior: Sequence[Node] = ()
    by_range: Sequence[Node] = ()
    shuffled: Collection[int] = ()
    gives: Sequence[Node] = ()
    materialized: Sequence[Node] = ()
    restored: Sequence[Node] = ()


def make_program(levels: Levels, stage: Stage) -> Program:
    """The program of a stage."""
    graph = levels.graph
    steps = _steps(levels, stage)
    groupings = _groupings(levels, stage)
    used = {
        edge.node for node in (*stage.steps, *stage.combined, *stage.outputs) for edge in node.inputs.values()
    }
    used |= {grouping.node for grouping in groupings}
    values = used | {
        node.id
        for node in (
            *stage.takes,
            *stage.steps,
            *stage.prior,
            *stage.by_range,
            *stage.gives,
            *stage.restored,
        )
    }
    return Program(
        takes=tuple(node.id for node in stage.takes),
        columns=_columns(graph, stage) if stage.base == SOURCE_ROWS else (),
        constants=_constants(graph, values),
        steps=steps,
        outputs=tuple(_output(graph, node) for node in stage.outputs),
        combines=_combines(graph, stage, groupings),
        groupings=groupings,
        prior=tuple(node.id for node in stage.prior),
        by_range={node.id: features.to_arrow(node.feature) for node in stage.by_range},
        gives=tuple(node.id for node in stage.gives),
        materialized=tuple(node.id for node in stage.materialized),
        restored=tuple(node.id for node in stage.restored),
        scopes=graph.scopes,
        scope_of={
            number: _scope_in(levels, stage, graph.nodes[number])
            for number in graph.nodes
            if number in values
        },
        base=stage.base,
        condition=_condition(graph, stage),
    )


def _columns(graph: Graph, stage: Stage) -> tuple[str, ...]:
    """The columns of the source that the stage needs."""
    source = graph.source
    edges = [
        edge for node in (*stage.steps, *stage.combined, *stage.outputs) for edge in node.inputs.values()
    ]
    paths = [edge.path for edge in edges if edge.node == source.id]
    if any(not path for path in paths):
        return tuple(source.operation.columns)
    named = {path[0] for path in paths}
    return tuple(name for name in source.operation.columns if name in named)


def _condition(graph: Graph, stage: Stage) -> Any:
    """What rows that the stage needs have in common; rows that are counted are all needed."""
    counted = any(getattr(node.operation, "tells_rows_apart", False) for node in stage.steps)
    if stage.base != SOURCE_ROWS or counted or stage.materialized or stage.restored:
        return None
    return condition_of(graph, [*stage.outputs, *stage.combined])


def _scope_in(levels: Levels, stage: Stage, node: Node) -> int:
    """The scope of a value; what depends on constants alone is computed for the rows of the batch."""
    return stage.base if node.id in levels.fixed else node.scope


def _steps(levels: Levels, stage: Stage) -> tuple[Step, ...]:
    graph = levels.graph
    last_use = {edge.node: at for at, node in enumerate(stage.steps) for edge in node.inputs.values()}
    kept = {edge.node for node in (*stage.outputs, *stage.combined) for edge in node.inputs.values()}
    kept |= {node.id for node in (*stage.gives, *stage.prior, *stage.by_range, *stage.materialized)}
    released: dict[int, list[int]] = {}
    for number, position in last_use.items():
        if number not in kept:
            released.setdefault(position, []).append(number)
    return tuple(
        Step(
            node=node.id,
            name=node.name,
            operation=node.operation,
            inputs=node.inputs,
            output_type=features.to_arrow(node.feature),
            site=node.site,
            options=node.options,
            release=tuple(released.get(position, ())),
            kind=node.kind,
            scope=_scope_in(levels, stage, node),
            input_scope=_rows_of(levels, stage, node),
            state_type=_state_type(graph, node) if node.kind is Kind.AGGREGATE else None,
        )
        for position, node in enumerate(stage.steps)
    )


def _rows_of(levels: Levels, stage: Stage, node: Node) -> int:
    """The rows that a step runs on."""
    if node.input_scope is not None:
        return node.input_scope
    if node.kind is Kind.ROWS:
        (parent,) = levels.graph.scopes[node.scope].parents
        return parent
    return _scope_in(levels, stage, node)


def _groupings(levels: Levels, stage: Stage) -> tuple[Grouping, ...]:
    looked_up = {node.id for node in stage.steps if node.kind is Kind.KEYS and levels.is_reduced(node)}
    keys = {node.id: node for node in (*stage.combined, *stage.steps) if node.kind is Kind.KEYS}
    return tuple(
        Grouping(
            scope=node.scope,
            node=node.id,
            input_scope=node.input_scope if node.input_scope is not None else DATASET,
            keys=node.inputs,
            key_type=features.to_arrow(node.feature),
            is_resolved=node.id in looked_up,
            shuffled=node.scope in stage.shuffled,
        )
        for node in keys.values()
    )


def _combines(graph: Graph, stage: Stage, groupings: Sequence[Grouping]) -> tuple[Combine, ...]:
    """The aggregators by scope, and by how their states are merged and made."""
    found: list[Combine] = []
    aggregates = [node for node in stage.combined if node.kind is Kind.AGGREGATE]
    scopes = dict.fromkeys(node.scope for node in stage.combined)
    for scope in scopes:
        grouping = next((one for one in groupings if one.scope == scope), None)
        of_scope = [node for node in aggregates if node.scope == scope]
        kinds: dict[tuple[bool, bool], list[AggregateStep]] = {}
        for node in of_scope:
            kind = node.operation.commutative, takes_several_batches(graph, node, grouping)
            kinds.setdefault(kind, []).append(_aggregate_step(graph, node))
        if not of_scope:  # keys alone, of groups that nothing is aggregated over
            kinds[True, grouping is not None and keys_of_several_batches(graph, grouping)] = []
        found += [Combine(grouping, tuple(kinds[kind]), *kind) for kind in sorted(kinds)]
    return tuple(found)


def _aggregate_step(graph: Graph, node: Node) -> AggregateStep:
    return AggregateStep(
        node=node.id,
        name=node.name,
        operation=node.operation,
        inputs=node.inputs,
        state_type=_state_type(graph, node),
        output_type=features.to_arrow(node.feature),
        site=node.site,
        input_scope=node.input_scope if node.input_scope is not None else SOURCE_ROWS,
    )


def _state_type(graph: Graph, node: Node) -> Any:
    given = {name: graph.feature(edge) for name, edge in node.inputs.items() if name != WHERE}
    return node.operation.state_type(given)


def _constants(graph: Graph, used: Iterable[int]) -> dict[int, Any]:
    """Values that are there before anything runs: scalars, and arrays of a value for each known group."""
    found: dict[int, Any] = {}
    for number in sorted(used):
        node = graph.nodes[number]
        if node.kind is Kind.KEYS and node.operation.known is not None:
            found[number] = node.operation.known
        elif node.kind is Kind.CONST:
            operation = node.operation
            found[number] = operation.scalar if node.scope == DATASET else operation.values
    return found


def _output(graph: Graph, node: Node) -> Output:
    (edge,) = node.inputs.values()
    schema = features.arrow_schema(features.fields(graph.feature(edge)))
    return Output(node.operation.name, edge, schema, node.scope)
