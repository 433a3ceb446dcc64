"""What must hold of a row of the source for a scan to need it, as far as nodes say so as expressions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import and_, or_
from typing import Any

import pyarrow.compute as pc

from hyped_beam.ir.graph import Edge, Graph, Kind, Node
from hyped_beam.ir.scope import DATASET, SOURCE_ROWS, ScopeKind, lineage
from hyped_beam.nodes.grouping import WHERE


def condition_of(graph: Graph, ends: Sequence[Node]) -> Any:
    """A condition that each row fulfils that some end of a scan needs; None where there is none.

    Args:
        graph: The graph.
        ends: The outputs of the scan, and the aggregators whose states leave it.
    """
    found = []
    for end in ends:
        conditions = _conditions(graph, end)
        if not conditions:
            return None
        found.append(reduce(and_, conditions))
    distinct = {str(condition): condition for condition in found}
    return reduce(or_, distinct.values()) if distinct else None


def _conditions(graph: Graph, end: Node) -> list[Any]:
    """What holds of all rows that an end needs."""
    rows = end.scope if end.input_scope is None else end.input_scope
    conditions = []
    for scope in lineage(graph.scopes, rows):
        if scope.kind is ScopeKind.ROWS and scope.node is not None:
            maker = graph.nodes[scope.node]
            name = maker.operation.condition()
            if name is not None:
                conditions.append(_expression(graph, maker.inputs[name]))
    if end.kind is Kind.AGGREGATE and end.scope == DATASET and WHERE in end.inputs:
        conditions.append(_expression(graph, end.inputs[WHERE]))
    return [condition for condition in conditions if condition is not None]


def _expression(graph: Graph, edge: Edge) -> Any:
    """What an edge carries as an expression over the columns of the source; None where it is none."""
    node = graph.nodes[edge.node]
    if node.kind is Kind.SOURCE:
        return pc.field(*edge.path) if edge.path else None
    if edge.path:
        return None
    if node.kind is Kind.CONST and node.scope == DATASET:
        return pc.scalar(node.operation.scalar)
    if node.kind is not Kind.MAP or node.scope not in (DATASET, SOURCE_ROWS) or not node.operation.repeatable:
        return None
    inputs = {name: _expression(graph, used) for name, used in node.inputs.items()}
    if any(expression is None for expression in inputs.values()):
        return None
    as_expression = getattr(node.operation, "as_expression", None)
    return None if as_expression is None else as_expression(**inputs)
