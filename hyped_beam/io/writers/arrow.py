"""Arrow IPC streams, the files that `datasets` itself works on."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pyarrow as pa

from hyped_beam.io.filesystem import PendingFile
from hyped_beam.io.paths import Path
from hyped_beam.io.writers.base import ShardWriter, Writer


class ArrowDatasetWriter(Writer):
    """Shards as Arrow streams: `datasets.Dataset.from_file` maps one, `load_dataset("arrow", ...)` all.

    Every feature is kept, its metadata included.

    Args:
        path: The folder.
        compression: Whether and how columns are compressed: "lz4" or "zstd". A file that is can no longer be
            mapped into memory as it is.
        **options: Those of every writer, see `Writer`.

    Raises:
        DefinitionError: An option has a wrong value.

    Example:
        >>> from hyped_beam.io.writers.arrow import ArrowDatasetWriter
        >>> ArrowDatasetWriter("out/", compression="zstd").suffix
        '.arrow'
    """

    suffix: ClassVar[str] = ".arrow"

    compression: Literal["lz4", "zstd"] | None = None

    def __init__(
        self, path: Path, *, compression: Literal["lz4", "zstd"] | None = None, **options: Any
    ) -> None:
        super().__init__(path, compression=compression, **options)

    def open_shard(self, file: PendingFile, schema: pa.Schema) -> ShardWriter:
        """Begin a shard."""
        return _ArrowShard(file, schema, self.compression)


class _ArrowShard(ShardWriter):
    def __init__(self, file: PendingFile, schema: pa.Schema, compression: str | None) -> None:
        options = pa.ipc.IpcWriteOptions(compression=compression)
        self._stream = pa.ipc.new_stream(file, schema, options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        self._stream.write_batch(batch)

    def close(self) -> None:
        self._stream.close()
