"""Arrow IPC files as a source: streams as `datasets` writes them, and the file format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import pyarrow as pa

from hyped_beam.io.filesystem import FileInfo, locate
from hyped_beam.io.paths import Paths
from hyped_beam.io.readers.base import Block, Piece, blocks_of_batches, rows_per_batch
from hyped_beam.io.readers.conditions import Condition
from hyped_beam.io.readers.files import FileReader, damaged
from hyped_beam.io.readers.mapped import FILE_FORMAT, opened
from hyped_beam.io.readers.soundness import check_sound

# A store answers few large requests faster than many small ones.
FETCHED_BYTES = 4 << 20


class ArrowReader(FileReader):
    """Rows of Arrow IPC files, memory-mapped: nothing is copied that is stored in batches large enough.

    Example:
        >>> import datasets, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> datasets.Dataset.from_dict({"text": ["a", "b"]}).save_to_disk(folder.name)
        >>> reader = ArrowReader(folder.name)
        >>> [batch.to_pylist() for part in reader.ranges() for batch in reader.read(part, ["text"])]
        [[{'text': 'a'}, {'text': 'b'}]]
    """

    suffixes: ClassVar[tuple[str, ...]] = (".arrow", ".feather", ".ipc")
    kind: ClassVar[str] = "Arrow"

    def __init__(self, paths: Paths, features: Any = None, **options: Any) -> None:
        super().__init__(paths, features, **options)

    def schema_of(self, file: FileInfo) -> pa.Schema:
        """The Arrow schema of one file."""
        if not _is_local(file.uri):
            with _streamed(file.uri) as (schema, _):
                return schema
        return opened(file.uri, file.version).schema

    def blocks_of(self, file: FileInfo) -> list[Block]:
        """Blocks of stored batches, several for a large one; one for a remote or compressed file."""
        if not _is_local(file.uri):
            return [Block(0, None, file.size, None)]
        mapped = opened(file.uri, file.version)
        if mapped.compressed:
            return [Block(0, None, file.size, None)]
        return blocks_of_batches(mapped.counts, mapped.sizes)

    def told_by_name(self, uri: str) -> str:
        """Nothing."""
        del uri
        return ""

    def read_piece(
        self,
        piece: Piece,
        wanted: pa.Schema,
        condition: Condition | None,  # noqa: ARG002 - Arrow files keep no statistics
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The scan batches of rows from-to."""
        row = 0
        for batch in self._read(piece, wanted.names):
            yield row, batch
            row += batch.num_rows

    def _read(self, piece: Piece, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        if not _is_local(piece.path):
            with _streamed(piece.path) as (_, batches):
                yield from _cut(batches, columns)
            return
        mapped = opened(piece.path, piece.version)
        stop = mapped.num_rows if piece.stop is None else piece.stop
        try:
            if mapped.compressed:
                yield from _cut(mapped.stored(), columns)
            else:
                yield from mapped.read(piece.start, stop, columns)
        except (pa.ArrowException, OSError) as error:
            raise damaged(piece.path, self.kind, error) from error


def _is_local(uri: str) -> bool:
    return locate(uri)[0].is_local


def _cut(batches: Iterable[pa.RecordBatch], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        check_sound(batch)
        rows = rows_per_batch(batch.num_rows, batch.nbytes)
        chosen = batch.select(columns)
        for start in range(0, batch.num_rows, rows):
            yield chosen.slice(start, rows)


@contextmanager
def _streamed(uri: str) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """The schema and the batches of a file that is elsewhere, read from its beginning to its end."""
    filesystem, path = locate(uri)
    try:
        with filesystem.open_input(path) as file:
            is_file = file.read(len(FILE_FORMAT)) == FILE_FORMAT
            file.seek(0)
            if is_file:
                stored = pa.ipc.open_file(file)
                batches = (stored.get_batch(index) for index in range(stored.num_record_batches))
            else:
                stored = batches = pa.ipc.open_stream(pa.BufferedInputStream(file, FETCHED_BYTES))
            yield stored.schema, batches
    except (pa.ArrowException, OSError) as error:
        raise damaged(uri, ArrowReader.kind, error) from error
