"""What the aggregators of a stage take of a batch, and of several batches put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.execute.batch import Batch
from hyped_beam.ir.graph import Edge
from hyped_beam.ir.scope import Scope
from hyped_beam.nodes.groups import Groups
from hyped_beam.plan.program import Combine, Program
from hyped_beam.types import arrays
from hyped_beam.types.arrays import Value
from hyped_beam.types.spans import Span

Taken: TypeAlias = tuple[Edge, int]
"""A value, and the scope of the rows for which it is taken."""


@dataclass
class AggregateInputs:
    """What the aggregators of a stage take of neighbouring batches.

    Attributes:
        values: Their inputs and keys.
        counts: How many rows there are, by their scope.
        owners: For each row of a scope the row of another that it belongs to, by both.
        batches: The batches, without values: where their rows stand.
        grouped: The group of each row that is put together, and the keys of the groups, by their scope.
        shared: The groups that aggregators share, by the scopes of the rows and of the groups.
    """

    values: dict[Taken, Value]
    counts: dict[int, int]
    owners: dict[tuple[int, int], pa.Array]
    batches: tuple[Batch, ...]
    grouped: dict[int, tuple[pa.Array, pa.StructArray]] = field(default_factory=dict)
    shared: dict[tuple[int, int], Groups] = field(default_factory=dict)

    def span_of(self, scopes: Sequence[Scope], scope: int, row: int) -> Span | None:
        """Where in the source a row of a scope is, or the one that it was made from."""
        for batch in self.batches:
            if row < batch.rows_of(scope):
                return batch.span_of(scopes, scope, row)
            row -= batch.rows_of(scope)
        return None


class InputSelector:
    """Which values some aggregators of a program take.

    Args:
        program: The program of the stage.
        combines: The aggregators.
    """

    def __init__(self, program: Program, combines: Iterable[Combine]) -> None:
        self._program = program
        self._values: dict[Taken, None] = {}
        self._rows: set[int] = set()
        self._owners: set[tuple[int, int]] = set()
        for combine in combines:
            for step in combine.steps:
                self._add(step.inputs.values(), step.input_scope)
                if combine.grouping is not None and combine.grouping.input_scope != step.input_scope:
                    self._owners.add((step.input_scope, combine.grouping.input_scope))
            if combine.grouping is not None:
                self._add(combine.grouping.keys.values(), combine.grouping.input_scope)

    def _add(self, edges: Iterable[Edge], rows: int) -> None:
        self._rows.add(rows)
        self._values.update(dict.fromkeys((edge, rows) for edge in edges))

    def take(self, batch: Batch) -> AggregateInputs:
        """What they take of a batch."""
        scopes, scope_of = self._program.scopes, self._program.scope_of
        return AggregateInputs(
            {
                (edge, rows): batch.resolve(edge, scope_of[edge.node], rows, scopes)
                for edge, rows in self._values
            },
            {rows: batch.rows_of(rows) for rows in self._rows},
            {(rows, of): batch.map_to(scopes, rows, of) for rows, of in self._owners},
            (replace(batch, values={}, aligned={}, shared={}, prior={}),),
        )


def joined(parts: Sequence[AggregateInputs]) -> AggregateInputs:
    """Neighbours as one.

    Raises:
        pyarrow.ArrowException: Their values are of different types, or too long for one array.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    values = {
        key: _joined([part.values[key] for part in parts], [part.counts[key[1]] for part in parts])
        for key in first.values
    }
    owners = {
        key: _joined_owners([(part.owners[key], part.counts[key[1]]) for part in parts])
        for key in first.owners
    }
    counts = {rows: sum(part.counts[rows] for part in parts) for rows in first.counts}
    return AggregateInputs(values, counts, owners, tuple(batch for part in parts for batch in part.batches))


def _joined(values: Sequence[Value], counts: Sequence[int]) -> Value:
    first = values[0]
    if isinstance(first, pa.Scalar) and all(_are_equal(first, value) for value in values):
        return first
    structs = [value for value in values if isinstance(value, Mapping)]
    if len(structs) == len(values):
        return {name: _joined([struct[name] for struct in structs], counts) for name in structs[0]}
    return arrays.concat([arrays.whole(value, rows) for value, rows in zip(values, counts, strict=True)])


def _are_equal(scalar: pa.Scalar, value: Value) -> bool:
    return isinstance(value, pa.Scalar) and value.type.equals(scalar.type) and value.equals(scalar)


def _joined_owners(parts: Sequence[tuple[pa.Array, int]]) -> pa.Array:
    moved, before = [], 0
    for owner, rows in parts:
        moved.append(pc.add(owner, pa.scalar(before, owner.type)))
        before += rows
    return pa.concat_arrays(moved)
