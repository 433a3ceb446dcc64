"""The cache of aggregates: states of the segments of a source, kept from one job to another.

An entry is found by what was read, what was computed of it, and what earlier scans had made known. Neither
the range that a segment is in, nor where its file is, is part of that, unless the flow looks at it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import xxhash

from hyped_beam.errors import InputError
from hyped_beam.execute.states import StateMerger
from hyped_beam.execute.streams import from_bytes, to_bytes
from hyped_beam.io.contents import Contents
from hyped_beam.io.entries import Entries
from hyped_beam.nodes.fingerprint import digest_of

if TYPE_CHECKING:
    from hyped_beam.execute.bindings import PriorResults
    from hyped_beam.io.readers.base import Range, Scan
    from hyped_beam.plan.fingerprint import StatesKey

STATES, FILES = "states-1", "files-1"
"""The folders within a cache: of states, and of what is remembered of files, in a numbered form."""


@dataclass(frozen=True)
class StateCache:
    """The cache of one scan; it travels to the workers.

    Attributes:
        folder: The folder of the cache.
        key: What the states follow from, but for the rows.
        is_read: Whether states are taken from it; a scan that makes more of its rows only adds to it.
    """

    folder: str
    key: StatesKey
    is_read: bool


@dataclass(frozen=True)
class SegmentStates:
    """What comes of a segment.

    Attributes:
        states: The states of each combine; nothing where no batch was read.
        batches: How many batches it was cut into.
        rows_in: How many rows were read.
        rows: How many rows it has, where that is known.
    """

    states: Sequence[pa.RecordBatch]
    batches: int
    rows_in: int
    rows: int | None


class OpenStateCache:
    """The cache of a scan that runs.

    Args:
        cache: The cache.
        scan: What is read.
        prior: What earlier scans have made known.
        mergers: What merges the states of each combine.
    """

    def __init__(
        self, cache: StateCache, scan: Scan, prior: PriorResults, mergers: Sequence[StateMerger]
    ) -> None:
        self.is_read = cache.is_read
        self._scan = scan
        self._key = cache.key
        self._schemas = [merger.schema for merger in mergers]
        self._program = f"{cache.key.digest} {_digest_of_late(cache.key, prior)}"
        self._entries = Entries(f"{cache.folder}/{STATES}")
        self._contents = Contents(f"{cache.folder}/{FILES}")

    def of_range(self, prior: Mapping[int, pa.Array]) -> OpenStateCache:
        """The same cache, for a range that is given values of its groups.

        Args:
            prior: The values by the number of the node.
        """
        if not self._key.by_range:
            return self
        found = copy.copy(self)
        known = digest_of([prior[number] for number in self._key.by_range])
        found._program = f"{self._program} {known}"  # noqa: SLF001 - of its own class
        return found

    def key_of(self, segment: Range, first_row: int | None, batches: int) -> str | None:
        """What the states of a segment are found by; None where they cannot be.

        Args:
            segment: The segment.
            first_row: The number of its first row in the source, where that is known.
            batches: How many batches of its range come before it.
        """
        try:
            content = self._scan.content(segment, self._key.columns, self._contents)
        except InputError:  # reading it says so, with more about it
            return None
        if content is None:
            return None
        place = ""
        if self._key.numbers_rows:
            place = f"row {first_row}" if first_row is not None else f"batch {segment.number} {batches}"
        return f"{self._program} {xxhash.xxh3_128_hexdigest(content.encode())} {place}"

    def read(self, key: str) -> SegmentStates | None:
        """What was kept of a segment; None where nothing was, or nothing that can be used."""
        data = self._entries.read(key)
        if data is None:
            return None
        try:
            head, _, body = data.partition(b"\n")
            told = json.loads(head)
            states = from_bytes(body)
        except (ValueError, pa.ArrowException, OSError):
            return None
        schemas = self._schemas if told["batches"] else []
        if len(states) != len(schemas) or any(
            not batch.schema.equals(schema) for batch, schema in zip(states, schemas, strict=True)
        ):
            return None
        return SegmentStates(states, **told)

    def write(self, key: str, segment: Range, found: SegmentStates) -> None:
        """Keep what has come of a segment, if its files are still what they were."""
        if not self._scan.is_still(segment, self._contents):
            return
        told = {"batches": found.batches, "rows_in": found.rows_in, "rows": found.rows}
        self._entries.write(key, json.dumps(told).encode() + b"\n" + to_bytes(found.states))


def _digest_of_late(key: StatesKey, prior: PriorResults) -> str:
    """What earlier scans have made known, as far as the states follow from it."""
    places = {scope: place for place, scope in enumerate(key.scopes)}
    maps = {
        (places[child], places[parent]): found
        for (child, parent), found in prior.maps.items()
        if child in places and parent in places
    }
    return digest_of(
        [[prior.values[number] for number in key.prior], sorted(maps), [maps[at] for at in sorted(maps)]]
    )
