"""States of aggregators on their way to a value, merged in the same order wherever they arrive."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.execute.combining import KEYS, state_column
from hyped_beam.execute.failure import RAISED, node_error, shown_cause
from hyped_beam.execute.streams import from_bytes, to_bytes
from hyped_beam.nodes.aggregator import AggregatorRuntime
from hyped_beam.nodes.groups import Groups
from hyped_beam.plan.program import Combine
from hyped_beam.types import arrays
from hyped_beam.types.identity import group_rows, sort_order

Position = tuple[int, int]
"""A node of the tree over numbered parts: its level (0 for a part) and its place on that level."""

FAN_OUT = 4
"""How many nodes become one of the level above: with more, groups are looked up less often."""

_POSITIONS = "hyped_beam.positions"


class StateMerger:
    """Merges the states of the aggregators of one combine: record batches of a row for each group.

    Args:
        combine: The combine.
    """

    def __init__(self, combine: Combine) -> None:
        self.combine = combine
        self._runtimes = [
            AggregatorRuntime(step.operation, step.state_type, step.output_type) for step in combine.steps
        ]

    @property
    def schema(self) -> pa.Schema:
        """The schema of a batch of states."""
        fields = [] if self.combine.grouping is None else [pa.field(KEYS, self.combine.grouping.key_type)]
        fields += [pa.field(state_column(at), step.state_type) for at, step in enumerate(self.combine.steps)]
        return pa.schema(fields)

    def merge(self, neighbours: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
        """The states of neighbouring parts as one, given in source order.

        Raises:
            NodeError: An aggregator raised.
        """
        if self.combine.grouping is not None:  # where there are no groups there is nothing to merge
            neighbours = [part for part in neighbours if part.num_rows] or neighbours[:1]
        if len(neighbours) == 1:
            return neighbours[0]
        states = pa.concat_batches(neighbours)
        columns: dict[str, pa.Array] = {}
        by = Groups.whole(states.num_rows)
        if self.combine.grouping is not None:
            keys = states.column(KEYS)
            ids, first = group_rows(arrays.columns_of(keys, len(keys)), len(keys))
            if len(first) == len(keys):
                return states
            columns[KEYS] = pc.take(keys, pa.array(first))
            by = Groups(len(first), pa.array(ids))
        for at, (step, runtime) in enumerate(zip(self.combine.steps, self._runtimes, strict=True)):
            try:
                columns[state_column(at)] = runtime.merge(states.column(state_column(at)), by)
            except RAISED as error:
                raise node_error(error, step, {}, None, None) from shown_cause(error, step)
        return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))

    def finish(self, states: pa.RecordBatch) -> tuple[pa.StructArray | None, dict[int, pa.Array]]:
        """The keys of the groups, sorted, and by the number of the aggregator a value for each.

        Raises:
            NodeError: An aggregator raised.
        """
        keys = None
        if self.combine.grouping is not None:
            keys = states.column(KEYS)
            order = pa.array(sort_order(arrays.columns_of(keys, len(keys)), len(keys)))
            keys, states = pc.take(keys, order), states.take(order)
        values = {}
        for at, (step, runtime) in enumerate(zip(self.combine.steps, self._runtimes, strict=True)):
            try:
                values[step.node] = runtime.finish(states.column(state_column(at)))
            except RAISED as error:
                raise node_error(error, step, {}, None, None) from shown_cause(error, step)
        return keys, values


class StateTree:
    """States of numbered parts (ranges, batches), merged only where all siblings of a tree are there.

    Whatever the order in which parts arrive, and by however many workers, the bracketing is the same, so
    that sums of floats are the same bits. States of a commutative combine are merged as they come.

    Args:
        merger: What merges states.
    """

    def __init__(self, merger: StateMerger) -> None:
        self._merger = merger
        self._nodes: dict[Position, pa.RecordBatch] = {}

    def add(self, position: Position, states: pa.RecordBatch) -> None:
        """Put the states of a part in their place, and merge upwards as far as siblings are there."""
        level, place = position
        self._nodes[level, self._place(level, place)] = states
        while (siblings := self._siblings(level, place)) is not None:
            states = self._merger.merge([self._nodes.pop(sibling) for sibling in siblings])
            level, place = level + 1, place // FAN_OUT
            self._nodes[level, self._place(level, place)] = states

    def _place(self, level: int, place: int) -> int:
        """Where on a level a node stands: where its states may be merged in any order, as it comes."""
        if not self._merger.combine.commutative:
            return place
        return sum((level, number) in self._nodes for number in range(FAN_OUT))

    def _siblings(self, level: int, place: int) -> list[Position] | None:
        """The nodes that become one together with this one; None where some are missing."""
        first = 0 if self._merger.combine.commutative else place - place % FAN_OUT
        siblings = [(level, number) for number in range(first, first + FAN_OUT)]
        return siblings if all(sibling in self._nodes for sibling in siblings) else None

    def absorb(self, other: StateTree) -> None:
        """Put the states of another tree, of other parts, into this one."""
        for position, states in other._nodes.items():
            self.add(position, states)

    def total(self) -> pa.RecordBatch:
        """The states of all parts, from left to right.

        Raises:
            ValueError: There are no parts.
        """
        if not self._nodes:
            msg = "there are no states to merge"
            raise ValueError(msg)
        in_order = sorted(self._nodes, key=lambda position: position[1] * FAN_OUT ** position[0])
        return self._merger.merge([self._nodes[position] for position in in_order])

    @classmethod
    def of_parts(cls, merger: StateMerger, parts: Mapping[int, pa.RecordBatch], numbers: int) -> StateTree:
        """The tree of numbered parts, those that are missing having no groups.

        Args:
            merger: What merges the states of groups.
            parts: States by the number of the part.
            numbers: How many parts there are, with those that are missing.
        """
        tree = cls(merger)
        none = no_states(merger.schema)
        if merger.combine.commutative:  # at once: one after the other takes longer the more groups there are
            tree.add((0, 0), merger.merge([none, *(parts[number] for number in sorted(parts))]))
            return tree
        for number in range(numbers):
            tree.add((0, number), parts.get(number, none))
        return tree

    def to_batch(self) -> pa.RecordBatch:
        """The tree as Arrow data: the states of its nodes, whose positions and rows stand in the schema."""
        positions = sorted(self._nodes)
        held = [self._nodes[position] for position in positions]
        if self._merger.combine.commutative and held:  # whatever came first
            positions, held = [(0, 0)], [self._merger.merge(held)]
        states = pa.concat_batches(held) if len(held) > 1 else [*held, no_states(self._merger.schema)][0]
        told = [(*position, batch.num_rows) for position, batch in zip(positions, held, strict=True)]
        return states.replace_schema_metadata({_POSITIONS: json.dumps(told)})

    def add_batch(self, batch: pa.RecordBatch) -> None:
        """Put the nodes that `to_batch` wrote down into this tree."""
        states = batch.replace_schema_metadata()
        start = 0
        for level, place, rows in json.loads(batch.schema.metadata[_POSITIONS.encode()]):
            self.add((level, place), states.slice(start, rows))
            start += rows


def with_keys(states: pa.RecordBatch, keys: pa.StructArray) -> pa.RecordBatch:
    """States of groups that go by other keys."""
    names = states.schema.names
    columns = [keys if name == KEYS else column for name, column in zip(names, states.columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names)


def no_states(schema: pa.Schema) -> pa.RecordBatch:
    """States of no groups."""
    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


class StateTrees:
    """The states of all combines of a stage.

    Args:
        combines: The combines.
    """

    def __init__(self, combines: Iterable[Combine]) -> None:
        self.mergers = [StateMerger(combine) for combine in combines]
        self.trees = [StateTree(merger) for merger in self.mergers]

    def add(self, position: Position, states: Sequence[pa.RecordBatch]) -> None:
        """Put the states of a part in their place."""
        for tree, found in zip(self.trees, states, strict=True):
            tree.add(position, found)

    def absorb(self, other: StateTrees) -> None:
        """Put the states of other parts into these."""
        for tree, more in zip(self.trees, other.trees, strict=True):
            tree.absorb(more)

    def total(self) -> list[pa.RecordBatch]:
        """The states of all parts, for each combine."""
        return [tree.total() for tree in self.trees]

    def to_bytes(self) -> bytes:
        """The states as Arrow data; `add_bytes` takes it."""
        return to_bytes([tree.to_batch() for tree in self.trees])

    def add_bytes(self, data: bytes) -> None:
        """Put in the states that `to_bytes` wrote down."""
        for tree, batch in zip(self.trees, from_bytes(data), strict=True):
            tree.add_batch(batch)
