"""What is known before a stage's batches come: constants, and what earlier stages have found out."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from hyped_beam.execute.batch import Batch, take_value
from hyped_beam.execute.failure import RowLocation, node_error
from hyped_beam.execute.streams import from_bytes, to_bytes
from hyped_beam.ir.scope import DATASET
from hyped_beam.plan.program import Grouping, Program, Step
from hyped_beam.types import arrays
from hyped_beam.types.arrays import Value
from hyped_beam.types.identity import KeyIndex, group_rows, sort_order


@dataclass
class PriorResults:
    """Values that one stage gives to later ones.

    Attributes:
        values: By the number of the node, a row for each group, or one for the whole dataset.
        maps: For groups of groups, the group that each belongs to, by the scopes of both.
    """

    values: dict[int, pa.Array] = field(default_factory=dict)
    maps: dict[tuple[int, int], pa.Array] = field(default_factory=dict)

    def with_more(self, other: PriorResults) -> PriorResults:
        """Both together."""
        return PriorResults({**self.values, **other.values}, {**self.maps, **other.maps})

    def to_bytes(self) -> bytes:
        """The values as Arrow data; `from_bytes` takes it."""
        named = {f"{number}": value for number, value in self.values.items()}
        named.update({f"{child} {parent}": indices for (child, parent), indices in self.maps.items()})
        return to_bytes([pa.RecordBatch.from_arrays([array], [name]) for name, array in named.items()])

    @classmethod
    def from_bytes(cls, data: bytes) -> PriorResults:
        """The values that `to_bytes` wrote down."""
        prior = cls()
        for batch in from_bytes(data):
            (name,) = batch.schema.names
            numbers = [int(number) for number in name.split()]
            if len(numbers) == 1:
                prior.values[numbers[0]] = batch.column(0)
            else:
                prior.maps[numbers[0], numbers[1]] = batch.column(0)
        return prior


class Bindings:
    """What is known beforehand of the batches of a stage, or of a range of them.

    Args:
        program: The program of the stage.
        values: The values of nodes.
        maps: For groups of groups, the group that each belongs to.
    """

    def __init__(
        self,
        program: Program,
        values: Mapping[int, Value],
        maps: Mapping[tuple[int, int], pa.Array] | None = None,
    ) -> None:
        self._values = values
        self._counts: dict[int, int] = {}
        for number, value in self._values.items():
            scope = program.scope_of[number]
            if scope != DATASET and not isinstance(value, pa.Scalar):
                self._counts[scope] = len(arrays.whole(value, 0))
        self._maps = maps or {}
        self.indices = {
            grouping.node: _index(self._values[grouping.node], self._counts[grouping.scope])
            for grouping in program.groupings
            if grouping.is_resolved and grouping.node in values
        }

    def enter(self, batch: Batch) -> None:
        """Put what is known into a batch."""
        batch.values.update(self._values)
        batch.counts.update(self._counts)
        batch.maps.update(self._maps)


class StageBindings:
    """What a stage knows beforehand: of all of its batches, and of those of each range.

    Args:
        program: The program of the stage.
        prior: What earlier stages have made known.
    """

    ranges_held = 4
    """Of how many ranges it is kept, as batches of neighbouring ones are in flight."""

    def __init__(self, program: Program, prior: PriorResults) -> None:
        self._program = program
        values = {**program.constants, **{number: prior.values[number] for number in program.prior}}
        self._always = Bindings(program, values, prior.maps)
        self._of_ranges: dict[int, Bindings] = {}
        self._groupings = {grouping.node: grouping for grouping in program.groupings}
        self._lock = threading.Lock()

    def enter(self, batch: Batch) -> None:
        """Put what is known into a batch."""
        self._always.enter(batch)
        if self._program.by_range:
            self._of_range(batch).enter(batch)

    def _of_range(self, batch: Batch) -> Bindings:
        """What is known of the range that a batch belongs to."""
        number = batch.batch_id[0]
        with self._lock:
            found = self._of_ranges.get(number)
            if found is None:
                held = {node: batch.prior[node] for node in self._program.by_range}
                found = self._of_ranges[number] = Bindings(self._program, held)
                while len(self._of_ranges) > self.ranges_held:
                    self._of_ranges.pop(next(iter(self._of_ranges)))
        return found

    def _index(self, node: int, batch: Batch) -> KeyIndex | None:
        """What finds the groups of a batch; None where they are made from the batch."""
        found = self._always.indices.get(node)
        if found is None and node in self._program.by_range:
            return self._of_range(batch).indices[node]
        return found

    def find_groups(self, step: Step, inputs: Mapping[str, Value], batch: Batch) -> None:
        """Find out to which group each row of a batch belongs; null for a group that is not known."""
        grouping = self._groupings[step.node]
        rows = batch.rows_of(step.input_scope)
        keys = key_columns(grouping, inputs, rows)
        ids, first = group_rows(keys, rows)
        distinct = {name: take_value(column, pa.array(first)) for name, column in keys.items()}
        index = self._index(step.node, batch)
        if index is not None:
            places = index.find(distinct, len(first))
            if step.operation.unseen == "error" and np.any(places < 0):
                row = int(first[np.argmax(places < 0)])
                unseen = KeyError("a key that the flow was not fitted on")
                raise node_error(unseen, step, keys, row, RowLocation(step, batch, self._program))
            batch.maps[step.input_scope, step.scope] = pa.array(places[ids], mask=places[ids] < 0)
            return
        order = sort_order(distinct, len(first))
        ranks = np.empty(len(first), np.int64)
        ranks[order] = np.arange(len(first))
        batch.values[step.node] = {
            name: take_value(column, pa.array(order)) for name, column in distinct.items()
        }
        batch.add_rows(step.scope, DATASET, pa.array(np.zeros(len(first), np.int64)))
        batch.maps[step.input_scope, step.scope] = pa.array(ranks[ids])


def key_columns(grouping: Grouping, inputs: Mapping[str, Value], rows: int) -> dict[str, pa.Array]:
    """The keys of rows as columns of their declared types."""
    return {
        field.name: arrays.conform(arrays.whole(inputs[field.name], rows), field.type)
        for field in grouping.key_type
    }


def _index(keys: Value, groups: int) -> KeyIndex:
    return KeyIndex(arrays.columns_of(keys, groups), groups)
