"""Batches as a user has them (dicts of lists, tables, record batches), in and out of Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from hyped_beam.errors import CallSite, InputError, unknown_name
from hyped_beam.types import arrays, features
from hyped_beam.types.encoding import ENCODING_ERRORS, encode
from hyped_beam.types.features import Feature


def to_record_batch(batch: Any, columns: Mapping[str, Feature]) -> pa.RecordBatch:
    """A batch as a record batch of just the columns that a flow reads.

    Args:
        batch: A dict of lists, a `pyarrow.Table` or a `pyarrow.RecordBatch`.
        columns: The columns that are read, with their features.

    Raises:
        InputError: A column is missing, has another length, or values that are not of its feature.
    """
    if isinstance(batch, pa.Table):
        return _from_arrow(batch.combine_chunks(), columns)
    if isinstance(batch, pa.RecordBatch):
        return _from_arrow(batch, columns)
    if not isinstance(batch, Mapping):
        raise InputError(
            f"a batch is a dict of lists, or a pyarrow table or record batch, got {type(batch).__name__}",
            site=CallSite.nearest(),
            hint='write batch={"text": ["..."]}, or ds[:32] of a dataset',
        )
    return _from_lists(batch, columns)


def _from_arrow(batch: Any, columns: Mapping[str, Feature]) -> pa.RecordBatch:
    names = batch.schema.names
    found = {}
    for name, feature in columns.items():
        if name not in names:
            raise unknown_column(name, names, columns)
        column = batch.column(name)
        if isinstance(column, pa.ChunkedArray):
            column = (
                column.chunk(0)
                if column.num_chunks == 1
                else pa.concat_arrays(column.chunks or [pa.nulls(0, column.type)])
            )
        found[name] = _conformed(name, column, feature)
    return _batch(found, batch.num_rows)


def _conformed(name: str, column: pa.Array, feature: Feature) -> pa.Array:
    try:
        return arrays.conform(column, features.to_arrow(feature))
    except (TypeError, pa.ArrowException):
        raise InputError(
            f"column {name!r} is {column.type}, the flow takes {features.describe(feature)}",
            site=CallSite.nearest(),
        ) from None


def _from_lists(batch: Mapping[str, Any], columns: Mapping[str, Feature]) -> pa.RecordBatch:
    rows = -1
    for name, values in batch.items():
        if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
            raise InputError(
                f"column {name!r} of a batch is a list of values, got {type(values).__name__}",
                site=CallSite.nearest(),
                hint=f'for one row write {{"{name}": [value]}}',
            )
        if rows not in (-1, len(values)):
            raise InputError(
                f"the columns of a batch have different lengths: {name!r} has {len(values)}, others {rows}",
                site=CallSite.nearest(),
            )
        rows = len(values)
    found = {}
    for name, feature in columns.items():
        if name not in batch:
            raise unknown_column(name, batch, columns)
        found[name] = _encode(name, batch[name], feature)
    return _batch(found, max(rows, 0))


def _encode(name: str, values: Any, feature: Feature) -> pa.Array:
    try:
        return encode(values, feature)
    except ENCODING_ERRORS as error:
        raise InputError(
            f"column {name!r} does not hold {features.describe(feature)}: {error}", site=CallSite.nearest()
        ) from error


def _batch(columns: dict[str, pa.Array], rows: int) -> pa.RecordBatch:
    if not columns:
        return pa.RecordBatch.from_struct_array(arrays.struct_of({}, rows))
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def unknown_column(
    name: str, names: Any, columns: Mapping[str, Feature], site: CallSite | None = None
) -> InputError:
    """The error for a column that a flow reads and a batch or dataset has not."""
    near = unknown_name("column", name, list(names), of="the data")
    return InputError(
        f"the data has no column {name!r}, which the flow reads (it reads {', '.join(columns)})",
        site=site or CallSite.nearest(),
        hint=near.hint,
    )


def like(batch: pa.RecordBatch, given: Any) -> Any:
    """A record batch in the form in which the input was given."""
    if isinstance(given, pa.RecordBatch):
        return batch
    table = pa.Table.from_batches([batch])
    if isinstance(given, pa.Table):
        return table
    return python_columns(table)


def python_columns(table: pa.Table) -> dict[str, list[Any]]:
    """A table as a dict of lists, its images, audio, ... decoded as `datasets` does."""
    from datasets import Features
    from datasets.formatting.formatting import PythonFormatter

    described = Features.from_arrow_schema(table.schema)
    if table.num_columns == 0:
        return {}
    return dict(PythonFormatter(features=described).format_batch(table))
