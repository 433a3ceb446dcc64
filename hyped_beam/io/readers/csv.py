"""CSV files as a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from hyped_beam.errors import InputError
from hyped_beam.io.filesystem import FileInfo
from hyped_beam.io.paths import Paths
from hyped_beam.io.readers.agreement import lacks
from hyped_beam.io.readers.base import Block, Piece, batch_of, rows_per_batch
from hyped_beam.io.readers.conditions import Condition
from hyped_beam.io.readers.csv_text import Dialect, column_names, parsed_type, tables
from hyped_beam.io.readers.csv_types import inferred
from hyped_beam.io.readers.csv_values import Decoder
from hyped_beam.io.readers.empty_outputs import EmptyOutput
from hyped_beam.io.readers.files import FileReader
from hyped_beam.io.readers.lines import blocks_of, bounds, compression_of, rows_before
from hyped_beam.io.readers.numbers import Numbers, warn_of_texts
from hyped_beam.io.readers.suffixes import compressed_suffixes
from hyped_beam.types import features as features_of


class CsvReader(FileReader):
    r"""Rows of CSV files.

    Types are those of `features=`. There, values are expected as `CsvDatasetWriter` writes them: timestamps,
    dates and times as ISO 8601, durations as numbers of their unit, binary values as base64. Without
    `features=` all files are read once to find the types: a column is int64, float64 or bool (`true`,
    `false`) where all its values are, and else a string; numbers with leading zeros are strings, and so are
    times.

    Empty lines are left out. Files may be compressed: `.csv.gz`, `.csv.zst`, `.csv.bz2`.

    Args:
        paths: See `FileReader`.
        delimiter: What stands between values: one character; a tab for `.tsv` files, else a comma.
        quote: What quotes are, doubled within quotes; None where quotes are characters like others.
        header: Whether the first line of each file is the names of the columns.
        names: The names of the columns, of files without a header.
        null_values: The texts that stand for null where they are not in quotes.
        newlines_in_values: Whether quoted values may hold line ends. Files where none does are cut into
            ranges, which are read side by side.

    Example:
        >>> import pathlib, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> _ = pathlib.Path(folder.name, "mail.csv").write_text('text,n\n"a, b",1\nc,\n')
        >>> reader = CsvReader(folder.name)
        >>> [batch.to_pylist() for part in reader.ranges() for batch in reader.read(part, ["n", "text"])]
        [[{'n': 1, 'text': 'a, b'}, {'n': None, 'text': 'c'}]]
    """

    suffixes: ClassVar[tuple[str, ...]] = compressed_suffixes((".csv", ".tsv"))
    infers_types: ClassVar[bool] = True
    kind: ClassVar[str] = "CSV"

    delimiter: str | None = None
    quote: str | None = '"'
    header: bool = True
    names: tuple[str, ...] | None = Field(default=None, min_length=1)
    null_values: tuple[str, ...] = ("",)
    newlines_in_values: bool = True

    def __init__(self, paths: Paths, features: Any = None, **options: Any) -> None:
        super().__init__(paths, features, **options)

    @field_validator("delimiter", "quote")
    @classmethod
    def _check_character(cls, given: str | None) -> str | None:
        if given is not None and (len(given) != 1 or not given.isascii() or given in "\r\n"):
            raise ValueError("it is one ASCII character, and no line end")
        return given

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.header == (self.names is not None):
            raise ValueError("names= are given for files without a header, header=False")
        if self.names is not None and len(set(self.names)) < len(self.names):
            raise ValueError("names= holds a name twice")
        if self.delimiter is not None and self.delimiter == self.quote:
            raise ValueError("delimiter= and quote= are the same character")
        return self

    def _dialect(self, uri: str) -> Dialect:
        by_name = "\t" if ".tsv" in uri.rpartition("/")[2].lower() else ","
        delimiter = self.delimiter or by_name
        return Dialect(delimiter, self.quote, self.names, self.null_values, self.newlines_in_values)

    def stored_features(self, files: Sequence[FileInfo]) -> Any:
        """The types of all values of all files, as one type for each column."""
        (first, types), *others = ((file, inferred(file, self._dialect(file.uri))) for file in files)
        for file, found in others:
            for name in [*types, *found]:
                if name not in found or name not in types:
                    having, lacking = (first, file) if name in types else (file, first)
                    message = (
                        f"the files disagree: {having.uri} has a column {name!r}, {lacking.uri} has none"
                    )
                    raise InputError(message, hint="declare the columns that all files have: features=...")
            types = {name: types[name].with_values_of(found[name]) for name in types}
        texts = {name: kind.numbers for name, kind in types.items() if kind.is_long}
        warn_of_texts(texts, ((file.uri, self._numbers_of(file)) for file in files))
        return features_of.as_features(pa.schema([(name, kind.arrow_type) for name, kind in types.items()]))

    def _numbers_of(self, file: FileInfo) -> Iterator[tuple[str, Numbers]]:
        """What the numbers of the columns of a file are."""
        return ((name, kind.numbers) for name, kind in inferred(file, self._dialect(file.uri)).items())

    def features_without_rows(self, outputs: Sequence[EmptyOutput]) -> dict[str, Any]:
        """The features of outputs without rows, under the names that are given."""
        renamed = outputs if self.names is None else [output.renamed(self.names) for output in outputs]
        return super().features_without_rows(renamed)

    def check_declared(self, files: Sequence[FileInfo], declared: Mapping[str, Any]) -> None:
        """Refuse files that lack a column, and types that CSV cannot hold; values are looked at when read."""
        for name, feature in declared.items():
            try:
                parsed_type(features_of.to_arrow(feature))
            except NotImplementedError:
                message = f"CSV cannot hold column {name!r}, declared as {features_of.describe(feature)}"
                raise InputError(message, hint="declare a string, and convert it in the flow") from None
        for file in files:
            names = column_names(file.uri, file.version, self._dialect(file.uri))
            for name in declared:
                if name not in names:
                    raise lacks(file.uri, name, names)

    def blocks_of(self, file: FileInfo) -> list[Block]:
        """A whole file; any bytes from-to where line ends are ends of rows."""
        return blocks_of(file, whole=self.newlines_in_values)

    def told_by_name(self, uri: str) -> str:
        """What stands between values, and how the file is compressed."""
        return f"{self._dialect(uri)} {compression_of(uri) or ''}"

    def first_rows(self, file: FileInfo, starts: Sequence[int]) -> list[int]:
        """How many rows stand before some places."""
        lines = rows_before(file, self.kind, starts, _filled_lines)
        return [max(count - 1, 0) if self.header else count for count in lines]

    def read_piece(
        self,
        piece: Piece,
        wanted: pa.Schema,
        condition: Condition | None,  # noqa: ARG002 - CSV keeps no statistics
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The rows of a file, or those whose lines begin in a piece."""
        parsed = pa.schema([(field.name, parsed_type(field.type)) for field in wanted])
        row = 0
        decoder = Decoder(piece, self._dialect(piece.path))
        for stored, size, has_hexadecimal in tables(piece, self._dialect(piece.path), parsed):
            if has_hexadecimal:
                decoder.refuse_hexadecimal(wanted)
            columns = [decoder.decode(stored[field.name], field) for field in wanted]
            batch = batch_of(columns, wanted.names, stored.num_rows)
            step = rows_per_batch(batch.num_rows, size)
            for start in range(0, batch.num_rows, step):
                cut = batch.slice(start, step)
                yield row, cut
                row += cut.num_rows


def _filled_lines(data: bytes) -> int:
    starts, ends = bounds(data)
    return int((ends > starts).sum())
