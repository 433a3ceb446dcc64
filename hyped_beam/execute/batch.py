"""A batch on its way through a stage: its values, and the rows that they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.execute.timing import Timings
from hyped_beam.ir.graph import Edge
from hyped_beam.ir.scope import DATASET, SOURCE_ROWS, Scope, paths
from hyped_beam.nodes.groups import Groups
from hyped_beam.plan.program import Program
from hyped_beam.types import arrays
from hyped_beam.types.arrays import Value
from hyped_beam.types.indexed import Indexed
from hyped_beam.types.spans import Span, row_at


@dataclass
class Batch:
    """One batch on its way through a stage.

    Attributes:
        values: What its nodes have computed so far, by the node's number.
        rows: The number of rows that it came with.
        spans: Where these rows stand in the source; empty where that is not known.
        batch_id: The number of its range and its own in that range: what rows are told apart by.
        base: The scope of the rows that it came with.
        counts: The number of rows of each scope whose rows are known.
        maps: For the rows of a scope the rows of a parent that they belong to, by both; null for none.
        aligned: What was repeated for the rows of other scopes, by the number of its node.
        shared: The groups that aggregators share, by the scopes of the rows and of the groups.
        timings: How long its steps took so far.
        prior: What earlier stages have made known of the groups of its range, by the number of the node.
    """

    values: dict[int, Value]
    rows: int
    spans: tuple[Span, ...] = ()
    batch_id: tuple[int, int] = (0, 0)
    base: int = SOURCE_ROWS
    counts: dict[int, int] = field(default_factory=dict)
    maps: dict[tuple[int, int], pa.Array] = field(default_factory=dict)
    aligned: dict[int, dict[tuple[tuple[str, ...], int], Value]] = field(default_factory=dict)
    shared: dict[tuple[int, int], Groups] = field(default_factory=dict)
    timings: Timings = field(default_factory=dict)
    prior: Mapping[int, pa.Array] = field(default_factory=dict)

    def rows_of(self, scope: int) -> int:
        """How many rows of a scope it holds."""
        if scope == self.base:
            return self.rows
        return 1 if scope == DATASET else self.counts[scope]

    def add_rows(self, scope: int, parent: int, of_parent: pa.Array) -> None:
        """Note the rows of a scope, and which row of the parent each came from."""
        self.counts[scope] = len(of_parent)
        self.maps[scope, parent] = of_parent

    def map_to(self, scopes: Sequence[Scope], scope: int, ancestor: int) -> pa.Array:
        """For each row of a scope the row of another, or of the same, that it belongs to."""
        if scope == ancestor:
            return pa.array(np.arange(self.rows_of(scope)))
        found = self.maps.get((scope, ancestor))
        if found is None:
            (path,) = paths(scopes, scope, ancestor)
            found = self.maps[path[0], path[1]]
            for child, parent in pairwise(path[1:]):
                found = pc.take(self.maps[child, parent], found)
            self.maps[scope, ancestor] = found
        return found

    def source_row(self, scopes: Sequence[Scope], scope: int, row: int | None) -> int | None:
        """The row that it came with from which a row of a scope was made."""
        if row is None or scope == self.base:
            return row
        try:
            found = self.map_to(scopes, scope, self.base)[row].as_py()
        except (KeyError, ValueError):  # rows of groups come from no single row
            return None
        return None if found is None else int(found)

    def span_of(self, scopes: Sequence[Scope], scope: int, row: int) -> Span | None:
        """Where in the source a row of a scope is, or the one that it was made from."""
        found = self.source_row(scopes, scope, row)
        return None if found is None else row_at(self.spans, found)

    def origins(self, scopes: Sequence[Scope], scope: int) -> Sequence[int]:
        """For each row of a scope the row that it came with from which it was made."""
        if scope == self.base:
            return range(self.rows)
        found: list[int] = self.map_to(scopes, scope, self.base).to_pylist()
        return found

    def resolve(
        self, edge: Edge, from_scope: int, to_scope: int, scopes: Sequence[Scope], *, repeat: bool = True
    ) -> Value:
        """What an edge carries, for the rows of a scope that reaches the value's.

        Args:
            edge: The edge.
            from_scope: The scope of the value.
            to_scope: The scope of the rows.
            scopes: All scopes.
            repeat: Whether values that several rows share are repeated; else a column of them is `Indexed`.
        """
        value = arrays.at_path(self.values[edge.node], edge.path)
        if from_scope == to_scope or isinstance(value, pa.Scalar):
            return value
        if from_scope == DATASET:
            return _as_scalar(value)
        if not repeat and isinstance(value, pa.Array):
            return Indexed(value, self.map_to(scopes, to_scope, from_scope))
        held = self.aligned.setdefault(edge.node, {})
        key = (edge.path, to_scope)
        if key not in held:
            held[key] = take_value(value, self.map_to(scopes, to_scope, from_scope))
        return held[key]

    def release(self, nodes: Sequence[int]) -> None:
        """Let go of values that nobody needs any more."""
        for node in nodes:
            self.values.pop(node, None)
            self.aligned.pop(node, None)


def source_batch(
    program: Program,
    rows: pa.RecordBatch,
    spans: tuple[Span, ...] = (),
    batch_id: tuple[int, int] = (0, 0),
    prior: Mapping[int, pa.Array] | None = None,
) -> Batch:
    """A batch of the source as a program takes it; what is given besides are fields of `Batch`."""
    columns = {name: rows.column(name) for name in program.columns}
    return Batch({program.takes[0]: columns}, rows.num_rows, spans, batch_id, prior=prior or {})


def _as_scalar(value: Value) -> Value:
    """A value of one row, to be repeated."""
    whole = arrays.whole(value, 1)
    if isinstance(whole, pa.ExtensionArray):  # those of datasets return their storage as items
        return pa.ExtensionScalar.from_storage(whole.type, whole.storage[0])
    return whole[0]


def take_value(value: Value, indices: pa.Array) -> Value:
    """Rows of a value; null where an index is."""
    if isinstance(value, Mapping):
        return {name: take_value(column, indices) for name, column in value.items()}
    if isinstance(value, pa.Scalar):
        return value
    if isinstance(value, pa.ExtensionArray):
        return pa.ExtensionArray.from_storage(value.type, take_value(value.storage, indices))
    return pc.take(value, indices, boundscheck=False)
