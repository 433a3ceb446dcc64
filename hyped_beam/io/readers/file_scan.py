"""A scan of files: what travels to the workers, and how pieces of files become scan batches."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from hyped_beam.errors import InputError
from hyped_beam.io.contents import Contents
from hyped_beam.io.filesystem import locate
from hyped_beam.io.readers.base import BATCH_ROWS, Piece, Range, Scan, batch_of, cuts, joined
from hyped_beam.io.readers.conditions import Condition
from hyped_beam.io.readers.packing import rows_of, segments_of
from hyped_beam.io.readers.partitions import FolderColumn
from hyped_beam.io.readers.partitions import may_meet as folder_may_meet
from hyped_beam.io.unchanged import present
from hyped_beam.types.arrays import conform, full
from hyped_beam.types.spans import Span

if TYPE_CHECKING:
    from hyped_beam.io.readers.files import FileReader

_Part: TypeAlias = tuple[Span, pa.RecordBatch]
"""Where some rows of one file stand, and they themselves."""


@dataclass(frozen=True)
class FileScan(Scan):
    """Some columns of files.

    Attributes:
        reader: The reader, without features.
        columns: Names of the columns.
        schema: Names and Arrow types of all columns of the source.
        told: The columns that folders tell.
        condition: What may be used to read less; see `Reader.scan`.
        tells_files: Whether rows are told with their files; not where nobody knows of these.
    """

    reader: FileReader
    columns: tuple[str, ...]
    schema: pa.Schema
    told: tuple[FolderColumn, ...] = ()
    condition: Condition | None = None
    tells_files: bool = True

    def read(self, part: Range) -> Iterator[pa.RecordBatch]:
        """The scan batches of a range; see `Scan.read`."""
        return (batch for _, batch in self.numbered(part))

    def numbered(self, part: Range) -> Iterator[tuple[tuple[Span, ...], pa.RecordBatch]]:
        """The scan batches of a range, each with where its rows stand; see `Scan.numbered`."""
        first: int | None = 0
        for pieces in segments_of(part.pieces):
            reading = _Reading(self, pieces, first)
            if len(pieces) == 1:
                yield from (((span,), batch) for span, batch in reading.parts())
            else:
                yield from _in_shared_batches(reading.parts())
            first = reading.next_row

    def segments(self, part: Range) -> list[Range]:
        """The files of a range; of a large one several parts, of tiny ones some together."""
        found: list[Range] = []
        first = part.first_row
        for pieces in segments_of(part.pieces):
            rows = rows_of(pieces)
            found.append(Range(part.number, pieces, rows, first))
            first = None if first is None or rows is None else first + rows
        return found or [part]

    def content(self, part: Range, columns: Sequence[str], contents: Contents) -> str:
        """What some columns of a segment hold; see `Scan.content`."""
        told = [self._told[name] for name in columns if name in self._told]
        names_file = self.reader.tells_path(columns)
        described: list[Any] = [type(self.reader).__name__, self.reader.format_options(), cuts()]
        described += [[name, _told_type(self.schema.field(name).type)] for name in columns]
        for piece in part.pieces:
            described += [
                contents.of(piece.path).fingerprint,
                self.reader.told_by_name(piece.path),
                [piece.start, piece.stop, piece.joins],
                [str(column.value_in(piece.path).as_py()) for column in told],
                [piece.path, piece.first_row] if names_file else None,
            ]
        return json.dumps(described)

    def is_still(self, part: Range, contents: Contents) -> bool:
        """Whether the files hold what they held when `content` was asked for."""
        held = {piece.path: contents.of(piece.path) for piece in part.pieces}
        return all(contents.is_still(path, content) for path, content in held.items())

    @property
    def reads_all(self) -> bool:
        """Whether no rows are left out by the condition."""
        return self.condition is None

    @property
    def coalesces_batches(self) -> bool:
        """Yes: whoever has a range has all of its batches."""
        return True

    def may_meet(self, piece: Piece) -> bool:
        """Whether a row of a piece may meet the condition, by the folder it lies in."""
        if self.condition is None or not self.told:
            return True
        return folder_may_meet(piece.path, self.told, self.condition)

    def read_piece(self, piece: Piece) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The batches of a piece, each with the number of its first row there."""
        if locate(piece.path)[0].is_local:  # elsewhere that costs a request, and is seen at the end as well
            present(piece.path, piece.version)
        try:
            for row, batch in self.reader.read_piece(piece, self._stored, self.condition):
                stored = dict(zip(batch.schema.names, batch.columns, strict=True))
                columns = [self._column(name, stored, piece, row, batch.num_rows) for name in self.columns]
                yield row, batch_of(columns, self.columns, batch.num_rows)
        except Exception:  # whatever another file raises that is read by the measures of the one before
            present(piece.path, piece.version)
            raise
        present(piece.path, piece.version)

    def _column(self, name: str, stored: dict[str, pa.Array], piece: Piece, row: int, rows: int) -> pa.Array:
        arrow_type = self.schema.field(name).type
        if name in self._told:
            return full(self._told[name].value_in(piece.path), rows)
        if name == self.reader.origin:
            return _origin(piece, row, rows)
        try:
            return conform(stored[name], arrow_type)
        except (TypeError, pa.ArrowException) as error:
            raise InputError(f"column {name!r} of {piece.path} is not {arrow_type}: {error}") from None

    @cached_property
    def _stored(self) -> pa.Schema:
        """The columns that stand in the files."""
        told = {*self._told, self.reader.origin}
        return pa.schema([self.schema.field(name) for name in self.columns if name not in told])

    @cached_property
    def _told(self) -> dict[str, FolderColumn]:
        return {column.name: column for column in self.told}


