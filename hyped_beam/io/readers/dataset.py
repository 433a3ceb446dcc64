"""Datasets of the `datasets` library as a source: in memory, on disk, index-mapped, streamed."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
from datasets import Dataset, IterableDataset, load_from_disk
from datasets.table import ConcatenationTable, MemoryMappedTable
from pydantic import field_validator
from typing_extensions import Self

from hyped_beam.errors import InputError
from hyped_beam.io.readers.arrow import ArrowReader
from hyped_beam.io.readers.base import Piece, Range, Reader, Scan
from hyped_beam.io.readers.mapped import forget
from hyped_beam.io.readers.mapped_tables import mapped_tables, maps_its_files
from hyped_beam.io.readers.streamed import StreamedScan, fingerprint_of, shards_of, travels
from hyped_beam.io.unchanged import present
from hyped_beam.io.writing_errors import failed_writing
from hyped_beam.types import arrays
from hyped_beam.types import features as features_of
from hyped_beam.types.scratch import ScratchFolder

_DIGESTED_BYTES = 1 << 20


class DatasetReader(Reader):
    """Rows of a dataset.

    A `Dataset` is read from its own Arrow files where its rows are theirs, all and in order; otherwise the
    columns that are read are first copied to one Arrow file, which is removed with the reader. So are those
    of a dataset whose files were deleted or replaced after it was opened, and on systems other than Linux
    those of any, because there it cannot be told: a job reads the rows that the dataset shows. An
    `IterableDataset` is read shard by shard, one range each, in constant memory: in the workers where it can
    be pickled, else where the job runs.

    Args:
        data: A `datasets.Dataset`, a `datasets.IterableDataset`, or the folder of one that was saved with
            `save_to_disk`.
        features: `datasets.Features` of its rows, for an iterable that does not say them.

    Raises:
        DefinitionError: It is no dataset.
        InputError: There is no dataset in the folder.

    Example:
        >>> import datasets
        >>> reader = DatasetReader(datasets.Dataset.from_dict({"text": ["a", "b"]}))
        >>> [batch.to_pylist() for part in reader.ranges() for batch in reader.read(part, ["text"])]
        [[{'text': 'a'}, {'text': 'b'}]]
    """

    data: Any
    declared: Any = None
    columns: tuple[str, ...] | None = None

    def __init__(self, data: Any, features: Any = None, **options: Any) -> None:
        declared = options.pop("declared", None) if features is None else features
        super().__init__(data=data, declared=declared, **options)

    @field_validator("declared", mode="before")
    @classmethod
    def _take_features(cls, given: Any) -> Any:
        try:
            return None if given is None else features_of.as_features(given)
        except TypeError as error:
            raise ValueError(str(error)) from None

    @field_validator("data", mode="before")
    @classmethod
    def _take_data(cls, given: Any) -> Any:
        if isinstance(given, (Dataset, IterableDataset)):
            return given
        if isinstance(given, (str, os.PathLike)):
            return _loaded(os.fspath(given))
        raise ValueError("takes a Dataset, an IterableDataset, or the folder of a saved one")

    def selecting(self, columns: Sequence[str]) -> DatasetReader:
        """The same of some columns, so that nothing else is copied."""
        return DatasetReader(self.data, declared=self.declared, columns=tuple(columns))

    @property
    def is_streamed(self) -> bool:
        """Whether it is an `IterableDataset`."""
        return isinstance(self.data, IterableDataset)

    @cached_property
    def _features(self) -> Any:
        if self.data.features is not None:
            return self.data.features
        if self.declared is not None:
            return self.declared
        try:
            found = self.data._resolve_features().features
        except StopIteration:
            found = None
        except Exception as error:
            message = f"the dataset cannot be read: {type(error).__name__}: {error}"
            raise InputError(message) from error
        if found is None:
            raise InputError(
                "the iterable dataset has no rows, and does not say its features",
                hint="give them: DatasetReader(ds, features=...)",
            )
        return found

    @property
    def features(self) -> Any:
        """The `datasets.Features` of the rows; of an iterable that does not say them, from its first rows."""
        return self._features

    def ranges(self) -> list[Range]:
        """Ranges of its files; of an iterable one for each shard, with an unknown number of rows."""
        if not self.is_streamed:
            return self._files.ranges()
        count = shards_of(self.data)
        return [
            Range(shard, (Piece("shard", shard, shard + 1),), None, 0 if shard == 0 else None)
            for shard in range(count)
        ]

    def scan(self, columns: Sequence[str], condition: Any = None) -> Scan:
        """A scan of some columns; of an iterable the condition leaves nothing out."""
        if not self.is_streamed:
            # its files are the cache's or made for the job: no place where the user knows the rows to be
            return replace(self._files.scan(columns, condition), tells_files=False)
        features = {name: self.features[name] for name in columns}
        return StreamedScan(self.data, features, shards_of(self.data))

    def driver_reads(self, processes: int) -> bool:
        """Whether rows are read where the job runs: an iterable that no worker can have, or too few have."""
        if not self.is_streamed:
            return False
        return not travels(self.data) or shards_of(self.data) < processes

    def inputs(self) -> Sequence[str]:
        """The files of a dataset that is read from its own."""
        return self._files.inputs() if not self.is_streamed and self._copy is None else ()

    def __str__(self) -> str:
        if self.is_streamed:
            return "IterableDataset"
        return f"Dataset({self.data.num_rows:,} rows of {', '.join(self.data.column_names)})"

    def pinned(self) -> DatasetReader:
        """The same reader of the files as they are now; rows that are copied are copied now."""
        if self.is_streamed:
            return self
        current = self._current()
        made = current.model_copy()
        made.__dict__["_copy"] = current._copy
        made.__dict__["_files"] = current._files.pinned()
        if current._copy is None and not current._maps_its_files():
            return self.pinned()  # replaced just now
        return made

    def check_unchanged(self) -> None:
        """Refuse files of the dataset that are not what they were."""
        if not self.is_streamed:
            self._files.check_unchanged()

    def fingerprint(self) -> str:
        """What `datasets` itself caches by, and the versions of its files; of an iterable a hash of it."""
        if self.is_streamed:
            return fingerprint_of(self.data)
        current = self._current()
        if not current._maps_its_files():
            return f"{self.data._fingerprint} {current._digest}"
        paths = sorted({str(table.path) for table in mapped_tables(self.data)})
        versions = [present(path, None).version for path in paths]
        return f"{self.data._fingerprint} {versions}" if versions else str(self.data._fingerprint)

    def _current(self) -> DatasetReader:
        """Return this reader, or one that copies the rows if files that it reads were replaced meanwhile."""
        return self if self._copy is not None or self._maps_its_files() else self._copying

    def _maps_its_files(self) -> bool:
        return maps_its_files(mapped_tables(self.data))

    @cached_property
    def _copying(self) -> DatasetReader:
        made = DatasetReader(self.data, declared=self.declared, columns=self.columns)
        made.__dict__["_copy"] = ScratchFolder()
        return made

    @cached_property
    def _copy(self) -> ScratchFolder | None:
        """The folder that the rows are copied to, where the dataset has no files that hold just them."""
        return ScratchFolder() if own_files(self.data) is None else None

    @cached_property
    def _digest(self) -> str:
        """A digest of the rows that are read: the fingerprint of `datasets` does not tell them."""
        made = hashlib.blake2b(digest_size=16)
        for file in self._files.files():
            with Path(file.uri).open("rb") as rows:
                while data := rows.read(_DIGESTED_BYTES):
                    made.update(data)
        return made.hexdigest()

    @cached_property
    def _files(self) -> ArrowReader:
        described = self.features
        if self._copy is None:
            return ArrowReader(own_files(self.data) or (), features=described)
        path = str(self._copy.path / "rows.arrow")
        columns = list(described) if self.columns is None else list(self.columns)
        _spool(self.data, columns, path)
        return ArrowReader(path, features={name: described[name] for name in columns})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the copy of the rows, if one was made, and let go of its file; it is not read again."""
        if "_copying" in self.__dict__:
            self._copying.close()
        made = self.__dict__.get("_copy")
        if made is not None:
            forget(made.path)
            made.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """What travels cuts the same ranges and holds no rows."""
        if self.is_streamed:
            return Cuts, (self.ranges(),)
        return copy.copy, (self._files,)


