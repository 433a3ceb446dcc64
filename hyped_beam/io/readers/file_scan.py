"""A scan of files: what travels to the workers, and how pieces of files become scan batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from hyped_beam.errors import InputError
from hyped_beam.io.readers.base import BATCH_ROWS, Piece, Range, Scan, batch_of, recut
from hyped_beam.io.readers.conditions import Condition
from hyped_beam.io.readers.partitions import FolderColumn, may_meet
from hyped_beam.types.arrays import conform, full

if TYPE_CHECKING:
    from hyped_beam.io.readers.files import FileReader

# Files smaller than this share scan batches: nodes pay for each batch, and some sources are many tiny files.
SHARED_BYTES = 1 << 20


@dataclass(frozen=True)
class FileScan(Scan):
    """Some columns of files.

    Attributes:
        reader: The reader, without features.
        columns: Names of the columns.
        schema: Names and Arrow types of all columns of the source.
        told: The columns that folders tell.
        condition: What may be used to read less; see `Reader.scan`.
    """

    reader: FileReader
    columns: tuple[str, ...]
    schema: pa.Schema
    told: tuple[FolderColumn, ...] = ()
    condition: Condition | None = None

    def read(self, part: Range) -> Iterator[pa.RecordBatch]:
        """The scan batches of a range; see `Scan.read`."""
        return (batch for _, batch in self.numbered(part))

    def numbered(self, part: Range) -> Iterator[tuple[int | None, pa.RecordBatch]]:
        """The scan batches of a range, each with the number of its first row there; see `Scan.numbered`."""
        first: int | None = 0
        for pieces in _shared(part.pieces):
            end: int | None = None
            if any(self._may_meet(piece) for piece in pieces):
                for row, batch in self._read(pieces):
                    end = row + batch.num_rows
                    yield None if first is None else first + row, batch
            counts = [piece.rows for piece in pieces]
            rows = end if None in counts else sum(count or 0 for count in counts)
            first = None if first is None or rows is None else first + rows

    def _may_meet(self, piece: Piece) -> bool:
        if self.condition is None:
            return True
        if self.told and not may_meet(piece.path, self.told, self.condition):
            return False
        return self.reader.may_meet(piece, self.condition)

    def _read(self, pieces: Sequence[Piece]) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Batches of pieces that are read together, each with its first row among theirs."""
        if len(pieces) == 1:
            yield from self._read_piece(pieces[0], self.condition)
            return
        row = 0
        batches = (batch for piece in pieces for _, batch in self._read_piece(piece, None))
        for batch in recut(batches, BATCH_ROWS):
            yield row, batch
            row += batch.num_rows

    def _read_piece(self, piece: Piece, condition: Condition | None) -> Iterator[tuple[int, pa.RecordBatch]]:
        for row, batch in self.reader.read_piece(piece, self._stored, condition):
            stored = dict(zip(batch.schema.names, batch.columns, strict=True))
            columns = [self._column(name, stored, piece, row, batch.num_rows) for name in self.columns]
            yield row, batch_of(columns, self.columns, batch.num_rows)

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


def _shared(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Pieces that are read together: neighbours that are small, or one alone."""
    held: list[Piece] = []
    size = rows = 0
    for piece in pieces:
        size, rows = size + piece.size, rows + (piece.rows or 0)
        if held and (size > SHARED_BYTES or rows > BATCH_ROWS):
            yield held
            held, size, rows = [], piece.size, piece.rows or 0
        held.append(piece)
    if held:
        yield held


def _origin(piece: Piece, row: int, rows: int) -> pa.Array:
    path = full(pa.scalar(piece.path), rows)
    if piece.first_row is None:
        numbers = pa.nulls(rows, pa.int64())
    else:
        numbers = pa.array(np.arange(rows) + (piece.first_row + row), pa.int64())
    return pa.StructArray.from_arrays([path, numbers], ["path", "row"])
