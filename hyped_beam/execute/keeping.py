"""Values of nodes that may run only once, kept from the scan that runs them for the scans behind it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from hyped_beam.execute.batch import Batch
from hyped_beam.ir.scope import ScopeKind
from hyped_beam.plan.program import Program
from hyped_beam.types import arrays

_VALUE, _PARENT = "value", "parent"


def kept_values(program: Program, batch: Batch) -> dict[int, pa.RecordBatch]:
    """The values of a batch that later scans need, by the number of the node."""
    return {node: _kept(program, batch, node) for node in program.kept}


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


class KeptFiles:
    """Kept values of one range as files, one for each node, which appear when the range is done.

    Args:
        folder: Where they are.
        number: The number of the range.
    """

    def __init__(self, folder: str, number: int) -> None:
        self._folder = Path(folder)
        self._number = number
        self._held: dict[int, list[pa.RecordBatch]] = {}
        self._streams: dict[int, pa.RecordBatchReader] = {}

    def _path(self, node: int) -> Path:
        return self._folder / f"{self._number:05d}-{node}.arrow"

    def add(self, kept: Mapping[int, pa.RecordBatch]) -> None:
        """Keep the values of the next batch."""
        for node, batch in kept.items():
            self._held.setdefault(node, []).append(batch)

    def publish(self) -> None:
        """Make the files appear."""
        for node, batches in self._held.items():
            beside = self._path(node).with_suffix(".tmp")
            with pa.OSFile(str(beside), "wb") as file, pa.ipc.new_stream(file, batches[0].schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
            beside.replace(self._path(node))

    def next_batch(self, nodes: tuple[int, ...]) -> dict[int, pa.RecordBatch]:
        """What was kept of the next batch."""
        for node in nodes:
            if node not in self._streams:
                self._streams[node] = pa.ipc.open_stream(pa.memory_map(str(self._path(node))))
        return {node: self._streams[node].read_next_batch() for node in nodes}
