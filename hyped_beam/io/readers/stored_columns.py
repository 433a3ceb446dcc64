"""Where columns of numbers lie in a file of many stored batches: decoded once, they are only copied then."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

Numbers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

_UNKNOWN, _ELSEWHERE = -1, -2
"""What stands for where a batch has a column: not known yet, and that it must be decoded."""


class StoredColumns:
    """Columns of numbers without nulls, as they lie in a map of a file.

    Decoding a stored batch takes longer than copying a thousand numbers. What decoding has once told of a
    batch, that a column of it is there in one piece, stays true: the file does not change.

    Args:
        data: The map.
        counts: The rows of each stored batch.
        schema: The columns.
    """

    def __init__(
        self, data: mmap.mmap, counts: np.ndarray[Any, np.dtype[np.int64]], schema: pa.Schema
    ) -> None:
        self._bytes = np.frombuffer(data, np.uint8)
        self._counts = counts
        self._fields = {field.name: field for field in schema if _is_copied(field.type)}
        self._places: dict[str, Numbers] = {}

    def note(self, first: int, batches: Sequence[pa.RecordBatch]) -> None:
        """Remember where batches that are sound have their columns.

        Args:
            first: The number of the first one.
            batches: What was decoded, which lies in the map.
        """
        base = self._bytes.ctypes.data
        for number, field in enumerate(batches[0].schema):
            if field.name not in self._fields:
                continue
            places = self._places.get(field.name)
            if places is None:
                places = self._places[field.name] = np.full(len(self._counts), _UNKNOWN, np.int64)
            if (places[first : first + len(batches)] == _UNKNOWN).any():
                found = [_place(batch.column(number), base) for batch in batches]
                places[first : first + len(batches)] = found

    def knows(self, name: str, first: int, stop: int) -> bool:
        """Whether a column of batches from-to can be copied."""
        places = self._places.get(name)
        return places is not None and bool((places[first:stop] >= 0).all())

    def read(self, name: str, first: int, stop: int) -> pa.Array:
        """A column of batches from-to, which `knows` says can be copied, as one array."""
        kind = self._fields[name].type
        starts = self._places[name][first:stop]
        sizes = self._counts[first:stop] * (kind.bit_width // 8)
        buffer = pa.allocate_buffer(int(sizes.sum()))
        into = np.frombuffer(buffer, np.uint8)
        steps = np.diff(starts)
        if len(steps) and (steps == steps[0]).all() and (sizes == sizes[0]).all() and steps[0] >= sizes[0]:
            shape, strides = (len(starts), int(sizes[0])), (int(steps[0]), 1)
            stored = np.ndarray(shape, np.uint8, self._bytes.data, int(starts[0]), strides)
            into.reshape(shape)[...] = stored
        else:
            parts = zip(starts.tolist(), (starts + sizes).tolist(), strict=True)
            np.concatenate([self._bytes[start:end] for start, end in parts], out=into)
        return pa.Array.from_buffers(kind, int(self._counts[first:stop].sum()), [None, buffer], null_count=0)


def _is_copied(kind: pa.DataType) -> bool:
    return pa.types.is_primitive(kind) and kind.bit_width % 8 == 0


def _place(column: pa.Array, base: int) -> int:
    """Where the values of a column are; that it must be decoded where they are not all there."""
    values = column.buffers()[1]
    if column.null_count or column.offset or values is None:
        return 0 if len(column) == 0 else _ELSEWHERE
    return values.address - base
