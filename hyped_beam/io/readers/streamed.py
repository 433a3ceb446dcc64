"""Iterable datasets: which shards can be read apart, whether they travel, and how they become batches."""

from __future__ import annotations

import io
import itertools
import pickle
import uuid
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import cloudpickle
import pyarrow as pa
from datasets import IterableDataset
from datasets.table import MemoryMappedTable
from typing_extensions import Buffer

from hyped_beam.errors import FlowError, InputError, JobError, nearest_name
from hyped_beam.io.readers.base import Range, Scan, batch_of
from hyped_beam.io.readers.mapped_tables import maps_its_files
from hyped_beam.types import arrays
from hyped_beam.types import features as features_of
from hyped_beam.types.encoding import ENCODING_ERRORS, encode

# Few rows a batch: a row of an iterable costs Python anyway, and even one shard is shared by processes.
BATCH_ROWS = 4_096
BATCH_BYTES = 2 << 20
READ_ROWS = 256
# An iterable over a dataset in memory holds all of its rows, which would be sent to every worker.
LARGEST_PICKLE = 64 << 20

_IN_ORDER = (
    "ExamplesIterable",
    "ArrowExamplesIterable",
    "RebatchedArrowExamplesIterable",
    "SelectColumnsIterable",
    "FormattedExamplesIterable",
)
_ROW_BY_ROW = ("MappedExamplesIterable", "FilteredExamplesIterable")


def shards_of(data: IterableDataset) -> int:
    """How many parts can be read apart so that one after the other they are the dataset, row by row."""
    if data.epoch or data._distributed or data._starting_state_dict:
        return 1
    return data.num_shards if _in_shards(data._ex_iterable) else 1


def _in_shards(iterable: Any) -> bool:
    kind = type(iterable).__name__
    inner = getattr(iterable, "ex_iterable", None)
    if kind in _IN_ORDER or getattr(iterable, "keeps_shards", False):
        return inner is None or _in_shards(inner)
    # What is done to whole batches, or by the number of a row, differs where shards begin.
    by_row = kind in _ROW_BY_ROW and not iterable.batched and not iterable.with_indices
    return by_row and _in_shards(inner)


def travels(data: IterableDataset) -> bool:
    """Whether a worker can be sent the dataset."""
    return not _stays(data._ex_iterable) and _pickled(data) is not None


def _stays(iterable: Any) -> bool:
    """Whether what is read changes something in this process, as live aggregates."""
    if getattr(iterable, "stays_in_process", False):
        return True
    inner = [getattr(iterable, "ex_iterable", None), *getattr(iterable, "ex_iterables", ())]
    return any(_stays(one) for one in inner if one is not None)


