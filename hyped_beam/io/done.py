"""Which ranges of a job are done: what their records say, and whether it is still there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import xxhash

from hyped_beam.io.destinations import Destination
from hyped_beam.io.folders import OutputFolder
from hyped_beam.io.records import RangeRecord


def checksum_of(data: bytes) -> str:
    """The checksum of bytes, in the form in which all are written down."""
    return "xxh128:" + xxhash.xxh3_128(data).hexdigest()


def read_record(destinations: Sequence[Destination], number: int) -> RangeRecord | None:
    """The record of a range, or None where it is not done or what it made has been lost since."""
    record = _record_of(destinations, number)
    if record is None:
        return None
    for destination in destinations:
        folder = destination.folder
        for shard in record.outputs[destination.name]:
            info = folder.filesystem.info(f"{folder.path}/{shard.file}")
            if info is None or info.size != shard.size:
                return None
    return record


def _record_of(destinations: Sequence[Destination], number: int) -> RangeRecord | None:
    """The record of a range whose states are there too; its shards are not looked at."""
    home = destinations[0].folder
    saved = home.filesystem.read(home.record(number))
    if saved is None:
        return None
    try:
        record = RangeRecord.from_json(saved.decode())
    except (ValueError, KeyError, TypeError):  # cut short when the machine stopped
        return None
    if set(record.outputs) != {destination.name for destination in destinations}:
        return None
    if record.states is not None and _states(home, record) is None:
        return None
    return record


def _states(home: OutputFolder, record: RangeRecord) -> bytes | None:
    saved = home.filesystem.read(home.states(record.number))
    return saved if saved is not None and checksum_of(saved) == record.states else None


def read_states(destinations: Sequence[Destination], record: RangeRecord) -> bytes | None:
    """The states of the aggregates of a range that is done, or None where it has none."""
    return None if record.states is None else _states(destinations[0].folder, record)


def done_ranges(destinations: Sequence[Destination]) -> dict[int, RangeRecord]:
    """The records of the ranges that are done, by their numbers."""
    if not destinations:
        return {}
    sizes = {destination.name: destination.folder.shard_sizes() for destination in destinations}
    done = {}
    for number in sorted(destinations[0].folder.record_numbers()):
        record = _record_of(destinations, number)
        if record is not None and _are_there(record, sizes):
            done[number] = record
    return done


def _are_there(record: RangeRecord, sizes: Mapping[str, Mapping[str, int]]) -> bool:
    return all(
        sizes[name].get(shard.file) == shard.size
        for name, shards in record.outputs.items()
        for shard in shards
    )
