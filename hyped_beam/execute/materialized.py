"""Values of nodes that may run only once, kept from the scan that runs them for the scans behind it."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from hyped_beam.execute.batch import Batch
from hyped_beam.ir.scope import ScopeKind
from hyped_beam.plan.program import Program
from hyped_beam.types import arrays

_VALUE, _PARENT = "value", "parent"


def kept_values(program: Program, batch: Batch) -> dict[int, pa.RecordBatch]:
    """The values of a batch that later scans need, by the number of the node."""
    return {node: _kept(program, batch, node) for node in program.materialized}


def kept_of(program: Program, batch: Batch) -> dict[int, pa.RecordBatch]:
    """The values that an earlier scan has kept and that were put into a batch, to be sent elsewhere."""
    return {node: _kept(program, batch, node) for node in program.restored}


def _kept(program: Program, batch: Batch, node: int) -> pa.RecordBatch:
    scope = program.scopes[program.scope_of[node]]
    columns = {_VALUE: arrays.whole(batch.values[node], batch.rows_of(scope.id))}
    if scope.kind is ScopeKind.ROWS and scope.node == node:
        columns[_PARENT] = batch.maps[scope.id, scope.parents[0]]
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def restore(program: Program, batch: Batch, kept: Mapping[int, pa.RecordBatch]) -> None:
    """Put the values into a batch that were kept of it, and the rows that they belong to."""
    for node in program.restored:
        values = kept[node]
        scope = program.scopes[program.scope_of[node]]
        if _PARENT in values.schema.names:
            batch.add_rows(scope.id, scope.parents[0], values.column(_PARENT))
        value = values.column(_VALUE)
        batch.values[node] = arrays.columns_of(value, len(value)) if pa.types.is_struct(value.type) else value
