"""The commit of a job's outputs: files appear whole or not at all, once, whatever dies in between.

An output is a folder of shards, `part-00003.jsonl` for range 3, with our bookkeeping beside them:

    __hyped_beam__/fingerprint.json      written first: which job this folder belongs to
    __hyped_beam__/ranges/00003.arrow    states of the range's aggregates
    __hyped_beam__/ranges/00003.json     the record of the range, written when all its shards are in place
    __hyped_beam__/manifest.json         written last: all shards, rows, checksums

States and records of all outputs are kept with the first one, so that one rename decides whether a range
is done. Ranges may be committed by any number of processes at once, and several times: the name of a file
follows from what it holds, and doing a range again puts the same bytes in the same place. Where an earlier
attempt made other files, those are removed when the job is resumed, and before its manifest is written.

On an object store nothing is renamed: a shard appears when its upload is completed.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

from hyped_beam.errors import InputError, JobError
from hyped_beam.io.destinations import Destination
from hyped_beam.io.done import checksum_of, done_ranges, read_record, read_states
from hyped_beam.io.preparing import Claim, check_outputs, prepare
from hyped_beam.io.records import Manifest, RangeRecord, Shard
from hyped_beam.io.shards import PendingShard, RangeOutput
from hyped_beam.io.writing_errors import failed_writing

__all__ = [
    "Check",
    "Claim",
    "Destination",
    "Manifest",
    "RangeCommit",
    "RangeRecord",
    "Shard",
    "check_outputs",
    "done_ranges",
    "finish",
    "prepare",
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
            What was written, which is what `read_record` finds from now on.

        Raises:
            JobError: Something cannot be written; nothing of the range is left behind that was not there.
        """
        if self._over:
            raise JobError(f"range {self._number} was committed or aborted already")
        try:
            for name, output in self._outputs.items():
                with self._writing(name):
                    output.close()
            return self._publish(states, rows_in)
        finally:
            self.abort()

    def abort(self) -> None:
        """Leave nothing behind; after `commit` nothing happens."""
        self._over = True
        for output in self._outputs.values():
            output.discard()

    def _publish(self, states: bytes | None, rows_in: int) -> RangeRecord:
        checksum = checksum_of(states) if states else None
        if not self._destinations:
            return RangeRecord(self._number, {}, checksum, rows_in)
        first = next(iter(self._destinations))
        home = self._destinations[first].folder
        with self._failing(first):  # of an attempt before this one: it speaks of other files
            home.filesystem.delete(home.record(self._number))
        shards = {}
        for name, output in self._outputs.items():
            with self._writing(name):
                shards[name] = output.publish()
        record = RangeRecord(self._number, shards, checksum, rows_in)
        with self._failing(first):
            if states:
                home.filesystem.write(home.states(self._number), states)
            home.filesystem.write(home.record(self._number), record.to_json().encode())
        return record

    @contextlib.contextmanager
    def _writing(self, output: str) -> Iterator[None]:
        began = time.perf_counter()
        with self._failing(output):
            yield
        self.seconds[output] += time.perf_counter() - began

    def _failing(self, output: str) -> Any:
        return failed_writing(output, self._destinations[output].writer.path, JobError)


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
        JobError: A range is missing, or a manifest cannot be written.
    """
    told = {record.number: record for record in records}
    missing = sorted(set(range(len(told))) - set(told))
    if missing:
        raise JobError(f"range {missing[0]} of at least {max(told) + 1} was not done")
    ordered = [told[number] for number in sorted(told)]
    for check in checks:
        check()
    manifests = []
    for destination in destinations:
        with failed_writing(destination.name, destination.writer.path, JobError):
            manifests.append(_finish(destination, ordered))
    return manifests


def _finish(destination: Destination, records: Sequence[RangeRecord]) -> Manifest:
    folder = destination.folder
    shards = tuple(shard for record in records for shard in record.outputs[destination.name])
    if not shards and destination.writer.has_schema and not destination.writer.partition_by:
        shards = (_without_rows(destination),)
    folder.keep_only({shard.file for shard in shards})
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
    pending = PendingShard(destination, 0)
    try:
        pending.end()
        pending.file.publish()
    finally:
        pending.file.discard()
    return pending.told()


def read_manifest(destination: Destination) -> Manifest:
    """The manifest of an output.

    Raises:
        InputError: The folder holds no finished output.
    """
    folder = destination.folder
    saved = folder.filesystem.read(folder.manifest)
    if saved is None:
        raise InputError(f"the folder {folder.given!r} holds no finished output")
    return Manifest.from_json(saved.decode(), folder.filesystem.uri(folder.path))
