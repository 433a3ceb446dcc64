"""Parquet files."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pyarrow as pa

from hyped_beam.errors import CallSite, DefinitionTypeError
from hyped_beam.io.filesystem import PendingFile
from hyped_beam.io.paths import Path
from hyped_beam.io.writers.base import ShardWriter, Writer

Compression = Literal["snappy", "zstd", "gzip", "brotli", "lz4", "none"]

# A row group is held in memory until it is written, and is the least that a reader of one column reads.
ROW_GROUP_ROWS = 1 << 20
ROW_GROUP_BYTES = 32 << 20


class ParquetDatasetWriter(Writer):
    """Shards as Parquet, readable by everything that reads Parquet; features are kept as metadata.

    Args:
        path: The folder.
        compression: How pages are compressed.
    """

    suffix: ClassVar[str] = ".parquet"

    compression: Compression = "snappy"

    def __init__(self, path: Path, *, compression: Compression = "snappy", **options: Any) -> None:
        super().__init__(path, compression=compression, **options)

    def open_shard(self, file: PendingFile, schema: pa.Schema) -> ShardWriter:
        """Begin a shard."""
        return _ParquetShard(file, schema, self.compression)

    def check(self, schema: pa.Schema) -> None:
        """Refuse structs without fields, which Parquet cannot hold."""
        for field in schema:
            if _has_empty_struct(field.type):
                message = f"Parquet cannot hold column {field.name!r}: a struct in it has no fields"
                hint = "drop it, or write Arrow or JSON"
                raise DefinitionTypeError(message, site=CallSite.nearest(), hint=hint)


class _ParquetShard(ShardWriter):
    """Gathers batches until they make a row group."""

    def __init__(self, file: PendingFile, schema: pa.Schema, compression: str) -> None:
        import pyarrow.parquet as pq

        self._schema = schema
        self._file = pq.ParquetWriter(file, schema, compression=compression)
        self._held: list[pa.RecordBatch] = []
        self._rows = 0
        self._bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        for start in range(0, batch.num_rows, ROW_GROUP_ROWS):
            part = batch.slice(start, ROW_GROUP_ROWS)
            size = part.nbytes
            if self._rows + part.num_rows > ROW_GROUP_ROWS or self._bytes + size > ROW_GROUP_BYTES:
                self._flush()
            self._held.append(part)
            self._rows += part.num_rows
            self._bytes += size

    def close(self) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._held:
            table = pa.Table.from_batches(self._held, self._schema)
            self._file.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self._held, self._rows, self._bytes = [], 0, 0


def _has_empty_struct(arrow_type: pa.DataType) -> bool:
    if isinstance(arrow_type, pa.BaseExtensionType):
        return _has_empty_struct(arrow_type.storage_type)
    if pa.types.is_struct(arrow_type):
        return arrow_type.num_fields == 0 or any(_has_empty_struct(field.type) for field in arrow_type)
    return pa.types.is_nested(arrow_type) and _has_empty_struct(arrow_type.value_type)
