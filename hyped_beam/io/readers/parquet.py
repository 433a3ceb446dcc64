"""Parquet files as a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Any, ClassVar

import pyarrow as pa

from hyped_beam.io.filesystem import FileInfo, locate
from hyped_beam.io.paths import Paths
from hyped_beam.io.readers.base import Block, Piece, batch_of, recut, scan_cuts
from hyped_beam.io.readers.conditions import Condition
from hyped_beam.io.readers.files import FileReader, damaged
from hyped_beam.io.unchanged import present
from hyped_beam.io.versions import Version


class ParquetReader(FileReader):
    """Rows of Parquet files; only the columns that somebody needs are read.

    Example:
        >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> pq.write_table(pa.table({"text": ["a", "b"], "n": [1, 2]}), folder.name + "/mail.parquet")
        >>> reader = ParquetReader(folder.name)
        >>> [batch.to_pylist() for part in reader.ranges() for batch in reader.read(part, ["n"])]
        [[{'n': 1}, {'n': 2}]]
    """

    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")
    kind: ClassVar[str] = "Parquet"

    def __init__(self, paths: Paths, features: Any = None, **options: Any) -> None:
        super().__init__(paths, features, **options)

    def schema_of(self, file: FileInfo) -> pa.Schema:
        """The Arrow schema of one file."""
        return footer(file).schema.to_arrow_schema()

    def blocks_of(self, file: FileInfo) -> list[Block]:
        """One block for each row group."""
        metadata = footer(file)
        groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
        return [
            Block(index, index + 1, stored_bytes(group), group.num_rows) for index, group in enumerate(groups)
        ]

    def told_by_name(self, uri: str) -> str:
        """Nothing."""
        del uri
        return ""

    def read_piece(
        self, piece: Piece, wanted: pa.Schema, condition: Condition | None
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The scan batches of some row groups, without those whose statistics contradict the condition."""
        import pyarrow.parquet as pq

        metadata = footer_of(piece.path, piece.version)
        groups = [metadata.row_group(number) for number in _numbers(piece, metadata)]
        counts = [group.num_rows for group in groups]
        sizes = [group.total_byte_size for group in groups]
        met = _met(piece, metadata, condition)
        if not met:
            return
        filesystem, path = locate(piece.path)
        with filesystem.open_input(path) as source:
            # What is read ahead is held in memory. It pays where every request takes its time: the columns of
            # a scan batch are then fetched at once.
            file = pq.ParquetFile(source, metadata=metadata, pre_buffer=not filesystem.is_local)
            row = 0
            for first, end, rows in scan_cuts(counts, sizes):
                total = sum(counts[first:end])
                chosen = list(range(piece.start + first, piece.start + end))
                if any(number in met for number in chosen):
                    try:
                        batches = _batches(file, chosen, total, rows, wanted.names)
                        yield from _numbered(batches, row)
                    except (pa.ArrowException, OSError) as error:
                        raise damaged(piece.path, self.kind, error) from error
                row += total


def _numbers(piece: Piece, metadata: Any) -> range:
    return range(piece.start, metadata.num_row_groups if piece.stop is None else piece.stop)


def _met(piece: Piece, metadata: Any, condition: Condition | None) -> AbstractSet[int]:
    """The row groups of a piece that may hold a row that meets a condition."""
    numbers = set(_numbers(piece, metadata))
    if condition is None or not condition.fits_statistics(metadata.schema.to_arrow_schema()):
        return numbers
    import pyarrow.dataset as ds

    # Arrow concludes from the footer alone, which is all that this file consists of.
    sink = pa.BufferOutputStream()
    metadata.write_metadata_file(sink)
    file = ds.ParquetFileFormat().make_fragment(sink.getvalue())
    met = file.subset(condition.expression, schema=condition.schema)
    return numbers & {group.id for group in met.row_groups}


def _numbered(batches: Iterator[pa.RecordBatch], row: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    for batch in batches:
        yield row, batch
        row += batch.num_rows


def _batches(
    file: Any, groups: list[int], total: int, rows: int, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    if not columns:
        for start in range(0, total, rows):
            yield batch_of([], [], min(rows, total - start))
        return
    stored = file.iter_batches(batch_size=rows, row_groups=groups, columns=list(columns))
    for batch in recut(stored, rows):
        yield batch.select(columns)


def stored_bytes(group: Any) -> int:
    """How much of its file a row group takes."""
    return sum(group.column(index).total_compressed_size for index in range(group.num_columns))


def footer(file: FileInfo) -> Any:
    """The `pyarrow.parquet.FileMetaData` of a file, read once per process while the file stays as it is.

    Raises:
        InputError: It is not a Parquet file, or is damaged.
    """
    return footer_of(file.uri, file.version)


@lru_cache(maxsize=128)
def footer_of(path: str, version: Version | None) -> Any:
    """The footer of one version of a file; see `footer`."""
    import pyarrow.parquet as pq

    filesystem, where = locate(path)
    try:
        with filesystem.open_input(where) as source:
            found = pq.read_metadata(source)
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, "Parquet", error) from error
    present(path, version)
    return found
