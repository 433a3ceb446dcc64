"""Where two results differ: rows, bit for bit, their features, and values of aggregates."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.types import arrays, features
from hyped_beam.types.vectors import values_of
from hyped_beam.types.widths import interchangeable

Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]


class Rows(NamedTuple):
    """Rows of an output.

    Attributes:
        table: The rows.
        features: Their features, as `datasets.Features`; None where only the Arrow types are known.
    """

    table: pa.Table
    features: Any = None


def rows_differ(wanted: Rows, found: Rows) -> str | None:
    """Where rows differ, as the end of a sentence; None if they are the same.

    Floats are compared bit for bit, where one NaN is as good as another. The widths of offsets may differ, as
    those of `string` and `large_string` do.

    Args:
        wanted: The rows, with their features.
        found: What is compared with them.
    """
    names, others = list(wanted.features), found.table.column_names
    if names != others:
        return f"has the columns {', '.join(others) or 'none'}, not {', '.join(names) or 'none'}"
    for name in names:
        known = None if found.features is None else found.features[name]
        feature, kind = wanted.features[name], found.table.schema.field(name).type
        if known is not None and not features.same(known, feature):
            told = features.describe(feature)
            return f"has {features.describe(known)} in column {name!r}, not {told}"
        if not interchangeable(kind, features.to_arrow(feature)):
            return f"has {kind} in column {name!r}, not {features.to_arrow(feature)}"
    if wanted.table.num_rows != found.table.num_rows:
        return f"has {found.table.num_rows} rows, not {wanted.table.num_rows}"
    return _values_differ(wanted, found)


def _values_differ(wanted: Rows, found: Rows) -> str | None:
    first: tuple[int, str, str] | None = None
    for name, feature in wanted.features.items():
        one, other = (_whole(rows.table.column(name), feature) for rows in (wanted, found))
        places = np.flatnonzero(_differing(one, other))
        if len(places) and (first is None or places[0] < first[0]):
            row = int(places[0])
            first = row, name, f"{_shown(other, row)}, not {_shown(one, row)}"
    return None if first is None else f"has in row {first[0]}, column {first[1]!r}: {first[2]}"


def _whole(column: pa.ChunkedArray, feature: Any) -> pa.Array:
    kind = features.to_arrow(feature)
    chunks = [arrays.conform(chunk, kind) for chunk in column.chunks]
    stored = [arrays.stored(chunk) for chunk in chunks]
    return pa.concat_arrays(stored or [pa.nulls(0, arrays.storage_type(kind))])


def _shown(values: pa.Array, row: int) -> str:
    shown = repr(values.slice(row, 1).to_pylist()[0])
    return shown if len(shown) <= 200 else shown[:197] + "..."  # noqa: PLR2004 - a line or two


def _differing(one: pa.Array, other: pa.Array) -> Mask:
    """For each row whether the values differ."""
    one, other = arrays.stored(one), arrays.stored(other)
    valid = _numpy(one.is_valid()), _numpy(other.is_valid())
    differs: Mask = valid[0] != valid[1]
    both: Mask = valid[0] & valid[1]
    kind = one.type
    if pa.types.is_null(kind):
        return differs
    if pa.types.is_struct(kind):
        for number in range(kind.num_fields):
            differs |= both & _differing(one.field(number), other.field(number))
        return differs
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return differs | _lists_differ(one, other, both)
    if pa.types.is_floating(kind):
        floats = [values_of(array, np.dtype(f"f{kind.bit_width // 8}")) for array in (one, other)]
        bits = [array.view(f"i{kind.bit_width // 8}") for array in floats]
        return differs | (both & (bits[0] != bits[1]) & ~(np.isnan(floats[0]) & np.isnan(floats[1])))
    return differs | _numpy(pc.fill_null(pc.not_equal(one, other), fill_value=False))


def _lists_differ(one: pa.Array, other: pa.Array, both: Mask) -> Mask:
    lengths = [values_of(pc.fill_null(pc.list_value_length(array), 0)) for array in (one, other)]
    differs: Mask = both & (lengths[0] != lengths[1])
    compared = np.flatnonzero(both & ~differs)
    taken = [array.take(pa.array(compared)) for array in (one, other)]
    items = _differing(taken[0].flatten(), taken[1].flatten())
    owners = np.repeat(compared, lengths[0][compared])
    differs[owners[items]] = True
    return differs


def _numpy(booleans: pa.Array) -> Mask:
    return np.asarray(booleans.to_numpy(zero_copy_only=False), np.bool_)


def values_differ(wanted: Any, found: Any, name: str = "") -> str | None:
    """Where values of aggregates differ, as the end of a sentence; None if they are the same.

    Args:
        wanted: The values, nested as they were asked for.
        found: What is compared with them.
        name: What they are called, with the names around them.
    """
    if isinstance(wanted, Mapping) and isinstance(found, Mapping) and list(wanted) == list(found):
        inner = (values_differ(wanted[key], found[key], f"{name}.{key}" if name else key) for key in wanted)
        return next(filter(None, inner), None)
    if _same(wanted, found):
        return None
    return f"has {found!r:.200} as the aggregate {name or 'of all'}, not {wanted!r:.200}"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return list(one) == list(other) and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        both_nan = one != one and other != other  # noqa: PLR0124 - that is what NaN is
        return both_nan or struct.pack("<d", one) == struct.pack("<d", other)
    return type(one) is type(other) and bool(one == other)