class Cuts:
    """The ranges of an iterable, where only they are needed.

    Args:
        ranges: The ranges.
    """

    def __init__(self, ranges: list[Range]) -> None:
        self._ranges = ranges

    def ranges(self) -> list[Range]:
        """The ranges."""
        return self._ranges

    def check_unchanged(self) -> None:
        """Nothing: what is iterated over cannot be looked at again."""


def _loaded(folder: str) -> Dataset:
    from datasets import DatasetDict

    try:
        found = load_from_disk(folder)
    except (FileNotFoundError, OSError) as error:
        raise InputError(
            f"there is no saved dataset in {folder!r}: {str(error).splitlines()[0]}",
            hint="give the folder that save_to_disk wrote",
        ) from None
    if isinstance(found, DatasetDict):
        raise InputError(
            f"{folder!r} holds the splits {', '.join(found)}",
            hint=f"give one: {folder}/{next(iter(found), '')}",
        )
    return found


def own_files(data: Dataset) -> list[str] | None:
    """Return the Arrow files that hold a dataset's rows, all and in order; None where none are shown to."""
    if data._indices is not None or len(data) == 0:
        return None
    table = data._data
    blocks = [table]
    if isinstance(table, ConcatenationTable):
        if any(len(row) != 1 for row in table.blocks):
            return None
        blocks = [row[0] for row in table.blocks]
    if not all(isinstance(block, MemoryMappedTable) and _holds_its_file(block) for block in blocks):
        return None
    return [str(block.path) for block in blocks] if maps_its_files(blocks) else None


def _holds_its_file(block: MemoryMappedTable) -> bool:
    """Whether a table is a file as it is: what was done to it since (slicing, renaming, ...) is on record."""
    return all(replay[0] == "replace_schema_metadata" for replay in block.replays or ())


def _spool(data: Dataset, columns: list[str], path: str) -> None:
    """Copy columns to a file.

    Raises:
        InputError: It cannot be written: the disk is full, ...
    """
    with failed_writing("copy of the dataset", path, InputError):
        _copy(data, columns, path)


def _copy(data: Dataset, columns: list[str], path: str) -> None:
    selected = data.select_columns(columns)
    schema = selected.features.arrow_schema
    with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        if selected._indices is None:
            for batch in selected.data.table.to_batches(max_chunksize=65_536):
                writer.write_batch(_conformed(batch, schema))
            return
        for table in selected.with_format("arrow").iter(batch_size=16_384):
            for batch in table.to_batches():
                writer.write_batch(_conformed(batch, schema))


def _conformed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch in a schema; Arrow's own cast aborts on extension types inside lists."""
    columns = [arrays.conform(batch.column(field.name), field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