def _told_type(arrow_type: pa.DataType) -> str:
    """A type as text; extensions with what only they know, such as a shape."""
    if not isinstance(arrow_type, pa.ExtensionType):
        return str(arrow_type)
    return f"{arrow_type} of {arrow_type.storage_type}: {arrow_type.__arrow_ext_serialize__().hex()}"


class _Reading:
    """Pieces as they are read, one after the other.

    Args:
        scan: The scan.
        pieces: The pieces.
        first: The number of their first row, or None where that is not known.

    Attributes:
        next_row: The number of the row behind those that were read or left out, where that is known.
    """

    def __init__(self, scan: FileScan, pieces: Sequence[Piece], first: int | None) -> None:
        self._scan = scan
        self._pieces = pieces
        self.next_row = first

    def parts(self) -> Iterator[_Part]:
        """The batches of all pieces."""
        for piece in self._pieces:
            begin, end = self.next_row, piece.rows
            told = self._scan.tells_files
            whole = Span(0, begin, piece.path if told else "", piece.first_row if told else None)
            if self._scan.may_meet(piece):
                read = 0
                for row, batch in self._scan.read_piece(piece):
                    yield whole.slice(row, batch.num_rows), batch
                    read = row + batch.num_rows
                end = read if end is None else end
            self.next_row = None if begin is None or end is None else begin + end


def _in_shared_batches(parts: Iterable[_Part]) -> Iterator[tuple[tuple[Span, ...], pa.RecordBatch]]:
    """Parts put together: pieces that know their rows fit into one batch, whichever of them are left out."""
    held: list[_Part] = []
    room = BATCH_ROWS
    for span, batch in parts:
        start = 0
        while start < span.rows:
            rows = min(span.rows - start, room)
            held.append((span.slice(start, rows), batch.slice(start, rows)))
            start, room = start + rows, room - rows
            if room == 0:
                yield _put_together(held)
                held, room = [], BATCH_ROWS
    if held:
        yield _put_together(held)


def _put_together(parts: Sequence[_Part]) -> tuple[tuple[Span, ...], pa.RecordBatch]:
    return tuple(span for span, _ in parts), joined([batch for _, batch in parts])


def _origin(piece: Piece, row: int, rows: int) -> pa.Array:
    path = full(pa.scalar(piece.path), rows)
    if piece.first_row is None:
        numbers = pa.nulls(rows, pa.int64())
    else:
        numbers = pa.array(np.arange(rows) + (piece.first_row + row), pa.int64())
    return pa.StructArray.from_arrays([path, numbers], ["path", "row"])
