"""The second tables of a plan as they are when a job begins: all of its scans and processes read the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from hyped_beam.plan.joins import table_of
from hyped_beam.plan.planner import Plan, ScanStage
from hyped_beam.plan.program import Program


class PinnedTables(NamedTuple):
    """A plan whose lookups read their tables as they were at one moment.

    Attributes:
        plan: The plan.
        tables: The readers of its tables, each once.
    """

    plan: Plan
    tables: tuple[Any, ...]


def pinned_tables(plan: Plan) -> PinnedTables:
    """A plan whose lookups read their tables as they are now, and refuse what is there later instead.

    Raises:
        InputError: A table is missing, or has other columns than it had when the flow was written.
    """
    pinned: list[tuple[Any, Any]] = []  # readers need not be hashable
    found: dict[int, Any] = {}
    for node in plan.graph.nodes.values():
        if table_of(node.operation) is None:
            continue
        table = node.operation.table
        now = next((now for before, now in pinned if before == table), None)
        if now is None:
            now = table.pinned()
            pinned.append((table, now))
        found[node.id] = node.operation.model_copy(update={"table": now})
    if not found:
        return PinnedTables(plan, ())
    nodes = [
        replace(node, operation=found.get(node.id, node.operation)) for node in plan.graph.nodes.values()
    ]
    passes = [
        ScanStage(*(_with(program, found) for program in (one.scan, one.reduce, one.partitions)))
        for one in plan.stages
    ]
    made = replace(plan, graph=plan.graph.with_nodes(nodes), stages=tuple(passes))
    return PinnedTables(made, tuple(now for _, now in pinned))


def _with(program: Program | None, operations: Mapping[int, Any]) -> Any:
    """A program with other operations of some nodes."""
    if program is None:
        return None
    steps = [replace(step, operation=operations.get(step.node, step.operation)) for step in program.steps]
    return replace(program, steps=tuple(steps))
