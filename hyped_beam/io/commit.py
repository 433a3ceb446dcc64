"""The commit of a job's outputs: files appear whole or not at all, once, whatever dies in between.

An output is a folder of shards, `part-00003.jsonl` for range 3, with our bookkeeping beside them:

    __hyped_beam__/fingerprint.json      written first: which job this folder belongs to
    __hyped_beam__/ranges/00003.arrow    states of the range's aggregates
    __hyped_beam__/ranges/00003.json     the record of the range, written when all its shards are in place
    __hyped_beam__/manifest.json         written last: all shards, rows, checksums

States and records of all outputs are kept with the first one, so that one rename decides whether a range
is done. Ranges may be committed by any number of processes at once, and several times: the name of a file
follows from what it holds, and doing a range again puts the same bytes in the same place.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import xxhash

from hyped_beam.errors import CallSite, DefinitionError, InputError, JobError, nearest_name
from hyped_beam.io.filesystem import PendingFile
from hyped_beam.io.folders import OutputFolder
from hyped_beam.io.records import Manifest, RangeRecord, Shard
from hyped_beam.io.writers.base import ShardWriter, Writer

__all__ = [
    "Destination",
    "Manifest",
    "RangeCommit",
    "RangeRecord",
    "Shard",
    "done_ranges",
    "finish",
    "prepare",
    "read_manifest",
    "read_record",
    "read_states",
]

OVERWRITES = ("error", "replace", "resume")


@dataclass(frozen=True)
class Destination:
    """An output of a job.

    Attributes:
        name: Its name in the job.
        writer: Where its rows go, and in which format.
        schema: Of its rows.
    """

    name: str
    writer: Writer
    schema: pa.Schema

    @property
    def folder(self) -> OutputFolder:
        """Where its shards go."""
        return OutputFolder.at(self.writer.path)


# --------------------------------------------------------------------------------------------- before a job


def prepare(
    destinations: Sequence[Destination],
    fingerprint: str | Mapping[str, str],
    overwrite: str = "error",
) -> None:
    """Make the folders ready; called once, before any range is begun.

    Args:
        destinations: The outputs.
        fingerprint: Of all that decides what is written; a mapping lets a refusal say what has changed.
        overwrite: What is done with the output of an earlier job: "error" refuses it, "replace" removes it,
            "resume" keeps the ranges that are done.

    Raises:
        InputError: A folder holds other things, or an output that is not to be overwritten, or the output of
            another job than the one resumed; nothing was written.
        DefinitionError: An output cannot be what it is told to be; nothing was written.
    """
    if overwrite not in OVERWRITES:
        close = nearest_name(overwrite, OVERWRITES)
        hint = f"did you mean {close!r}?" if close else f"one of {', '.join(map(repr, OVERWRITES))}"
        raise DefinitionError(f"overwrite= is {overwrite!r}", site=CallSite.nearest(), hint=hint)
    told = {"job": fingerprint} if isinstance(fingerprint, str) else dict(fingerprint)
    _check_apart(destinations)
    for destination in destinations:
        destination.writer.check(destination.schema)
    try:
        held = [_check(destination, told, overwrite) for destination in destinations]
        for destination, holds in zip(destinations, held, strict=True):
            if holds:
                _reopen(destination.folder, overwrite)
            destination.folder.write_fingerprint(_fingerprint_of(destination, told))
    except OSError as error:
        raise InputError(f"the output cannot be written: {error}") from error


def _check_apart(destinations: Sequence[Destination]) -> None:
    seen: dict[str, str] = {}
    for destination in destinations:
        path = destination.folder.path
        for other, name in seen.items():
            if path == other or path.startswith(other + "/") or other.startswith(path + "/"):
                shared = f"share the folder {destination.writer.path!r}"
                message = f"the outputs {name!r} and {destination.name!r} {shared}"
                raise InputError(message, hint="give each output a folder of its own")
        seen[path] = destination.name


def _fingerprint_of(destination: Destination, told: Mapping[str, str]) -> dict[str, str]:
    options = destination.writer.model_copy(update={"path": "", "overwrite": "error"})
    return {
        **told,
        "output": destination.name,
        "writer": f"{type(options).__name__} {options.model_dump_json()}",
    }


def _check(destination: Destination, told: Mapping[str, str], overwrite: str) -> bool:
    folder = destination.folder
    if not folder.holds_output():
        return False
    if overwrite == "error":
        kind = "output" if folder.filesystem.info(folder.manifest) else "unfinished output"
        message = f"the folder {folder.given!r} holds the {kind} of an earlier job"
        raise InputError(message, hint='overwrite="replace" removes it, overwrite="resume" continues it')
    if overwrite == "resume":
        _check_same(folder, _fingerprint_of(destination, told))
    return True


def _check_same(folder: OutputFolder, wanted: Mapping[str, str]) -> None:
    found = folder.read_fingerprint()
    changed = [name for name in wanted if found.get(name) != wanted[name]]
    if changed:
        message = f"the output in {folder.given!r} cannot be resumed: another {' and '.join(changed)} made it"
        raise InputError(message, hint='overwrite="replace" begins anew')


def _reopen(folder: OutputFolder, overwrite: str) -> None:
    if overwrite == "replace":
        folder.clear()
    folder.filesystem.delete(folder.manifest)
    folder.remove_temporaries()


# ------------------------------------------------------------------------------------------------- a range


class RangeCommit:
    """What one range writes. Until `commit` nothing of it can be seen.

    Args:
        destinations: The outputs of the job.
        number: The number of the range.
    """

    def __init__(self, destinations: Sequence[Destination], number: int) -> None:
        self._number = number
        self._destinations = {destination.name: destination for destination in destinations}
        self._shards: dict[str, _PendingShard] = {}
        self._over = False

    def write(self, output: str, batch: pa.RecordBatch) -> None:
        """Append rows to an output."""
        if batch.num_rows == 0:
            return
        if output not in self._shards:
            self._shards[output] = _PendingShard(self._destinations[output], self._number)
        self._shards[output].write(batch)

    def commit(self, states: bytes | None = None) -> RangeRecord:
        """Make all that was written appear, and the range done.

        Args:
            states: The states of the range's aggregates, where it has any.

        Returns:
            What was written, which is what `read_record` finds from now on.
        """
        if self._over:
            raise JobError(f"range {self._number} was committed or aborted already")
        try:
            return self._publish(states)
        finally:
            self.abort()

    def abort(self) -> None:
        """Leave nothing behind; after `commit` nothing happens."""
        self._over = True
        for shard in self._shards.values():
            shard.file.discard()

    def _publish(self, states: bytes | None) -> RangeRecord:
        for shard in self._shards.values():
            shard.close()
        for name, destination in self._destinations.items():
            if name in self._shards:
                self._shards[name].file.publish()
            else:  # an attempt before this one may have died between its shard and its record
                destination.folder.filesystem.delete(_shard_path(destination, self._number))
        outputs = {
            name: (self._shards[name].shard(),) if name in self._shards else () for name in self._destinations
        }
        checksum = "xxh128:" + xxhash.xxh3_128(states).hexdigest() if states else None
        record = RangeRecord(self._number, outputs, checksum)
        if self._destinations:
            home = next(iter(self._destinations.values())).folder
            if states:
                home.filesystem.write(home.states(self._number), states)
            home.filesystem.write(home.record(self._number), record.to_json().encode())
        return record


class _PendingShard:
    def __init__(self, destination: Destination, number: int) -> None:
        path = _shard_path(destination, number)
        self._schema = destination.schema
        self._name = path.rpartition("/")[2]
        self._rows = 0
        self.file: PendingFile = destination.folder.filesystem.create(path)
        try:
            self._writer: ShardWriter = destination.writer.open_shard(self.file, destination.schema)
        except BaseException:
            self.file.discard()
            raise

    def write(self, batch: pa.RecordBatch) -> None:
        if not batch.schema.equals(self._schema, check_metadata=True):
            batch = pa.RecordBatch.from_arrays(batch.columns, schema=self._schema)
        self._writer.write(batch)
        self._rows += batch.num_rows

    def close(self) -> None:
        self._writer.close()

    def shard(self) -> Shard:
        return Shard(self._name, self._rows, self.file.size, self.file.checksum)


def _shard_path(destination: Destination, number: int) -> str:
    return destination.folder.shard(number, destination.writer.suffix)


# ----------------------------------------------------------------------------------------- what is done


def read_record(destinations: Sequence[Destination], number: int) -> RangeRecord | None:
    """The record of a range, or None where it is not done or what it made has been lost since."""
    home = destinations[0].folder
    saved = home.filesystem.read(home.record(number))
    if saved is None:
        return None
    try:
        record = RangeRecord.from_json(saved.decode())
    except (ValueError, KeyError, TypeError):  # cut short when the machine stopped
        return None
    return record if _is_there(record, destinations) else None


def _is_there(record: RangeRecord, destinations: Sequence[Destination]) -> bool:
    if record.states is not None and _states(destinations[0].folder, record) is None:
        return False
    for destination in destinations:
        folder = destination.folder
        for shard in record.outputs.get(destination.name, ()):
            info = folder.filesystem.info(f"{folder.path}/{shard.file}")
            if info is None or info.size != shard.size:
                return False
    return set(record.outputs) == {destination.name for destination in destinations}


def _states(home: OutputFolder, record: RangeRecord) -> bytes | None:
    saved = home.filesystem.read(home.states(record.number))
    if saved is None or "xxh128:" + xxhash.xxh3_128(saved).hexdigest() != record.states:
        return None
    return saved


def read_states(destinations: Sequence[Destination], record: RangeRecord) -> bytes | None:
    """The states of the aggregates of a range that is done, or None where it has none."""
    return None if record.states is None else _states(destinations[0].folder, record)


def done_ranges(destinations: Sequence[Destination]) -> dict[int, RangeRecord]:
    """The records of the ranges that are done, by their numbers."""
    if not destinations:
        return {}
    found = {number: read_record(destinations, number) for number in destinations[0].folder.record_numbers()}
    return {number: record for number, record in sorted(found.items()) if record is not None}


# --------------------------------------------------------------------------------------------- after a job


def finish(destinations: Sequence[Destination], records: Iterable[RangeRecord]) -> list[Manifest]:
    """Write the manifests; called once, when all ranges are done.

    Args:
        destinations: The outputs of the job.
        records: Of all ranges, or of those that this run has done.

    Returns:
        The manifest of each output.

    Raises:
        JobError: A range is missing.
    """
    told = {**done_ranges(destinations), **{record.number: record for record in records}}
    missing = sorted(set(range(len(told))) - set(told))
    if missing:
        raise JobError(f"range {missing[0]} of at least {max(told) + 1} was not done")
    ordered = [told[number] for number in sorted(told)]
    return [_finish(destination, ordered) for destination in destinations]


def _finish(destination: Destination, records: Sequence[RangeRecord]) -> Manifest:
    folder = destination.folder
    shards = tuple(shard for record in records for shard in record.outputs[destination.name])
    if not shards and destination.writer.has_schema:
        shards = (_without_rows(destination),)
    folder.remove_temporaries()
    manifest = Manifest(
        output=destination.name,
        folder=folder.path,
        rows=sum(shard.rows for shard in shards),
        size=sum(shard.size for shard in shards),
        ranges=len(records),
        shards=shards,
        fingerprint=folder.read_fingerprint(),
        features=_saved_features(destination.schema),
        columns={field.name: str(field.type) for field in destination.schema},
    )
    folder.filesystem.write(folder.manifest, manifest.to_json().encode())
    return manifest


def _saved_features(schema: pa.Schema) -> Any:
    """The features of a schema as `datasets` saves them; it puts them into the schema in that very form."""
    told = (schema.metadata or {}).get(b"huggingface")
    features = json.loads(told).get("info", {}).get("features") if told else None
    if features is not None and list(features) == schema.names:
        return features
    from hyped_beam.types.features import as_features

    return as_features(schema).to_dict()


def _without_rows(destination: Destination) -> Shard:
    """A file that only tells the columns, for an output without any row."""
    pending = _PendingShard(destination, 0)
    try:
        pending.close()
        pending.file.publish()
    finally:
        pending.file.discard()
    return pending.shard()


def read_manifest(destination: Destination) -> Manifest:
    """The manifest of an output.

    Raises:
        InputError: The folder holds no finished output.
    """
    folder = destination.folder
    saved = folder.filesystem.read(folder.manifest)
    if saved is None:
        raise InputError(f"the folder {folder.given!r} holds no finished output")
    return Manifest.from_json(saved.decode(), folder.path)
