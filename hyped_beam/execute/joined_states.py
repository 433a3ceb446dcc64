"""States of neighbouring batches that are put together before their rows are aggregated."""

from __future__ import annotations

import pyarrow as pa

from hyped_beam.execute.batch_result import BatchAggregates, BatchResult
from hyped_beam.execute.taken import JOINED_BYTES, JOINED_ROWS, TakenRows, joined
from hyped_beam.execute.timing import Timings


class JoinedStates:
    """The states of consecutive batches of a segment.

    Which batches are put together follows from the batches alone, so that the states are the same bits
    wherever they are computed.

    Args:
        joins: Whether batches are put together; without it each has states of its own.
        timings: Where it is noted how long aggregators took.

    Attributes:
        states: For each batch, or several together, the states of each combine.
    """

    def __init__(self, timings: Timings, *, joins: bool) -> None:
        self.states: list[list[pa.RecordBatch]] = []
        self._timings = timings
        self._joins = joins
        self._held: list[BatchAggregates] = []
        self._rows = self._size = 0

    def add(self, result: BatchResult) -> None:
        """Take what the next batch has become.

        Raises:
            NodeError: An aggregator raised.
        """
        aggregated = result.aggregated
        if not isinstance(aggregated, BatchAggregates):
            self.states += [aggregated] if aggregated else []
            return
        rows, size = aggregated.taken.rows, aggregated.taken.size
        if self._rows + rows > JOINED_ROWS or self._size + size > JOINED_BYTES:
            self.flush()
        self._held.append(aggregated)
        self._rows, self._size = self._rows + rows, self._size + size
        if not self._joins:
            self.flush()

    def flush(self) -> None:
        """Aggregate what is held.

        Raises:
            NodeError: An aggregator raised.
        """
        held, self._held = self._held, []
        self._rows = self._size = 0
        for taken in _together([one.taken for one in held]):
            self.states.append(held[0].update.states(taken, self._timings))


def _together(parts: list[TakenRows]) -> list[TakenRows]:
    """Parts as one, or as they are where their values do not go together."""
    try:
        return [joined(parts)] if parts else []
    except pa.ArrowException:
        return parts
