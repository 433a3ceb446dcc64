"""Rows by values of columns: the folders `group=spam/year=2024` that Hive, Arrow, polars and duckdb know."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError, unknown_name

NULL = "__HIVE_DEFAULT_PARTITION__"
# Readers pass over folders whose names begin with `.` or `_`; the other characters mean something in paths.
NAME = re.compile(r"[^._/=%?*\[\x00-\x1f\x7f][^/=%?*\[\x00-\x1f\x7f]*")

Partition = Mapping[str, str | None]
"""The values of partition columns, as text; None for null."""


def check_partitions(schema: pa.Schema, keys: Sequence[str]) -> None:
    """Refuse partition columns that are not there or that no name of a folder can hold.

    Raises:
        DefinitionError: There is such a column, or no other would be left.
    """
    for key in keys:
        if key not in schema.names:
            raise unknown_name("column", key, schema.names, of="the output that partition_by= divides")
        if not NAME.fullmatch(key):
            message = f"partition_by= cannot use column {key!r}: folders are named column=value"
            raise DefinitionError(message, site=CallSite.nearest(), hint="rename it to letters and digits")
        kind = schema.field(key).type
        if not _has_names(kind):
            message = f"partition_by= cannot use column {key!r}, which is {kind}"
            hint = "strings, integers, booleans, dates, timestamps and decimals can name folders: cast it"
            raise DefinitionTypeError(message, site=CallSite.nearest(), hint=hint)
    if keys and len(keys) == len(schema.names):
        message = "partition_by= names all columns: none is left for the files"
        raise DefinitionError(message, site=CallSite.nearest(), hint="collect another column too")


def _has_names(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _has_names(kind.value_type)
    is_named = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_integer,
        pa.types.is_boolean,
        pa.types.is_date,
        pa.types.is_timestamp,
        pa.types.is_decimal,
        pa.types.is_null,
    )
    return any(matches(kind) for matches in is_named)


def without(schema: pa.Schema, keys: Sequence[str]) -> pa.Schema:
    """A schema without some columns, whose features, in its metadata, lack them as well."""
    if not keys:
        return schema
    left = pa.schema([field for field in schema if field.name not in keys])
    metadata = dict(schema.metadata or {})
    if b"huggingface" in metadata:
        told = json.loads(metadata[b"huggingface"])
        features = told.get("info", {}).get("features")
        if features is not None:
            told["info"]["features"] = {name: features[name] for name in features if name not in keys}
            metadata[b"huggingface"] = json.dumps(told).encode()
    return left.with_metadata(metadata or None)


def folder_of(partition: Partition) -> str:
    """The path of a partition's files, relative to the output; values are escaped as those of URLs are."""
    return "/".join(f"{key}={_escaped(value)}" for key, value in partition.items())


def _escaped(value: str | None) -> str:
    if value is None:
        return NULL
    # the text that is the mark of null differs from it by what is escaped
    return quote(value, safe="") if value != NULL else f"%{ord(value[0]):02X}{value[1:]}"


def split(batch: pa.RecordBatch, keys: Sequence[str]) -> Iterator[tuple[Partition, pa.RecordBatch]]:
    """The rows of a batch by their partition, in their order, without the partition columns.

    Args:
        batch: Rows; at least one.
        keys: The partition columns.
    """
    texts = [_text_of(batch.column(key)) for key in keys]
    rest = batch.drop_columns(list(keys))
    numbers = _group_numbers(texts)
    order = np.argsort(numbers, kind="stable")
    starts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    grouped = rest if len(starts) == 1 else rest.take(pa.array(order))
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        row = int(order[start])
        partition = {key: text[row].as_py() for key, text in zip(keys, texts, strict=True)}
        yield partition, grouped.slice(start, stop - start)


def _text_of(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.string())


def _group_numbers(texts: Sequence[pa.Array]) -> Any:
    """For each row the number of its group; equal values have equal numbers."""
    numbers = np.zeros(len(texts[0]), np.int64)
    for text in texts:
        encoded = pc.dictionary_encode(text, null_encoding="encode")
        numbers = numbers * len(encoded.dictionary) + encoded.indices.to_numpy(zero_copy_only=False)
        # Numbered from 0 again, so that those of many columns do not overflow.
        numbers = np.unique(numbers, return_inverse=True)[1].astype(np.int64)
    return numbers
