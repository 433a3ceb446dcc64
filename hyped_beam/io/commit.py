"""The commit of a job's outputs: files appear whole or not at all, once, whatever dies in between.

An output is a folder of shards, `part-00003.jsonl` for range 3, with our bookkeeping beside them:

    __hyped_beam__/fingerprint.json             which job this folder belongs to
    __hyped_beam__/generations/000001.json      who owns the folder, while it does (`ownership`)
    __hyped_beam__/staged/000001/...            shards of attempts at ranges, until they are in their places
    __hyped_beam__/ranges/000001/00003-ATTEMPT.arrow    states of the range's aggregates
    __hyped_beam__/ranges/000001/00003.json     the record of the range
    __hyped_beam__/manifest.json                written last: all shards, rows, checksums

**A range** may be tried several times, by any number of processes at once, by nodes that give something
else each time. Each attempt

1. writes its shards, complete and synced, under names of its own in `staged`, its states beside the records;
2. creates the record, which lists them with their checksums, unless there is one (`FileSystem.put_once`):
   the first attempt wins, and what the others have staged is removed;
   (an attempt that fails before that removes nothing that has such a name: one that made the same has it too)
3. puts what *the record* lists into its place, whoever's that is. That may be done again, by anybody: by
   another attempt, or by the job that resumes where this one died after its record.

So what counts is one attempt with all of its files and states, from the moment at which its record appears.

**A job** owns its folders, and records nothing once another job does: each attempt looks for its generation
before steps 2 and 3, and so does `finish`. Records are in the folder of their owner, as is what is staged:
its name is the generation, and where there are no locks a mark that no other owner has. A job that resumes
takes over (`done.adopt`) what the one before has recorded, as far as it is intact, and removes the rest. It
reads nothing that the one before may still write, which removes nothing of it.

**The manifest** is written last: when all shards that it lists are there, with their sizes, of records of
this generation, and when every check of the job holds. It is created, too: one that an overtaken job has
left is removed.

Files and folders are synced to the disk before the record that names them, the folders of shards before the
manifest. Records of all outputs are kept with the first one, so that one file decides whether a range is
done. On an object store nothing is renamed: a shard is uploaded when it is complete, and copied into its
place.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

import pyarrow as pa

from hyped_beam.errors import InputError, JobError
from hyped_beam.io.destinations import Destination
from hyped_beam.io.done import done_ranges, publish, read_record, read_states, why_not_there
from hyped_beam.io.filesystem import checksum_of
from hyped_beam.io.ownership import OvertakenError, check_owner, publishing
from hyped_beam.io.preparing import Claim, check_outputs, prepare, prepare_kinds
from hyped_beam.io.records import Manifest, RangeRecord, Shard
from hyped_beam.io.shards import PendingShard, RangeOutput
from hyped_beam.io.writing_errors import failed_writing

__all__ = [
    "Check",
    "Claim",
    "Destination",
    "Manifest",
    "OvertakenError",
    "RangeCommit",
    "RangeRecord",
    "Shard",
    "check_outputs",
    "done_ranges",
    "finish",
    "prepare",
    "prepare_kinds",
    "read_manifest",
    "read_record",
    "read_states",
]

Check: TypeAlias = Callable[[], None]
"""What is looked at before the manifests of a job are written: it raises where the outputs must not count."""


# ------------------------------------------------------------------------------------------------- a range


class RangeCommit:
    """What one range writes. Until `commit` nothing of it can be seen.

    Args:
        destinations: The outputs of the job.
        number: The number of the range.

    Attributes:
        seconds: How long writing took so far, by output.
    """

    def __init__(self, destinations: Sequence[Destination], number: int) -> None:
        self._number = number
        self._destinations = {destination.name: destination for destination in destinations}
        self._outputs = {
            name: RangeOutput(destination, number) for name, destination in self._destinations.items()
        }
        self._staged: list[tuple[Destination, str]] = []
        self._made: list[tuple[Destination, str]] = []
        self._over = False
        self.seconds = dict.fromkeys(self._destinations, 0.0)

    def write(self, output: str, batch: pa.RecordBatch) -> None:
        """Append rows to an output.

        Raises:
            JobError: They cannot be written, as on a full disk.
        """
        if batch.num_rows:
            with self._writing(output):
                self._outputs[output].write(batch)

    def commit(self, states: bytes | None = None, rows_in: int = 0) -> RangeRecord:
        """Make all that was written appear, and the range done.

        Args:
            states: The states of the range's aggregates, where it has any.
            rows_in: The rows of the source that it holds.

        Returns:
            What counts, which is what `read_record` finds from now on: what was written, or what an attempt
            before this one has committed.

        Raises:
            OvertakenError: The folder belongs to another job by now.
            JobError: Something cannot be written. What is left behind of the range, if anything, is staged:
                it is removed at the end of the job.
        """
        if self._over:
            raise JobError(f"range {self._number} was committed or aborted already")
        try:
            for name, output in self._outputs.items():
                with self._writing(name):
                    output.close()
            record = self._record(states, rows_in)
            if not self._destinations:
                return record
            self._stage(record, states)
            return self._publish(record)
        finally:
            self.abort()

    def abort(self) -> None:
        """Leave nothing behind but what is staged, which another attempt may count on; the owner removes it.

        After `commit` nothing happens.
        """
        self._over = True
        for output in self._outputs.values():
            output.discard()
        made, self._made = self._made, []
        for destination, path in made:
            with contextlib.suppress(OSError, InputError):
                destination.folder.filesystem.remove_if_empty(path)

    def read_states(self, record: RangeRecord) -> bytes:
        """The states of the attempt that counts.

        Raises:
            JobError: They are lost.
        """
        states = read_states(tuple(self._destinations.values()), record)
        if states is None:
            raise JobError(
                f"the states of range {record.number} are lost", hint='overwrite="resume" does it again'
            )
        return states

    @property
    def _home(self) -> Destination:
        """The output that keeps the records of all."""
        return next(iter(self._destinations.values()))

    def _record(self, states: bytes | None, rows_in: int) -> RangeRecord:
        return RangeRecord(
            self._number,
            {name: output.told() for name, output in self._outputs.items()},
            checksum_of(states) if states else None,
            rows_in,
            self._home.claimed.generation if self._destinations else 0,
        )

    def _stage(self, record: RangeRecord, states: bytes | None) -> None:
        """Leave all files under names of the attempt, where the disk keeps them."""
        for name, output in self._outputs.items():
            destination = self._destinations[name]
            folder = destination.folder
            with self._writing(name):
                # what cannot be named fails before the record; a store makes no folders
                for path in _partitions_of(record.outputs[name]) if folder.filesystem.is_local else ():
                    self._made.append((destination, f"{folder.path}/{path}"))
                    folder.filesystem.make_folder(f"{folder.path}/{path}")
                if destination.is_synced:
                    output.sync()  # before they have names that another attempt that made the same has, too
        if states:
            with self._failing(self._home.name):
                self._stage_states(record, states)
        for name, output in self._outputs.items():  # little can fail from here on
            destination = self._destinations[name]
            folder = destination.folder
            with self._writing(name):
                staged = output.stage(partial(folder.staged, destination.claimed.name, record))
                self._staged += [(destination, path) for path in staged]
                if staged and destination.is_synced:
                    folder.filesystem.sync([folder.staging(destination.claimed.name)])

    def _stage_states(self, record: RangeRecord, states: bytes) -> None:
        home, owner = self._home.folder, self._home.claimed.name
        path = home.states(owner, record)
        file = home.filesystem.create(path)
        try:
            file.write(states)
            if self._home.is_synced:
                file.sync()
            file.publish()
        finally:
            file.discard()
        self._staged.append((self._home, path))
        if self._home.is_synced:
            home.filesystem.sync([home.records(owner)])

    def _publish(self, record: RangeRecord) -> RangeRecord:
        """Put the record into its place, and what it lists; the record that counts."""
        destinations = tuple(self._destinations.values())
        with self._failing(self._home.name), publishing(destinations):
            home = self._home.folder
            data = home.filesystem.put_once(
                home.record(self._home.claimed.name, self._number), record.to_json().encode()
            )
            counts = RangeRecord.from_json(data.decode())
            if counts.attempt != record.attempt:
                self._remove_staged()
            publish(destinations, counts)
        return counts

    def _remove_staged(self) -> None:
        """Remove what the attempt has staged, once another one counts: nobody comes to count on it."""
        for destination, path in self._staged:
            with contextlib.suppress(OSError, InputError):  # removed by the owner at the latest
                destination.folder.filesystem.delete(path)

    @contextlib.contextmanager
    def _writing(self, output: str) -> Iterator[None]:
        began = time.perf_counter()
        with self._failing(output):
            yield
        self.seconds[output] += time.perf_counter() - began

    @contextlib.contextmanager
    def _failing(self, output: str) -> Iterator[None]:
        """A context in which system errors are ours, and those of an overtaken job say that it is one."""
        try:
            with failed_writing(output, self._destinations[output].writer.path, JobError):
                yield
        except JobError:
            with contextlib.suppress(OSError, InputError):
                check_owner(self._destinations[output])
            raise


# --------------------------------------------------------------------------------------------- after a job


def finish(
    destinations: Sequence[Destination], records: Iterable[RangeRecord], checks: Iterable[Check] = ()
) -> list[Manifest]:
    """Write the manifests; called once, when all ranges are done.

    Args:
        destinations: The outputs of the job.
        records: Of all ranges, also of those that an earlier run has done.
        checks: What must hold for the outputs to count: each is called before any manifest is written, and
            raises where it does not.

    Returns:
        The manifest of each output.

    Raises:
        OvertakenError: A folder belongs to another job by now.
        InputError: In a folder lies the output of another job.
        JobError: A range is missing, a shard is not there as it was written, or a manifest cannot be written.
    """
    told = {record.number: record for record in records}
    missing = sorted(set(range(len(told))) - set(told))
    if missing:
        raise JobError(f"range {missing[0]} of at least {max(told) + 1} was not done")
    ordered = [told[number] for number in sorted(told)]
    with publishing(destinations):
        for check in checks:
            check()
        manifests = []
        for destination in destinations:
            with failed_writing(destination.name, destination.writer.path, JobError):
                manifests.append(_finish(destination, ordered, destinations[0]))
    return manifests


def _finish(destination: Destination, records: Sequence[RangeRecord], home: Destination) -> Manifest:
    folder, owner = destination.folder, destination.claimed
    other = next((one for one in records if one.generation != home.claimed.generation), None)
    if other is not None:
        raise JobError(f"range {other.number} of the output {destination.name!r} is one of another job")
    shards = tuple(shard for record in records for shard in record.outputs[destination.name])
    if not shards and destination.writer.has_schema and not destination.writer.partition_by:
        shards = (_without_rows(destination),)
    check_owner(destination)  # the checks of a job may take long, and what follows removes files
    sizes = folder.keep_only({shard.file for shard in shards})
    # a copy of an earlier job that comes late would replace what was put into place
    may_be_replaced = not folder.filesystem.moves_once and destination.writer.verify
    wrong = why_not_there(destination, sizes, shards, verify=owner.is_contested or may_be_replaced)
    if wrong is not None:
        raise JobError(
            f"the output {destination.name!r} in {folder.given!r} is not what was written: {wrong}",
            hint='something else has changed the folder; overwrite="resume" does what is missing again',
        )
    folder.remove_staged(owner.name)
    if destination is home:
        folder.remove_states(owner.name, records)
    manifest = Manifest(
        output=destination.name,
        folder=folder.filesystem.uri(folder.path),
        rows=sum(shard.rows for shard in shards),
        size=sum(shard.size for shard in shards),
        ranges=len(records),
        shards=shards,
        fingerprint=folder.read_fingerprint(),
        features=_saved_features(destination.schema),
        columns={field.name: str(field.type) for field in destination.schema},
        partition_by=destination.writer.partition_by,
        generation=owner.generation,
        suffix=destination.writer.suffix,
    )
    if destination.is_synced:
        folder.filesystem.sync([*(f"{folder.path}/{path}" for path in _partitions_of(shards)), folder.path])
    check_owner(destination)
    _put_manifest(destination, manifest)
    return manifest


def _partitions_of(shards: Iterable[Shard]) -> list[str]:
    """The folders of shards in their output, and those they lie in; inner ones first."""
    inner = {shard.file.rpartition("/")[0] for shard in shards} - {""}
    outer = {"/".join(path.split("/")[:depth]) for path in inner for depth in range(1, path.count("/") + 1)}
    return sorted(inner | outer, reverse=True)


def _put_manifest(destination: Destination, manifest: Manifest) -> None:
    """Put a manifest into its place, where there is none; that of a job that was overtaken is removed."""
    folder, data = destination.folder, manifest.to_json().encode()
    while folder.filesystem.put_once(folder.manifest, data) != data:
        check_owner(destination)
        folder.filesystem.delete(folder.manifest)
    if destination.is_synced:
        folder.filesystem.sync([folder.manifest, folder.bookkeeping])


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
    folder = destination.folder
    pending = PendingShard(destination, 0)
    try:
        pending.end()
        shard = pending.told()
        staged = folder.staged(destination.claimed.name, RangeRecord(0, {destination.name: (shard,)}), 0)
        if destination.is_synced:
            pending.file.sync()
        pending.file.publish(staged)
    finally:
        pending.file.discard()
    folder.filesystem.move(staged, f"{folder.path}/{shard.file}", shard.checksum)
    return shard


def read_manifest(destination: Destination) -> Manifest:
    """The manifest of an output.

    Raises:
        InputError: The folder holds no finished output, or its manifest is not what a job has written.
    """
    folder = destination.folder
    saved = folder.filesystem.read(folder.manifest)
    if saved is None:
        raise InputError(f"the folder {folder.given!r} holds no finished output")
    try:
        return Manifest.from_json(saved.decode(), folder.filesystem.uri(folder.path))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise folder.damaged(folder.manifest) from None
