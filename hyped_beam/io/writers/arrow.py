"""Arrow IPC streams, the files that `datasets` itself works on."""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow as pa

from hyped_beam.io.filesystem import PendingFile
from hyped_beam.io.paths import Path
from hyped_beam.io.writers.base import ShardWriter, Writer


class ArrowDatasetWriter(Writer):
    """Shards as Arrow streams: `datasets.Dataset.from_file` maps one, `load_dataset("arrow", ...)` all.

    Every feature is kept, its metadata included.

    Args:
        path: The folder.
    """

    suffix: ClassVar[str] = ".arrow"

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(path, **options)

    def open_shard(self, file: PendingFile, schema: pa.Schema) -> ShardWriter:
        """Begin a shard."""
        return _ArrowShard(file, schema)


class _ArrowShard(ShardWriter):
    def __init__(self, file: PendingFile, schema: pa.Schema) -> None:
        self._stream = pa.ipc.new_stream(file, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        self._stream.write_batch(batch)

    def close(self) -> None:
        self._stream.close()
