"""Arrow IPC files as a source: streams as `datasets` writes them, and the file format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pyarrow as pa

from hyped_beam.io.filesystem import FileInfo, locate
from hyped_beam.io.paths import Paths
from hyped_beam.io.readers.base import Block, Piece, joined, rows_per_batch, rows_per_block, scan_cuts
from hyped_beam.io.readers.files import FileReader, damaged
from hyped_beam.io.readers.mapped import MappedFile, opened


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
        return opened(file).schema

    def blocks_of(self, file: FileInfo) -> list[Block]:
        """One block for each stored batch, several for a large one, one for a whole compressed file."""
        mapped = opened(file)
        if mapped.compressed:
            return [Block(0, None, file.size, None)]
        blocks = []
        start = 0
        for count, size in zip(mapped.counts, mapped.sizes, strict=True):
            step = rows_per_block(count, size, mapped.num_rows)
            for first in range(0, count, step):
                rows = min(step, count - first)
                blocks.append(Block(start + first, start + first + rows, size * rows // count, rows))
            start += count
        return blocks

    def read_piece(self, piece: Piece, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The scan batches of rows from-to."""
        filesystem, path = locate(piece.path)
        info = filesystem.info(path)
        if info is None:
            raise damaged(piece.path, self.kind, FileNotFoundError("it is gone"))
        mapped = opened(info)
        if mapped.compressed:
            try:
                yield from _decompressed(mapped, columns)
            except (pa.ArrowException, OSError) as error:
                raise damaged(piece.path, self.kind, error) from error
            return
        parts = mapped.parts(piece.start, mapped.num_rows if piece.stop is None else piece.stop)
        for first, stop, rows in scan_cuts((part.rows, part.size) for part in parts):
            held = [mapped.read(part) for part in parts[first:stop]]
            batch = joined([stored.select(columns) for stored in held])
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows)
            mapped.release(held)


def _decompressed(mapped: MappedFile, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for batch in mapped.stored():
        rows = rows_per_batch(batch.num_rows, batch.nbytes)
        chosen = batch.select(columns)
        for start in range(0, batch.num_rows, rows):
            yield chosen.slice(start, rows)
