"""Parquet files."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import ValidationInfo, field_validator

from hyped_beam.errors import CallSite, DefinitionTypeError, InputError
from hyped_beam.io.filesystem import PendingFile
from hyped_beam.io.paths import Path
from hyped_beam.io.writers.base import ShardWriter, Writer
from hyped_beam.types.arrays import holds_type

Compression = Literal["snappy", "zstd", "gzip", "brotli", "lz4", "none"]
_ANY_LENGTH = 'make them lists of any length, as in .cast(["float32"]), or write Arrow or JSON'
WITHOUT_LEVELS = ("snappy", "lz4", "none")

# A row group is held in memory until it is written, and is the least that a reader of one column reads.
ROW_GROUP_ROWS = 1 << 20
ROW_GROUP_BYTES = 32 << 20


class ParquetDatasetWriter(Writer):
    """Shards as Parquet, readable by everything that reads Parquet; features are kept as metadata.

    A list of a fixed length that is null ends the job: Arrow would write it, and read no row of the file.

    Args:
        path: The folder.
        compression: How pages are compressed: "snappy", "zstd", "gzip", "brotli", "lz4" or "none".
        compression_level: How hard, in the numbers of the compression; snappy, lz4 and none have no levels.
        **options: Those of every writer, see `Writer`.

    Raises:
        DefinitionError: An option has a wrong value.

    Example:
        >>> from hyped_beam.io.writers.parquet import ParquetDatasetWriter
        >>> ParquetDatasetWriter("out/", compression="zstd", partition_by=["group"]).suffix
        '.parquet'
    """

    suffix: ClassVar[str] = ".parquet"

    compression: Compression = "snappy"
    compression_level: int | None = None

    def __init__(
        self,
        path: Path,
        *,
        compression: Compression = "snappy",
        compression_level: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(path, compression=compression, compression_level=compression_level, **options)

    @field_validator("compression_level")
    @classmethod
    def _check_level(cls, level: int | None, info: ValidationInfo) -> int | None:
        codec = info.data.get("compression")
        if level is None or codec is None:
            return level
        if codec in WITHOUT_LEVELS:
            raise ValueError(f"{codec} has no levels")
        least, most = pa.Codec.minimum_compression_level(codec), pa.Codec.maximum_compression_level(codec)
        if not least <= level <= most:
            raise ValueError(f"the levels of {codec} are {least} to {most}")
        return level

    def open_shard(self, file: PendingFile, schema: pa.Schema) -> ShardWriter:
        """Begin a shard."""
        return _ParquetShard(file, schema, self.compression, self.compression_level)

    def check(self, schema: pa.Schema) -> None:
        """Refuse what Parquet cannot hold: structs without fields, and lists whose fixed length is 0."""
        for field in schema:
            if holds_type(field.type, _is_empty_list):
                message = f"Parquet cannot hold column {field.name!r}: lists in it have the fixed length 0"
                raise DefinitionTypeError(message, site=CallSite.nearest(), hint=_ANY_LENGTH)
            if _has_empty_struct(field.type):
                message = f"Parquet cannot hold column {field.name!r}: a struct in it has no fields"
                hint = "drop it, or write Arrow or JSON"
                raise DefinitionTypeError(message, site=CallSite.nearest(), hint=hint)


class _ParquetShard(ShardWriter):
    """Gathers batches until they make a row group."""

    def __init__(self, file: PendingFile, schema: pa.Schema, compression: str, level: int | None) -> None:
        import pyarrow.parquet as pq

        self._schema = schema
        self._fixed = [field.name for field in schema if holds_type(field.type, pa.types.is_fixed_size_list)]
        self._file = pq.ParquetWriter(file, schema, compression=compression, compression_level=level)
        self._held: list[pa.RecordBatch] = []
        self._rows = 0
        self._bytes = 0

    @property
    def held_bytes(self) -> int:
        return self._bytes

    def write(self, batch: pa.RecordBatch) -> None:
        for name in self._fixed:
            if _lacks_list(batch.column(name)):
                message = f"column {name!r} has a null in the place of a list of a fixed length"
                raise InputError(f"{message}, and no such Parquet file could be read back", hint=_ANY_LENGTH)
        for start in range(0, batch.num_rows, ROW_GROUP_ROWS):
            part = batch.slice(start, ROW_GROUP_ROWS)
            size = part.nbytes
            if self._rows + part.num_rows > ROW_GROUP_ROWS or self._bytes + size > ROW_GROUP_BYTES:
                self.flush()
            self._held.append(part)
            self._rows += part.num_rows
            self._bytes += size

    def close(self) -> None:
        self.flush()
        self._file.close()

    def flush(self) -> None:
        if self._held:
            table = pa.Table.from_batches(self._held, self._schema)
            self._file.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self._held, self._rows, self._bytes = [], 0, 0


def _is_empty_list(arrow_type: pa.DataType) -> bool:
    return pa.types.is_fixed_size_list(arrow_type) and arrow_type.list_size == 0


def _lacks_list(array: pa.Array) -> bool:
    """Whether a list of a fixed length is null, or what it is in where there is nothing but null then."""
    if not holds_type(array.type, pa.types.is_fixed_size_list):
        return False
    if pa.types.is_struct(array.type):
        return any(_lacks_list(field) for field in array.flatten())  # null where the struct is
    if pa.types.is_fixed_size_list(array.type) and array.null_count:
        return True
    return _lacks_list(array.flatten())


def _has_empty_struct(arrow_type: pa.DataType) -> bool:
    if isinstance(arrow_type, pa.BaseExtensionType):
        return _has_empty_struct(arrow_type.storage_type)
    if pa.types.is_struct(arrow_type):
        return arrow_type.num_fields == 0 or any(_has_empty_struct(field.type) for field in arrow_type)
    return pa.types.is_nested(arrow_type) and _has_empty_struct(arrow_type.value_type)
