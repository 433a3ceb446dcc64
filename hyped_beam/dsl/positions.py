"""Rows that are compared with others by their position: what one dataset says of it is of no other."""

from __future__ import annotations

from hyped_beam.errors import CallSite, DefinitionError
from hyped_beam.ir.graph import Graph, Kind, Node
from hyped_beam.plan.planner import Plan

_VALUES = (Kind.MAP, Kind.AGGREGATE)


def refuse_positions(plan: Plan, what: str, hint: str) -> None:
    """Raise for a plan whose rows need positions of rows that are not at hand, or of other data.

    Args:
        plan: The plan.
        what: What was called, and why it cannot know them.
        hint: What to do instead.

    Raises:
        DefinitionError: Its rows are made by `ops.distinct`.
    """
    nodes = plan.graph.nodes
    for number in (*plan.scan.prior, *plan.scan.by_range):
        if _is_position(plan.graph, nodes[number]):
            raise DefinitionError(
                f"ops.distinct() ({nodes[number].site}) looks at all rows of the data that it is applied to, "
                f"and {what}",
                site=CallSite.nearest(),
                hint=hint,
            )


def _is_position(graph: Graph, node: Node) -> bool:
    """Whether the values of a node are made of numbers that tell rows apart."""
    waiting, seen = [node], {node.id}
    while waiting:
        one = waiting.pop()
        if getattr(one.operation, "tells_rows_apart", False):
            return True
        if one.kind in _VALUES:
            inputs = {edge.node for edge in one.inputs.values()} - seen
            seen |= inputs
            waiting += (graph.nodes[number] for number in inputs)
    return False
