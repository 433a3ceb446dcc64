"""Which aggregators are given the rows of several scan batches at once.

That is decided for each by itself, so that its value is the same bits whatever else is asked for. Those whose
inputs may be large are given one batch after the other.
"""

from __future__ import annotations

from hyped_beam.ir.graph import Graph, Node
from hyped_beam.ir.scope import SOURCE_ROWS, ScopeKind
from hyped_beam.plan.program import Grouping
from hyped_beam.types import features
from hyped_beam.types.features import Feature
from hyped_beam.types.widths import is_fixed_width, is_text


def takes_several_batches(graph: Graph, node: Node, grouping: Grouping | None) -> bool:
    """Whether an aggregator is given the rows of several batches at once."""
    rows = SOURCE_ROWS if node.input_scope is None else node.input_scope
    narrow = all(_is_narrow(graph.feature(edge)) for edge in node.inputs.values())
    return (
        narrow
        and never_expands(graph, rows)
        and (grouping is None or keys_of_several_batches(graph, grouping))
    )


def keys_of_several_batches(graph: Graph, grouping: Grouping) -> bool:
    """Whether groups are found for the rows of several batches at once."""
    keys = [graph.feature(edge) for edge in grouping.keys.values()]
    return never_expands(graph, grouping.input_scope) and all(
        _is_narrow(key) or is_text(features.to_arrow(key)) for key in keys
    )


def _is_narrow(feature: Feature) -> bool:
    return is_fixed_width(features.to_arrow(feature))


def never_expands(graph: Graph, rows: int) -> bool:
    """Whether there are no more rows of a scope than of the source."""
    scope = graph.scopes[rows]
    if scope.kind is not ScopeKind.ROWS:
        return rows == SOURCE_ROWS
    if scope.node is None or graph.nodes[scope.node].operation.expands:
        return False
    return all(never_expands(graph, parent) for parent in scope.parents)
