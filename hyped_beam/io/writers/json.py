"""JSON lines: one object a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from hyped_beam.io.filesystem import PendingFile
from hyped_beam.io.paths import Path
from hyped_beam.io.writers.base import ShardWriter, Writer
from hyped_beam.io.writers.compressed_text import ENDINGS, TextCompression, TextShard
from hyped_beam.io.writers.json_text import check_holds, lines


class JsonDatasetWriter(Writer):
    """Shards as JSON lines; `load_dataset("json", ..., features=...)` gives the same rows back.

    JSON has fewer types than Arrow. Times, dates and timestamps are ISO 8601 strings (UTC with `Z` where
    there is a zone), durations integers of their unit, decimals strings, binary values base64 strings,
    labels integers; NaN and infinities, which JSON lacks, are null.

    Args:
        path: The folder.
        compression: Whether and how each file is compressed: "gzip", "zstd" or "bz2".
        **options: Those of every writer, see `Writer`.

    Raises:
        DefinitionError: An option has a wrong value.

    Example:
        >>> from hyped_beam.io.writers.json import JsonDatasetWriter
        >>> JsonDatasetWriter("out/", compression="zstd", max_shard_rows=100_000).suffix
        '.jsonl.zst'
    """

    compression: TextCompression | None = None

    def __init__(self, path: Path, *, compression: TextCompression | None = None, **options: Any) -> None:
        super().__init__(path, compression=compression, **options)

    @property
    def has_schema(self) -> bool:
        """Only rows tell the columns."""
        return False

    @property
    def suffix(self) -> str:
        """How the names of the files end."""
        return ".jsonl" + ENDINGS[self.compression]

    def open_shard(self, file: PendingFile, schema: pa.Schema) -> ShardWriter:  # noqa: ARG002 - each line tells
        """Begin a shard."""
        return _JsonShard(file, self.compression)

    def check(self, schema: pa.Schema) -> None:
        """Refuse types that have no form in JSON."""
        check_holds(schema)


class _JsonShard(TextShard):
    def pieces(self, batch: pa.RecordBatch) -> Iterator[pa.Buffer]:
        return lines(batch)
