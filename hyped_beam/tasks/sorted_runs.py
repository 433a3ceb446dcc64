"""Runs of rows that are sorted by their keys, as files, and one stream of them all in the order of the keys.

The rows of groups in partitions come so: each partition writes its own, and whoever writes the output reads
all at once. What is held is a block of each run, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from hyped_beam.types import arrays
from hyped_beam.types.identity import sort_order
from hyped_beam.types.vectors import Vector

BLOCK_ROWS = 4096
BLOCK_BYTES = 1 << 20
"""A block of a run has no more than both, but a row at least."""

_KEYS = "keys"


def write_run(path: Path, rows: pa.RecordBatch, keys: pa.StructArray) -> None:
    """Write rows that are sorted by their keys; the file appears once it is complete.

    Args:
        path: The file.
        rows: The rows.
        keys: The key of each, in ascending order; rows with equal ones stay as they are.
    """
    columns = [arrays.stored(column) for column in (*rows.columns, keys)]
    names = [*rows.schema.names, _KEYS]
    held = pa.RecordBatch.from_arrays(columns, names)
    size = max(1, min(BLOCK_ROWS, BLOCK_BYTES * held.num_rows // max(held.nbytes, 1)))
    beside = path.with_suffix(".tmp")
    with pa.OSFile(str(beside), "wb") as file, pa.ipc.new_stream(file, held.schema) as stream:
        for start in range(0, held.num_rows, size):
            stream.write_batch(held.slice(start, size))
    beside.replace(path)


def merged(runs: Iterable[Path], schema: pa.Schema, size: int) -> Iterator[pa.RecordBatch]:
    """The rows of runs in the order of their keys, as batches of `size` rows, the last of fewer.

    Args:
        runs: The files. No key is in two of them.
        schema: Of the rows.
        size: The rows of a batch.
    """
    held: list[pa.RecordBatch] = []
    count = 0
    for block in _merged_blocks([_Run(path) for path in runs]):
        held.append(_rows(block, schema))
        count += block.num_rows
        while count >= size:
            whole = pa.concat_batches(held)
            yield whole.slice(0, size)
            held, count = [whole.slice(size)], count - size
    if count:
        yield pa.concat_batches(held)


class _Run:
    """A run that is read: its next rows, as many as a block has at least, unless there are no more.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._stream = pa.ipc.open_stream(pa.memory_map(str(path)))
        self._is_over = False
        self.next: pa.RecordBatch = pa.RecordBatch.from_pylist([], schema=self._stream.schema)
        self._taken = BLOCK_ROWS

    @property
    def has_more(self) -> bool:
        """Whether there are rows behind the next ones."""
        return not self._is_over

    def fill(self) -> None:
        """Read on where the next rows have become few."""
        if self._is_over or self.next.num_rows * 2 > self._taken:
            return
        try:
            more = self._stream.read_next_batch()
        except StopIteration:
            self._is_over = True
            return
        self.next = pa.concat_batches([self.next, more]) if self.next.num_rows else more
        self._taken = more.num_rows

    def take(self, rows: int) -> None:
        """Leave out the first of the next rows."""
        self.next = self.next.slice(rows)


def _merged_blocks(runs: Sequence[_Run]) -> Iterator[pa.RecordBatch]:
    while True:
        for run in runs:
            run.fill()
        runs = [run for run in runs if run.next.num_rows or run.has_more]
        if not runs:
            return
        together = pa.concat_batches([run.next for run in runs])
        keys = together.column(together.num_columns - 1)
        order = sort_order(arrays.columns_of(keys, len(keys)), len(keys))
        ends = np.cumsum([run.next.num_rows for run in runs])
        chosen = pa.array(order[: _known_order(order, ends, [run.has_more for run in runs])])
        taken = np.bincount(np.searchsorted(ends, chosen, "right"), minlength=len(runs))
        for run, count in zip(runs, taken.tolist(), strict=True):
            run.take(count)
        yield together.take(chosen)


def _known_order(order: Vector, ends: Vector, has_more: Sequence[bool]) -> int:
    """How many rows come before all that are not read yet: up to the last one of a run that has more."""
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return int(np.min(places[ends - 1], where=np.array(has_more), initial=len(order) - 1)) + 1


def _rows(block: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The rows of a block without their keys."""
    columns = [
        arrays.conform(column, field.type) for column, field in zip(block.columns[:-1], schema, strict=True)
    ]
    if not columns:
        return pa.RecordBatch.from_struct_array(arrays.struct_of({}, block.num_rows))
    return pa.RecordBatch.from_arrays(columns, schema=schema)
