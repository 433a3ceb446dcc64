"""All passes, in the order in which one makes way for the next."""

from __future__ import annotations

from collections.abc import Callable

from hyped_beam.ir.graph import Graph
from hyped_beam.ir.verify import BrokenGraphError
from hyped_beam.ir.verify import verify as check
from hyped_beam.passes.absorb import absorb
from hyped_beam.passes.common_subexpressions import common_subexpressions
from hyped_beam.passes.fold_constants import fold_constants
from hyped_beam.passes.forward_fields import forward_fields
from hyped_beam.passes.narrow_source import narrow_source
from hyped_beam.passes.prune import prune

PASSES: tuple[Callable[[Graph], Graph], ...] = (
    prune,  # the others then look at no node in vain, and constants nobody needs are not computed
    forward_fields,  # structs that are only taken apart again fall out of use
    common_subexpressions,  # before folding, so that equal constants are computed once
    fold_constants,
    prune,  # what the passes so far have put out of use is no user that would keep `absorb` from its work
    absorb,
    narrow_source,
)


def optimise(graph: Graph, *, verify: bool = False) -> Graph:
    """The same flow with less to do.

    Args:
        graph: The flow, with a sink for each output.
        verify: Whether to check the graph after every pass; it must be right before the first.

    Raises:
        BrokenGraphError: `verify` is set, and a pass broke a rule.
    """
    for step in PASSES:
        graph = step(graph)
        if verify:
            try:
                check(graph)
            except BrokenGraphError as error:
                raise BrokenGraphError(f"after {step.__name__}: {error}") from None
    return graph
