"""States of aggregators on their way to a value, merged in the same order wherever they arrive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa

from hyped_beam.execute.failure import node_error
from hyped_beam.nodes.aggregator import AggregatorRuntime
from hyped_beam.nodes.groups import Groups
from hyped_beam.plan.program import AggregateStep

Position = tuple[int, int]
"""A node of the binary tree over numbered parts: its level (0 for a part) and its place on that level."""

States = list[pa.StructArray]
"""One state (an array of one row) per aggregator."""


class StateMerger:
    """Merges the states of several aggregators.

    Args:
        steps: The aggregators.
    """

    def __init__(self, steps: Sequence[AggregateStep]) -> None:
        self.steps = tuple(steps)
        self._runtimes = [
            AggregatorRuntime(step.operation, step.state_type, step.output_type) for step in self.steps
        ]

    def merge(self, neighbours: Sequence[States]) -> States:
        """One state per aggregator from neighbouring ones, given in source order.

        Raises:
            NodeError: An aggregator raised.
        """
        if len(neighbours) == 1:
            return neighbours[0]
        return [self._merge_one(number, neighbours) for number in range(len(self.steps))]

    def _merge_one(self, number: int, neighbours: Sequence[States]) -> pa.StructArray:
        states = pa.concat_arrays([states[number] for states in neighbours])
        try:
            return self._runtimes[number].merge(states, Groups.whole(len(states)))
        except Exception as error:
            raise node_error(error, self.steps[number], {}, None, None) from error

    def finish(self, states: States) -> list[pa.Array]:
        """The values, each an array of one row.

        Raises:
            NodeError: An aggregator raised.
        """
        values = []
        for step, runtime, state in zip(self.steps, self._runtimes, states, strict=True):
            try:
                values.append(runtime.finish(state))
            except Exception as error:
                raise node_error(error, step, {}, None, None) from error
        return values


class StateTree:
    """States of numbered parts (ranges, batches), merged only where two are siblings in the binary tree.

    Whatever the order in which parts arrive, and by however many workers, the bracketing is the same, so
    that sums of floats are the same bits.

    Args:
        merger: What merges two states.
    """

    def __init__(self, merger: StateMerger) -> None:
        self._merger = merger
        self.nodes: dict[Position, States] = {}

    def add(self, position: Position, states: States) -> None:
        """Put a state in its place, and merge upwards as far as siblings are there."""
        level, place = position
        while (level, place ^ 1) in self.nodes:
            sibling = self.nodes.pop((level, place ^ 1))
            states = self._merger.merge([states, sibling] if place % 2 == 0 else [sibling, states])
            level, place = level + 1, place // 2
        self.nodes[level, place] = states

    def update(self, nodes: Iterable[tuple[Position, States]]) -> None:
        """Put states of another tree into this one."""
        for position, states in nodes:
            self.add(position, states)

    def total(self) -> States:
        """The state of all parts, from left to right.

        Raises:
            ValueError: There are no parts.
        """
        if not self.nodes:
            msg = "there are no states to merge"
            raise ValueError(msg)
        ordered = sorted(self.nodes, key=lambda position: position[1] << position[0])
        return self._merger.merge([self.nodes[position] for position in ordered])

    def to_batch(self) -> pa.RecordBatch:
        """The tree as Arrow data: one row per node, one column per aggregator."""
        ordered = sorted(self.nodes)
        columns: dict[str, pa.Array] = {
            "level": pa.array([level for level, _ in ordered], pa.int32()),
            "place": pa.array([place for _, place in ordered], pa.int64()),
        }
        for number, step in enumerate(self._merger.steps):
            parts = [self.nodes[position][number] for position in ordered]
            columns[f"state{number}"] = pa.concat_arrays(parts) if parts else pa.nulls(0, step.state_type)
        return pa.RecordBatch.from_pydict(columns)

    def add_batch(self, batch: pa.RecordBatch) -> None:
        """Put the nodes that `to_batch` wrote down into this tree."""
        positions = zip(batch.column("level").to_pylist(), batch.column("place").to_pylist(), strict=True)
        for row, position in enumerate(positions):
            states = [
                batch.column(f"state{number}").slice(row, 1) for number in range(len(self._merger.steps))
            ]
            self.add(position, states)


def to_bytes(batch: pa.RecordBatch) -> bytes:
    """A record batch as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def from_bytes(data: bytes) -> pa.RecordBatch:
    """The record batch that `to_bytes` wrote down."""
    with pa.ipc.open_stream(data) as reader:
        return reader.read_next_batch()
