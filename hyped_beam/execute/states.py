"""States of aggregators on their way to a value, merged in the same order wherever they arrive."""

from __future__ import annotations

from collections.abc import Sequence

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

    Attributes:
        steps: The aggregators.
        ordered: The places of those whose states must be merged in source order.
        commutative: The places of the others.
    """

    def __init__(self, steps: Sequence[AggregateStep]) -> None:
        self.steps = tuple(steps)
        self._runtimes = [
            AggregatorRuntime(step.operation, step.state_type, step.output_type) for step in self.steps
        ]
        self.commutative = [at for at, runtime in enumerate(self._runtimes) if runtime.commutative]
        self.ordered = [at for at, runtime in enumerate(self._runtimes) if not runtime.commutative]

    def merge(self, neighbours: Sequence[States]) -> States:
        """One state per aggregator from neighbouring ones, given in source order.

        Raises:
            NodeError: An aggregator raised.
        """
        if len(neighbours) == 1:
            return neighbours[0]
        return [self.merge_one(at, [states[at] for states in neighbours]) for at in range(len(self.steps))]

    def merge_one(self, at: int, neighbours: Sequence[pa.StructArray]) -> pa.StructArray:
        """One state of the aggregator at a place from neighbouring ones."""
        if len(neighbours) == 1:
            return neighbours[0]
        states = pa.concat_arrays(neighbours)
        try:
            return self._runtimes[at].merge(states, Groups.whole(len(states)))
        except Exception as error:
            raise node_error(error, self.steps[at], {}, None, None) from error

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
    that sums of floats are the same bits. States of commutative aggregators are merged as they come.

    Args:
        merger: What merges two states.
    """

    def __init__(self, merger: StateMerger) -> None:
        self._merger = merger
        self._nodes: dict[Position, States] = {}
        self._early: States | None = None

    def add(self, position: Position, states: States) -> None:
        """Put the states of a part in their place, and merge upwards as far as siblings are there."""
        self._add_early([states[at] for at in self._merger.commutative])
        self._add_ordered(position, [states[at] for at in self._merger.ordered])

    def _add_early(self, states: States) -> None:
        if self._early is None:
            self._early = states
            return
        both = zip(self._merger.commutative, self._early, states, strict=True)
        self._early = [self._merger.merge_one(at, [held, more]) for at, held, more in both]

    def _add_ordered(self, position: Position, states: States) -> None:
        if not self._merger.ordered:
            return
        level, place = position
        while (level, place ^ 1) in self._nodes:
            sibling = self._nodes.pop((level, place ^ 1))
            left, right = (states, sibling) if place % 2 == 0 else (sibling, states)
            states = self._merge_ordered([left, right])
            level, place = level + 1, place // 2
        self._nodes[level, place] = states

    def _merge_ordered(self, neighbours: Sequence[States]) -> States:
        return [
            self._merger.merge_one(at, [states[index] for states in neighbours])
            for index, at in enumerate(self._merger.ordered)
        ]

    def absorb(self, other: StateTree) -> None:
        """Put the states of another tree, of other parts, into this one."""
        if other._early is not None:
            self._add_early(other._early)
        for position, states in other._nodes.items():
            self._add_ordered(position, states)

    def total(self) -> States:
        """The states of all parts, from left to right.

        Raises:
            ValueError: There are no parts.
        """
        if self._early is None:
            msg = "there are no states to merge"
            raise ValueError(msg)
        found = dict(zip(self._merger.commutative, self._early, strict=True))
        if self._merger.ordered:
            in_order = sorted(self._nodes, key=lambda position: position[1] << position[0])
            ordered = self._merge_ordered([self._nodes[position] for position in in_order])
            found.update(zip(self._merger.ordered, ordered, strict=True))
        return [found[at] for at in range(len(self._merger.steps))]

    def to_batch(self) -> pa.RecordBatch:
        """The tree as Arrow data: one row per node, and one at level -1 for what is merged as it comes."""
        positions = sorted(self._nodes)
        levels = [level for level, _ in positions]
        places = [place for _, place in positions]
        parts: list[list[pa.Array]] = [[] for _ in self._merger.steps]
        for index, at in enumerate(self._merger.ordered):
            parts[at] = [self._nodes[position][index] for position in positions]
        for at in self._merger.commutative:
            parts[at] = [pa.nulls(len(positions), self._merger.steps[at].state_type)]
        if self._early is not None:
            levels, places = [*levels, -1], [*places, 0]
            for index, at in enumerate(self._merger.commutative):
                parts[at].append(self._early[index])
            for at in self._merger.ordered:
                parts[at].append(pa.nulls(1, self._merger.steps[at].state_type))
        columns = {"level": pa.array(levels, pa.int32()), "place": pa.array(places, pa.int64())}
        for at, step in enumerate(self._merger.steps):
            columns[f"state{at}"] = pa.concat_arrays(parts[at] or [pa.nulls(0, step.state_type)])
        return pa.RecordBatch.from_pydict(columns)

    def add_batch(self, batch: pa.RecordBatch) -> None:
        """Put the nodes that `to_batch` wrote down into this tree."""
        positions = zip(batch.column("level").to_pylist(), batch.column("place").to_pylist(), strict=True)
        for row, (level, place) in enumerate(positions):
            early = level < 0
            at_places = self._merger.commutative if early else self._merger.ordered
            states = [batch.column(f"state{at}").slice(row, 1) for at in at_places]
            if early:
                self._add_early(states)
            else:
                self._add_ordered((level, place), states)


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