class _Bounded(io.BytesIO):
    def write(self, data: Buffer) -> int:
        if self.tell() + memoryview(data).nbytes > LARGEST_PICKLE:
            raise pickle.PicklingError("too large")
        return super().write(data)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc] # cloudpickle has no types
    """Refuse tables whose files were replaced: what is pickled of them is the path."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, MemoryMappedTable) and not maps_its_files([obj]):
            raise pickle.PicklingError("another process would map another file")
        return super().reducer_override(obj)


def _pickled(data: Any) -> bytes | None:
    into = _Bounded()
    try:
        _Pickler(into).dump(data)
    except Exception:  # noqa: BLE001 - pickle raises whatever the object's methods do
        return None
    return into.getvalue()


def fingerprint_of(data: IterableDataset) -> str:
    """A hash of what is iterated over; of what cannot be hashed, of what it looks like."""
    from datasets.fingerprint import Hasher

    try:
        return str(Hasher.hash([data._ex_iterable, data.epoch, data._starting_state_dict]))
    except Exception:  # noqa: BLE001 - pickle raises whatever the object's methods do
        return str(Hasher.hash(repr(data)))


_here: weakref.WeakValueDictionary[str, StreamedScan] = weakref.WeakValueDictionary()


class StreamedScan(Scan):
    """Some columns of an iterable dataset; in its own process it stays the one that it is.

    Args:
        data: The dataset.
        features: The columns, with their features.
        shards: How many shards are read apart.
    """

    def __init__(self, data: IterableDataset, features: Mapping[str, Any], shards: int) -> None:
        self.data = data
        self.features = dict(features)
        self.shards = shards
        self._name = uuid.uuid4().hex
        _here[self._name] = self

    def read(self, part: Range) -> Iterator[pa.RecordBatch]:
        """The batches of a shard.

        Raises:
            InputError: A column is missing, or holds other values than its feature says; or what makes the
                rows raised.
        """
        (piece,) = part.pieces
        try:
            yield from self._batches(piece.start)
        except FlowError:
            raise
        except Exception as error:
            message = f"shard {piece.start} of the dataset cannot be read: {type(error).__name__}: {error}"
            raise InputError(message) from error

    def _batches(self, shard: int) -> Iterator[pa.RecordBatch]:
        data = self.data if self.shards == 1 else self.data.shard(self.shards, shard)
        if not self.features:
            return _counted(data)
        # A loaded state is that of the dataset exactly as it is, read row by row.
        if data._ex_iterable.iter_arrow and not data._starting_state_dict:
            return _gathered(self._from_tables(data))
        return _gathered(self._from_rows(data))

    def _from_tables(self, data: IterableDataset) -> Iterator[pa.RecordBatch]:
        read = data if data.features is None else data.select_columns(list(self.features))
        read = read.with_format("arrow")
        read.set_epoch(data.epoch)
        for table in read.iter(batch_size=READ_ROWS):
            _check_columns(self.features, table.column_names)
            yield batch_of(
                [self._conformed(name, table.column(name)) for name in self.features],
                list(self.features),
                table.num_rows,
            )

    def _conformed(self, name: str, column: pa.ChunkedArray) -> pa.Array:
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        try:
            return arrays.conform(array, features_of.to_arrow(self.features[name]))
        except ENCODING_ERRORS as error:
            raise self._wrong(name, error) from error

    def _from_rows(self, data: IterableDataset) -> Iterator[pa.RecordBatch]:
        rows = iter(data if data._starting_state_dict else _undecoded(data))
        seen: set[str] = set()
        while taken := list(itertools.islice(rows, READ_ROWS)):
            seen.update(*taken)
            _check_columns(self.features, seen)  # single rows may lack a value, but not all from the first on
            yield batch_of(
                [self._encoded(name, [row.get(name) for row in taken]) for name in self.features],
                list(self.features),
                len(taken),
            )

    def _encoded(self, name: str, values: list[Any]) -> pa.Array:
        try:
            return encode(values, self.features[name])
        except ENCODING_ERRORS as error:
            raise self._wrong(name, error) from error

    def _wrong(self, name: str, error: Exception) -> InputError:
        wanted = features_of.describe(self.features[name])
        return InputError(f"column {name!r} of the dataset does not hold {wanted}: {error}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._name, _pickled(self.data), self.features, self.shards)


def _undecoded(data: IterableDataset) -> IterableDataset:
    """The dataset without what is done to its rows for who looks at them, as images that are decoded."""
    plain = data.with_format(None)
    if plain.features is not None:
        plain = plain.decode(enable=False)
    plain.set_epoch(data.epoch)
    return plain


def _restored(name: str, data: bytes | None, features: Mapping[str, Any], shards: int) -> StreamedScan:
    here = _here.get(name)
    if here is not None:
        return here
    if data is None:
        raise JobError("the iterable dataset cannot be sent to another process")
    return StreamedScan(pickle.loads(data), features, shards)  # noqa: S301 - made by this job's driver


def _check_columns(wanted: Mapping[str, Any], names: Any) -> None:
    for name in wanted:
        if name not in names:
            close = nearest_name(name, names)
            raise InputError(
                f"the dataset has no column {name!r}, which is read",
                hint=f"did you mean {close!r}?" if close else f"there are: {', '.join(sorted(names))}",
            )


def _counted(data: IterableDataset) -> Iterator[pa.RecordBatch]:
    rows = iter(data)
    while count := sum(1 for _ in itertools.islice(rows, BATCH_ROWS)):
        yield batch_of([], [], count)


def _gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches of some size; where one ends follows from the rows alone."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= BATCH_ROWS or size >= BATCH_BYTES:
            yield pa.concat_batches(held)
            held, rows, size = [], 0, 0
    if held:
        yield pa.concat_batches(held)
