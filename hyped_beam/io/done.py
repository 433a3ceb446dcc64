"""Which ranges of a job are done: what their records say, and that what they list is in its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import xxhash

from hyped_beam.errors import JobError
from hyped_beam.io.destinations import Destination
from hyped_beam.io.filesystem import checksum_of
from hyped_beam.io.folders import OutputFolder
from hyped_beam.io.ownership import Owner
from hyped_beam.io.records import RangeRecord, Shard

_Found: TypeAlias = tuple[str, RangeRecord]
"""A record, behind the name of the owner that has written it."""

CHUNK_BYTES = 1 << 20
READERS = 4
"""How many files are read at once to compare their checksums."""


def read_record(destinations: Sequence[Destination], number: int) -> RangeRecord | None:
    """The record of a range that is done, whose shards are put into their places where they are not yet.

    Returns:
        The record; None where the range is not done, or what it made has been lost since.
    """
    owner = destinations[0].claimed.name
    record = _record_of(destinations, owner, number)
    if record is None:
        return None
    for destination, index, shard in _shards(destinations, record):
        if not _is_there(destination.folder, shard) and not _publish(
            destination, owner, record, index, shard
        ):
            return None
    return record


def read_rows_in(destinations: Sequence[Destination], number: int) -> int | None:
    """The rows of the source in a range that has a record; nothing else is looked at, and nothing changed."""
    record = _record_of(destinations, destinations[0].claimed.name, number)
    return None if record is None else record.rows_in


def read_states(destinations: Sequence[Destination], record: RangeRecord) -> bytes | None:
    """The states of the aggregates of a range that is done, or None where it has none."""
    home = destinations[0]
    return None if record.states is None else _states(home.folder, home.claimed.name, record)


def done_ranges(destinations: Sequence[Destination]) -> dict[int, RangeRecord]:
    """The records of the ranges that are done, by their numbers."""
    if not destinations:
        return {}
    numbers = destinations[0].folder.record_numbers(destinations[0].claimed.name)
    records = {number: read_record(destinations, number) for number in sorted(numbers)}
    return {number: record for number, record in records.items() if record is not None}


def publish(destinations: Sequence[Destination], record: RangeRecord) -> None:
    """Put the shards that a record lists into their places; it may be done by anybody, again, and at once.

    Raises:
        JobError: One is neither in its place nor where its attempt has left it.
        OSError: It cannot be put there.
    """
    for destination, index, shard in _shards(destinations, record):
        if not _publish(destination, destination.claimed.name, record, index, shard):
            where = f"range {record.number} of the output {destination.name!r}"
            raise JobError(
                f"{shard.file}, which {where} has written, is lost",
                hint='overwrite="resume" does the range again',
            )


def _publish(destination: Destination, owner: str, record: RangeRecord, index: int, shard: Shard) -> bool:
    folder = destination.folder
    staged, target = folder.staged(owner, record, index), f"{folder.path}/{shard.file}"
    return folder.filesystem.move(staged, target, shard.checksum) or _is_there(folder, shard)


def _is_there(folder: OutputFolder, shard: Shard) -> bool:
    info = folder.filesystem.info(f"{folder.path}/{shard.file}")
    return info is not None and info.size == shard.size


def _shards(
    destinations: Sequence[Destination], record: RangeRecord
) -> Iterable[tuple[Destination, int, Shard]]:
    """What a record lists, with what it is called until it is in its place."""
    for destination in destinations:
        for index, shard in enumerate(record.outputs[destination.name]):
            yield destination, index, shard


def _record_of(destinations: Sequence[Destination], owner: str, number: int) -> RangeRecord | None:
    """The record of a range whose states are there too; its shards are not looked at."""
    home = destinations[0].folder
    saved = home.filesystem.read(home.record(owner, number))
    if saved is None:
        return None
    try:
        record = RangeRecord.from_json(saved.decode())
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
    ):  # cut short when the machine stopped
        return None
    if set(record.outputs) != {destination.name for destination in destinations}:
        return None
    if record.states is not None and _states(home, owner, record) is None:
        return None
    return record


def _states(home: OutputFolder, owner: str, record: RangeRecord) -> bytes | None:
    saved = home.filesystem.read(home.states(owner, record))
    return saved if saved is not None and checksum_of(saved) == record.states else None


# -------------------------------------------------------------------------------- what earlier jobs have done


def adopt(destinations: Sequence[Destination], *, verify: bool) -> None:
    """Take over what earlier owners have done, and remove what is left of them besides.

    Args:
        destinations: The outputs, which are claimed.
        verify: Whether files are read, and their checksums compared; else their sizes alone.
    """
    home, owner = destinations[0].folder, destinations[0].claimed
    found: dict[int, _Found] = {}
    for earlier in reversed(home.recorders()):
        for number in home.record_numbers(earlier):
            record = None if number in found else _record_of(destinations, earlier, number)
            if record is not None:
                found[number] = earlier, record
    adopted = _intact(destinations, found.values(), verify=verify)
    written = [_adopted(home, earlier, record, owner) for earlier, record in adopted]
    if written and destinations[0].is_synced:
        home.filesystem.sync([path for paths in written for path in paths])
        home.filesystem.sync([home.records(owner.name)])
    for destination in destinations:
        kept = {shard.file for _, record in adopted for shard in record.outputs[destination.name]}
        destination.folder.remove_older(destination.claimed.name)
        destination.folder.keep_only(kept)


def _adopted(home: OutputFolder, earlier: str, record: RangeRecord, owner: Owner) -> list[str]:
    """Write down a record of an earlier owner, and its states, as those of another one; the files."""
    adopted = replace(record, generation=owner.generation)
    path, states_path = home.record(owner.name, record.number), home.states(owner.name, record)
    states = _states(home, earlier, record) if record.states is not None else None
    if states is not None:
        home.filesystem.write(states_path, states)
    home.filesystem.write(path, adopted.to_json().encode())
    return [path, states_path] if states is not None else [path]


def _intact(destinations: Sequence[Destination], found: Iterable[_Found], *, verify: bool) -> list[_Found]:
    """Those of some records all of whose shards are in their places, and are what they were."""
    sizes = {destination.name: destination.folder.shard_sizes() for destination in destinations}

    def is_intact(earlier: str, record: RangeRecord) -> bool:
        for destination, index, shard in _shards(destinations, record):
            there = sizes[destination.name].get(shard.file) == shard.size
            if not there and not _publish(destination, earlier, record, index, shard):
                return False
            if verify and not is_unchanged(destination.folder, shard):
                return False
        return True

    with ThreadPoolExecutor(READERS) as threads:
        ordered = sorted(found, key=lambda each: each[1].number)
        intact = threads.map(is_intact, *zip(*ordered, strict=True)) if ordered else ()
        return [each for each, holds in zip(ordered, intact, strict=True) if holds]


def is_unchanged(folder: OutputFolder, shard: Shard) -> bool:
    """Whether a shard that is in its place has the bytes that were written."""
    seen = xxhash.xxh3_128()
    try:
        with folder.filesystem.open_input(f"{folder.path}/{shard.file}") as file:
            while chunk := file.read(CHUNK_BYTES):
                seen.update(chunk)
    except FileNotFoundError:
        return False
    return f"xxh128:{seen.hexdigest()}" == shard.checksum


def why_not_there(
    destination: Destination, sizes: Mapping[str, int], shards: Sequence[Shard], *, verify: bool
) -> str | None:
    """What is wrong with the shards that a manifest is to list; None for nothing.

    Args:
        destination: The output.
        sizes: The bytes of what is in its folder, by the path.
        shards: The shards.
        verify: Whether they are read, and their checksums compared.
    """
    for shard in shards:
        if shard.file not in sizes:
            return f"{shard.file} is not there"
        if sizes[shard.file] != shard.size:
            return f"{shard.file} has {sizes[shard.file]:,} bytes, {shard.size:,} were written"
    if verify:
        with ThreadPoolExecutor(READERS) as threads:
            unchanged = threads.map(partial(is_unchanged, destination.folder), shards)
            for shard, holds in zip(shards, unchanged, strict=True):
                if not holds:
                    return f"{shard.file} does not hold what was written"
    return None
