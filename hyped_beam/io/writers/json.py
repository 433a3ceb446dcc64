"""JSON lines: one object a row."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pyarrow as pa

from hyped_beam.io.filesystem import PendingFile
from hyped_beam.io.paths import Path
from hyped_beam.io.writers.base import ShardWriter, Writer
from hyped_beam.io.writers.json_text import check_holds, lines

Compression = Literal["gzip", "zstd", "bz2"]
ENDINGS: dict[str | None, str] = {None: "", "gzip": ".gz", "zstd": ".zst", "bz2": ".bz2"}


class JsonDatasetWriter(Writer):
    """Shards as JSON lines; `load_dataset("json", ..., features=...)` gives the same rows back.

    JSON has fewer types than Arrow. Times, dates and timestamps are ISO 8601 strings (UTC with `Z` where
    there is a zone), durations integers of their unit, decimals strings, binary values base64 strings,
    labels integers; NaN and infinities, which JSON lacks, are null.

    Args:
        path: The folder.
        compression: Whether and how each file is compressed.
    """

    has_schema: ClassVar[bool] = False

    compression: Compression | None = None

    def __init__(self, path: Path, *, compression: Compression | None = None, **options: Any) -> None:
        super().__init__(path, compression=compression, **options)

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


class _JsonShard(ShardWriter):
    def __init__(self, file: PendingFile, compression: str | None) -> None:
        self._file: Any = file
        if compression is not None:
            self._file = pa.CompressedOutputStream(pa.PythonFile(file, mode="w"), compression)

    def write(self, batch: pa.RecordBatch) -> None:
        for text in lines(batch):
            self._file.write(text)

    def close(self) -> None:
        self._file.close()
