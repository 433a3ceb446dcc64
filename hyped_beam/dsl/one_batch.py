"""One batch as a user has it through the stage of a flow, and back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hyped_beam.dsl import batches
from hyped_beam.dsl.aggregates import AggregateState
from hyped_beam.dsl.outputs import ROWS
from hyped_beam.errors import CallSite, DefinitionTypeError, NodeError
from hyped_beam.execute.batch import Batch
from hyped_beam.execute.batch_result import BatchResult
from hyped_beam.execute.stage import StageRunner
from hyped_beam.plan.planner import Plan
from hyped_beam.types.spans import Span


def run_batch(
    plan: Plan,
    runner: StageRunner,
    given: Any,
    index: Sequence[int] | None,
    state: AggregateState | None,
) -> Any:
    """The output rows for one batch, in the form in which it came; its aggregates are added up.

    Args:
        plan: The plan of the flow.
        runner: Its stage, open.
        given: The batch.
        index: The numbers of its rows, for messages.
        state: Where aggregates are added up; None for nowhere.

    Raises:
        InputError: The batch is not what the flow takes.
        NodeError: A node raised on a row.
    """
    taken = _taken(plan, given, index)
    try:
        result = runner.run(taken)
        if state is not None:
            state.add(result.states)
    except NodeError as error:
        raise _renumbered(error, index) from error.__cause__
    return _rows_of(result, given)


async def run_batch_async(
    plan: Plan,
    runner: StageRunner,
    given: Any,
    index: Sequence[int] | None,
    state: AggregateState | None,
) -> Any:
    """As `run_batch`, for a stage with coroutines, without holding up the caller's event loop."""
    taken = _taken(plan, given, index)
    try:
        result = await asyncio.wrap_future(runner.submit(taken))
        if state is not None:
            await asyncio.to_thread(lambda: state.add(result.states))
    except NodeError as error:
        raise _renumbered(error, index) from error.__cause__
    return _rows_of(result, given)


def _taken(plan: Plan, given: Any, index: Sequence[int] | None) -> Batch:
    """A batch as a user has it, as the flow's stage takes it."""
    source = plan.graph.source
    batch = batches.to_record_batch(given, source.feature)
    if index is not None and len(index) != batch.num_rows:
        raise DefinitionTypeError(
            f"index= has {len(index)} numbers for {batch.num_rows} rows", site=CallSite.nearest()
        )
    columns = {name: batch.column(name) for name in batch.schema.names}
    return Batch({source.id: columns}, batch.num_rows, (Span(batch.num_rows, 0),))


def _rows_of(result: BatchResult, given: Any) -> Any:
    """The output rows in the form in which the batch came."""
    return batches.like(result.outputs[ROWS], given) if ROWS in result.outputs else None


def _renumbered(error: NodeError, index: Sequence[int] | None) -> NodeError:
    """The same error with the caller's number of the row."""
    if index is None or error.row is None:
        return error
    return NodeError.from_json({**error.to_json(), "row": int(index[error.row])})
