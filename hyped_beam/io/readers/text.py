"""Text files as a source: a row for each line, or for each file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hyped_beam.io.filesystem import FileInfo
from hyped_beam.io.paths import Paths
from hyped_beam.io.readers.agreement import check_holds
from hyped_beam.io.readers.base import Block, Piece, batch_of, rows_per_batch
from hyped_beam.io.readers.conditions import Condition
from hyped_beam.io.readers.files import FileReader
from hyped_beam.io.readers.lines import (
    BOM,
    CHUNK_BYTES,
    LONGEST_LINE,
    Chunk,
    blocks_of,
    check_utf8,
    chunks,
    compression_of,
    rows_before,
    whole_text,
)
from hyped_beam.io.readers.suffixes import compressed_suffixes
from hyped_beam.types import features as features_of

KIND = "text"


class TextReader(FileReader):
    r"""Lines of text files, or whole files.

    Lines end with a line feed, or a carriage return and a line feed; blank lines are rows. Text must be
    UTF-8. Files may be compressed: `.txt.gz`, `.txt.zst`, `.txt.bz2`.

    Args:
        paths: See `FileReader`.
        whole: Whether each file is a row, with the columns `text` and `path`; otherwise each line is one,
            with the column `text`.
        keep_line_ends: Whether lines keep what ends them.
        max_line_bytes: The most bytes of a line, or with `whole` of a file, decompressed; at least 4 MB.

    Example:
        >>> import pathlib, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> _ = pathlib.Path(folder.name, "mail.txt").write_text("Hello\n\nBye\n")
        >>> reader = TextReader(folder.name)
        >>> [batch.to_pylist() for part in reader.ranges() for batch in reader.read(part, ["text"])]
        [[{'text': 'Hello'}, {'text': ''}, {'text': 'Bye'}]]
    """

    suffixes: ClassVar[tuple[str, ...]] = compressed_suffixes((".txt", ".text", ".md", ".log"))
    kind: ClassVar[str] = KIND

    whole: bool = False
    keep_line_ends: bool = False
    max_line_bytes: int = Field(default=LONGEST_LINE, ge=CHUNK_BYTES)

    def __init__(self, paths: Paths, features: Any = None, **options: Any) -> None:
        super().__init__(paths, features, **options)

    def _schema(self) -> pa.Schema:
        names = ("text", "path") if self.whole else ("text",)
        return pa.schema([(name, pa.string()) for name in names])

    def stored_features(self, files: Sequence[FileInfo]) -> Any:
        """`text`, and with `whole` `path`."""
        del files
        return features_of.as_features(self._schema())

    def check_declared(self, files: Sequence[FileInfo], declared: Mapping[str, Any]) -> None:
        """Refuse columns that text does not have."""
        check_holds(files[0], self._schema(), declared)

    def blocks_of(self, file: FileInfo) -> list[Block]:
        """Any bytes from-to, or whole files."""
        if self.whole:
            return [Block(0, None, file.size, 1)]
        return blocks_of(file)

    def told_by_name(self, uri: str) -> str:
        """How a file is compressed."""
        return compression_of(uri) or ""

    def tells_path(self, columns: Sequence[str]) -> bool:
        """Whether a column says which file a row is from, as `path` does."""
        return super().tells_path(columns) or (self.whole and "path" in columns)

    def first_rows(self, file: FileInfo, starts: Sequence[int]) -> list[int]:
        """How many lines stand before some places."""
        return rows_before(file, KIND, starts, lambda data: data.count(b"\n"), self.max_line_bytes)

    def read_piece(
        self,
        piece: Piece,
        wanted: pa.Schema,
        condition: Condition | None,  # noqa: ARG002 - text keeps no statistics
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The lines that begin in a piece, or the whole file."""
        if self.whole:
            yield 0, _whole_file(piece, wanted.names, self.max_line_bytes)
            return
        row = 0
        for chunk in chunks(piece, KIND, self.max_line_bytes):
            check_utf8(piece.path, KIND, chunk)
            text = _lines(_without_mark(chunk).decode(), keep_ends=self.keep_line_ends)
            step = rows_per_batch(len(text), len(chunk.data))
            for start in range(0, len(text), step):
                cut = text.slice(start, step)
                yield row, batch_of([cut] * len(wanted), wanted.names, len(cut))
                row += len(cut)


def _whole_file(piece: Piece, names: Sequence[str], longest: int) -> pa.RecordBatch:
    columns = {"path": pa.array([piece.path])}
    if "text" in names:
        chunk = Chunk(0, whole_text(piece.path, KIND, longest))
        check_utf8(piece.path, KIND, chunk)
        columns["text"] = pa.array([_without_mark(chunk).decode()], pa.large_string())
    return batch_of([columns[name] for name in names], names, 1)


def _without_mark(chunk: Chunk) -> bytes:
    marked = chunk.offset == 0 and chunk.data.startswith(BOM)
    return chunk.data[len(BOM) :] if marked else chunk.data


def _lines(text: str, *, keep_ends: bool) -> pa.Array:
    lines = pc.split_pattern(pa.scalar(text, pa.large_string()), "\n").values
    ended = text.endswith("\n")
    if keep_ends:
        end, nothing = pa.scalar("\n", lines.type), pa.scalar("", lines.type)
        whole = pc.binary_join_element_wise(lines, end, nothing)
        return whole.slice(0, len(lines) - 1) if ended else _with_last(whole, lines)
    lines = lines.slice(0, len(lines) - 1) if ended else lines
    return pc.replace_substring_regex(lines, r"\r\z", "") if "\r" in text else lines


def _with_last(whole: pa.Array, lines: pa.Array) -> pa.Array:
    """Lines that end, and the last one, which does not."""
    return pa.concat_arrays([whole.slice(0, len(whole) - 1), lines.slice(len(lines) - 1)])
