"""The planner: cuts a graph into a scan, a packed combine, and what is computed from its result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from hyped_beam.errors import DefinitionError
from hyped_beam.ir.graph import Graph, Kind, Node
from hyped_beam.ir.scope import DATASET
from hyped_beam.plan.program import AggregateStep, Output, Program, Step
from hyped_beam.types import features


@dataclass(frozen=True)
class Plan:
    """How a graph is executed.

    Attributes:
        graph: The graph that it was made from, after all passes.
        scan: The stage that runs on batches of the source.
        finish: The stage that runs once, on the values of the aggregates; None where there are none.
    """

    graph: Graph
    scan: Program
    finish: Program | None


def make_plan(graph: Graph) -> Plan:
    """The plan of a graph.

    Raises:
        DefinitionError: Rows use an aggregate, which takes a scan of its own.
    """
    fixed = _from_constants(graph)
    _refuse_aggregates_in_rows(graph, fixed)
    rows = [node for node in graph.nodes.values() if node.scope != DATASET or node.id in fixed]
    dataset = [node for node in graph.nodes.values() if node.scope == DATASET and node.kind is not Kind.CONST]
    aggregates = [node for node in dataset if node.kind is Kind.AGGREGATE]
    source = graph.source
    scan = Program(
        takes=(source.id,),
        columns=source.operation.columns,
        constants=_constants(graph, [*rows, *aggregates]),
        steps=_steps(
            rows, keep=_kept(rows) | {edge.node for node in aggregates for edge in node.inputs.values()}
        ),
        outputs=_outputs(graph, rows),
        aggregates=tuple(_aggregate_step(graph, node) for node in aggregates),
    )
    if all(node.id in fixed for node in dataset):
        return Plan(graph, scan, None)
    finish = Program(
        takes=tuple(node.id for node in aggregates),
        constants=_constants(graph, [node for node in dataset if node.kind is not Kind.AGGREGATE]),
        steps=_steps(dataset, keep=_kept(dataset)),
        outputs=_outputs(graph, dataset),
    )
    return Plan(graph, scan, finish)


def _from_constants(graph: Graph) -> set[int]:
    """The nodes that depend on constants alone and were not folded; every stage that uses one runs it."""
    fixed: set[int] = set()
    for node in graph.nodes.values():
        if node.kind is Kind.MAP and all(
            edge.node in fixed or graph.nodes[edge.node].kind is Kind.CONST for edge in node.inputs.values()
        ):
            fixed.add(node.id)
    return fixed


def _refuse_aggregates_in_rows(graph: Graph, fixed: set[int]) -> None:
    for node in graph.nodes.values():
        if node.scope == DATASET:
            continue
        for name, edge in node.inputs.items():
            used = graph.nodes[edge.node]
            if used.scope == DATASET and used.kind is not Kind.CONST and used.id not in fixed:
                raise DefinitionError(
                    f"{node.name}: {name!r} is a value of the whole dataset, used at its rows",
                    site=node.site,
                    hint="take it from `aggregates` and give it as a constant",
                )


def _kept(nodes: Iterable[Node]) -> set[int]:
    """The values that outputs need, which no step may release."""
    return {edge.node for node in nodes if node.kind is Kind.SINK for edge in node.inputs.values()}


def _constants(graph: Graph, users: Iterable[Node]) -> dict[int, pa.Scalar]:
    used = {edge.node for node in users for edge in node.inputs.values()}
    return {
        number: node.operation.scalar
        for number, node in graph.nodes.items()
        if number in used and node.kind is Kind.CONST
    }


def _steps(nodes: Iterable[Node], keep: set[int]) -> tuple[Step, ...]:
    mapped = [node for node in nodes if node.kind is Kind.MAP]
    last_use: dict[int, int] = {}
    for position, node in enumerate(mapped):
        for edge in node.inputs.values():
            last_use[edge.node] = position
    released: dict[int, list[int]] = {}
    for number, position in last_use.items():
        if number not in keep:
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
        )
        for position, node in enumerate(mapped)
    )


def _outputs(graph: Graph, nodes: Iterable[Node]) -> tuple[Output, ...]:
    return tuple(
        Output(node.operation.name, edge, features.arrow_schema(features.fields(graph.feature(edge))))
        for node in nodes
        if node.kind is Kind.SINK
        for edge in node.inputs.values()
    )


def _aggregate_step(graph: Graph, node: Node) -> AggregateStep:
    given = {name: graph.feature(edge) for name, edge in node.inputs.items()}
    return AggregateStep(
        node=node.id,
        name=node.name,
        operation=node.operation,
        inputs=node.inputs,
        state_type=node.operation.state_type(given),
        output_type=features.to_arrow(node.feature),
        site=node.site,
    )
