"""Files of text that may be compressed, as JSON lines and CSV are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Literal

import pyarrow as pa

from hyped_beam.io.filesystem import PendingFile
from hyped_beam.io.writers.base import ShardWriter

TextCompression = Literal["gzip", "zstd", "bz2"]

ENDINGS: dict[str | None, str] = {None: "", "gzip": ".gz", "zstd": ".zst", "bz2": ".bz2"}
"""What the names of compressed files end with."""


class TextShard(ShardWriter):
    """A shard of text.

    Args:
        file: Where its bytes go.
        compression: How it is compressed, if at all. None of them writes times or names into the file.
    """

    def __init__(self, file: PendingFile, compression: TextCompression | None) -> None:
        self._file: Any = file
        if compression is not None:
            self._file = pa.CompressedOutputStream(pa.PythonFile(file, mode="w"), compression)

    @abstractmethod
    def pieces(self, batch: pa.RecordBatch) -> Iterator[Any]:
        """The text of the rows of a batch, as buffers of bytes."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows of a batch."""
        for piece in self.pieces(batch):
            self._file.write(piece)

    def close(self) -> None:
        """Write what the compression holds."""
        self._file.close()
