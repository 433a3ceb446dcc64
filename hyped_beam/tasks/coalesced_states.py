"""States of neighbouring batches, some of which are put together before their rows are aggregated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import pyarrow as pa

from hyped_beam.execute.aggregate_inputs import AggregateInputs, joined
from hyped_beam.execute.batch_result import BatchAggregates, BatchResult
from hyped_beam.execute.timing import Timings

JOINED_ROWS = 1 << 20
JOINED_BYTES = 32 << 20
"""Batches are put together up to these: calls and look-ups of groups are then paid less often."""

JOINED_BATCHES = 4
"""How many are put together where it is not known how many rows are before them."""


class CoalescedStates:
    """The states of consecutive batches of a segment.

    Which batches are put together follows from where their rows stand in the segment, so that the states are
    the same bits wherever they are computed, whatever else is, and whichever batches are left out.

    Args:
        timings: Where it is noted how long aggregators took.
        rows: How many rows the segment has, where that is known.
        size: How many bytes it takes, as it is stored.
        joins: Whether batches are put together; without it each has states of its own.

    Attributes:
        states: For each combine its states, of a batch or of several together, in order.
    """

    def __init__(self, timings: Timings, rows: int | None, size: int, *, joins: bool) -> None:
        self.states: dict[int, list[pa.RecordBatch]] = defaultdict(list)
        self._timings = timings
        self._joins = joins
        self._most = None if not rows else max(min(JOINED_ROWS, JOINED_BYTES * rows // max(size, 1)), 1)
        self._held: list[BatchAggregates] = []
        self._part: tuple[bool, int] | None = None
        self._batches = 0

    def add(self, result: BatchResult, first: int | None) -> None:
        """Take what the next batch has become.

        Args:
            result: That.
            first: The number of its first row in the segment, where that is known.

        Raises:
            NodeError: An aggregator raised.
        """
        aggregated = result.aggregated
        if not isinstance(aggregated, BatchAggregates):
            self._add(enumerate(aggregated))
            return
        part = self._part_of(first)
        if part != self._part or not self._joins:
            self.flush()
        self._part = part
        self._held.append(aggregated)
        self._add(aggregated.update.states(aggregated.per_batch, self._timings, coalesced=False))

    def _part_of(self, first: int | None) -> tuple[bool, int]:
        """The part of the segment that a batch is put together in."""
        self._batches += 1
        if first is None or self._most is None:
            return False, (self._batches - 1) // JOINED_BATCHES
        return True, first // self._most

    def _add(self, states: Iterable[tuple[int, pa.RecordBatch]]) -> None:
        for number, found in states:
            self.states[number].append(found)

    def flush(self) -> None:
        """Aggregate what is held.

        Raises:
            NodeError: An aggregator raised.
        """
        held, self._held = self._held, []
        for taken in _coalesced_parts([one.coalesced for one in held]):
            self._add(held[0].update.states(taken, self._timings, coalesced=True))


def _coalesced_parts(parts: list[AggregateInputs]) -> list[AggregateInputs]:
    """Parts as one, or as they are where their values do not go together."""
    try:
        return [joined(parts)] if parts else []
    except pa.ArrowException:
        return parts
