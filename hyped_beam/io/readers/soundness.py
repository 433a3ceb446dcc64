"""Whether Arrow data that was written elsewhere can be used: damaged offsets would end the process."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_KINDS = pa.types
_LARGE = (_KINDS.is_large_string, _KINDS.is_large_binary, _KINDS.is_large_list)
_BYTES = (_KINDS.is_string, _KINDS.is_binary, _KINDS.is_large_string, _KINDS.is_large_binary)
_LISTS = (_KINDS.is_list, _KINDS.is_large_list, _KINDS.is_map)


def check_sound(batch: pa.RecordBatch) -> None:
    """Refuse a batch whose parts lie outside of what they are parts of; numbers cost next to nothing.

    Args:
        batch: A batch as it was read, no slice of it, or several such put together.

    Raises:
        pyarrow.ArrowInvalid: It is damaged.
    """
    batch.validate()
    for column in batch.columns:
        if not _KINDS.is_primitive(column.type):
            _check(column)


def _check(column: pa.Array) -> None:
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        _check(column.storage)
    elif any(of(kind) for of in _BYTES):
        data = column.buffers()[2]
        _check_offsets(column, 0 if data is None else data.size)
    elif any(of(kind) for of in _LISTS):
        _check_offsets(column, len(column.values))
        _check(column.values)
    elif _KINDS.is_dictionary(kind):
        _check_indices(column)
        _check(column.dictionary)
    elif _KINDS.is_struct(kind):
        for number in range(kind.num_fields):
            _check(column.field(number))
    elif _KINDS.is_fixed_size_list(kind):
        _check(column.values)
    elif kind.num_fields or not (_KINDS.is_primitive(kind) or _KINDS.is_fixed_size_binary(kind)):
        column.validate(full=True)  # of types that are rare


def _check_offsets(column: pa.Array, size: int) -> None:
    """Refuse offsets that go back, or out of what they are offsets into."""
    buffer = column.buffers()[1]
    if not len(column) or buffer is None:
        return
    width = np.int64 if any(of(column.type) for of in _LARGE) else np.int32
    offsets: Any = np.frombuffer(buffer, width, len(column) + 1 + column.offset)[column.offset :]
    if offsets[0] < 0 or offsets[-1] > size or np.any(offsets[1:] < offsets[:-1]):
        msg = f"offsets of {column.type} are out of order"
        raise pa.ArrowInvalid(msg)


def _check_indices(column: pa.DictionaryArray) -> None:
    ends = pc.min_max(column.indices)
    lowest, highest = ends["min"].as_py(), ends["max"].as_py()
    if lowest is not None and (lowest < 0 or highest >= len(column.dictionary)):
        msg = f"an index into a dictionary of {len(column.dictionary)} is out of it"
        raise pa.ArrowInvalid(msg)
