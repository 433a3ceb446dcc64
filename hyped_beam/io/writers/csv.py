"""CSV files: RFC 4180, with lines that end in a line feed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pydantic import ValidationInfo, field_validator

from hyped_beam.io.filesystem import PendingFile
from hyped_beam.io.paths import Path
from hyped_beam.io.writers.base import ShardWriter, Writer
from hyped_beam.io.writers.compressed_text import ENDINGS, TextCompression, TextShard
from hyped_beam.io.writers.csv_text import check_holds, header, rows


class CsvDatasetWriter(Writer):
    r"""Shards as CSV, each with a header; columns must not be nested.

    Values are the text that `JsonDatasetWriter` writes: ISO 8601 for times, base64 for binary values,
    integers for labels; NaN and infinities are `nan`, `inf` and `-inf`.

    A string that is empty, or reads like null, is in quotes; null never is. Arrow and polars tell them apart
    so, duckdb with `allow_quoted_nulls=false`; pandas, and with it `datasets`, takes both for null. A null
    in the only column needs a text, `null="NA"`: its line would be empty, and is refused without one.

    Args:
        path: The folder.
        header: Whether the first line of each file is the names of the columns.
        delimiter: What stands between fields: one character. With a tab, files are named `.tsv`.
        null: The text that stands for null.
        compression: Whether and how each file is compressed: "gzip", "zstd" or "bz2".
        **options: Those of every writer, see `Writer`.

    Raises:
        DefinitionError: An option has a wrong value.

    Example:
        >>> from hyped_beam.io.writers.csv import CsvDatasetWriter
        >>> CsvDatasetWriter("out/", delimiter="\t", null="NA", compression="gzip").suffix
        '.tsv.gz'
    """

    header: bool = True
    delimiter: str = ","
    null: str = ""
    compression: TextCompression | None = None

    def __init__(
        self,
        path: Path,
        *,
        header: bool = True,
        delimiter: str = ",",
        null: str = "",
        compression: TextCompression | None = None,
        **options: Any,
    ) -> None:
        told = {"header": header, "delimiter": delimiter, "null": null, "compression": compression}
        super().__init__(path, **told, **options)

    @field_validator("delimiter")
    @classmethod
    def _check_delimiter(cls, given: str) -> str:
        if len(given) != 1 or given in '"\n\r' or not given.isascii():
            raise ValueError("a delimiter is one ASCII character, and no quote or line end")
        return given

    @field_validator("null")
    @classmethod
    def _check_null(cls, given: str, info: ValidationInfo) -> str:
        if any(character in given for character in '"\n\r' + info.data.get("delimiter", "")):
            raise ValueError("the text of null holds no quotes, line ends or delimiters")
        return given

    @property
    def has_schema(self) -> bool:
        """A header tells the columns."""
        return self.header

    @property
    def suffix(self) -> str:
        """How the names of the files end."""
        return (".tsv" if self.delimiter == "\t" else ".csv") + ENDINGS[self.compression]

    def open_shard(self, file: PendingFile, schema: pa.Schema) -> ShardWriter:
        """Begin a shard."""
        return _CsvShard(file, schema, self)

    def check(self, schema: pa.Schema) -> None:
        """Refuse columns that are nested."""
        check_holds(schema)


class _CsvShard(TextShard):
    def __init__(self, file: PendingFile, schema: pa.Schema, options: CsvDatasetWriter) -> None:
        super().__init__(file, options.compression)
        self._options = options
        if options.header:
            self._file.write(header(schema.names, options.delimiter))

    def pieces(self, batch: pa.RecordBatch) -> Iterator[Any]:
        return rows(batch, self._options.delimiter, self._options.null)
