"""A range some of whose batches are still being computed: its segments, and what has come of them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import pyarrow as pa

from hyped_beam.errors import InputError
from hyped_beam.execute.batch_result import BatchResult
from hyped_beam.execute.states import StateMerger, StateTrees
from hyped_beam.execute.timing import COMPUTED, READ, REUSED, Timings, add_timing, add_timings, write_key
from hyped_beam.io.commit import RangeCommit
from hyped_beam.io.filesystem import checksum_of
from hyped_beam.io.readers.base import Range, Scan
from hyped_beam.tasks.coalesced_states import CoalescedStates
from hyped_beam.tasks.materialized_files import MaterializedFiles, MaterializedFolder
from hyped_beam.tasks.state_cache import OpenStateCache, SegmentStates
from hyped_beam.tasks.under_way import RowsUnderWay
from hyped_beam.types.arrays import conform
from hyped_beam.types.spans import Span

ReadBatch: TypeAlias = tuple[int, tuple[Span, ...], pa.RecordBatch]
"""The number of a batch in its range, where its rows stand in the source, and the batch."""


@dataclass(frozen=True)
class RangeResult:
    """What one range reports.

    Attributes:
        number: The number of the range.
        record: What was committed, as JSON.
        states: The states of its aggregates as Arrow IPC; empty where there are none.
        timings: How long its parts took; nothing for a range that was done before.
    """

    number: int
    record: str
    states: bytes
    timings: Timings = field(default_factory=dict)


@dataclass
class _Segment:
    """A segment, and the states of its batches as far as they are computed.

    Attributes:
        part: What is read.
        states: Those of its batches as far as they are computed.
        key: What its states are kept under; None where they are not.
        kept: What the cache had of it.
        batches: How many batches were read.
        rows_in: How many rows were read.
        rows: How many rows it has, where that is known.
    """

    part: Range
    states: CoalescedStates
    key: str | None = None
    kept: SegmentStates | None = None
    batches: int = 0
    rows_in: int = 0
    rows: int | None = None

    def merged(self, mergers: Sequence[StateMerger]) -> SegmentStates:
        """What comes of it, once all of its batches are computed."""
        if self.kept is not None:
            return self.kept
        self.states.flush()
        found = self.states.states
        merged = [merger.merge(found[number]) for number, merger in enumerate(mergers) if found]
        return SegmentStates(merged, self.batches, self.rows_in, self.rows)


class RangeInFlight:
    """A range on its way: its batches are given out by `read`, and what has become of them is taken back.

    Args:
        task: The range.
        commit: Where its rows are written.
        kept: Where the values of nodes are that run only once.
        noted: Where it is noted how far it is.
        cache: What is kept of its segments; None for nothing.

    Attributes:
        task: The range.
        commit: Where its rows are written.
        kept: The values of nodes that run only once.
        batches: How many batches were read, or were once read of what the cache has.
        is_read: Whether no further batch will be read.
        timings: How long its parts took so far.
    """

    def __init__(
        self,
        task: Range,
        commit: RangeCommit,
        kept: MaterializedFolder,
        noted: RowsUnderWay,
        cache: OpenStateCache | None,
    ) -> None:
        self.task = task
        self.commit = commit
        self.kept = MaterializedFiles(kept, task.number)
        self.batches = 0
        self.is_read = False
        self.timings: Timings = {}
        self._noted = noted
        self._cache = cache
        self._segments: list[_Segment] = []
        self._flying: deque[tuple[_Segment, int, int | None]] = deque()
        self._taking: _Segment | None = None

    def read(self, scan: Scan, empty: pa.RecordBatch) -> Iterator[ReadBatch]:
        """The batches that are to be computed, in order; an empty one for a range that has none."""
        held: ReadBatch | None = None
        for batch in self._read_segments(scan, empty.schema):
            if held is not None:
                yield held
            held = batch
        if held is None and self.batches == 0:
            self._begun(self._add_segment(scan, self.task), empty, 0)
            held = 0, (), empty
        self.is_read = True
        if held is not None:
            yield held

    def _read_segments(self, scan: Scan, wanted: pa.Schema) -> Iterator[ReadBatch]:
        first = self.task.first_row
        for part in scan.segments(self.task):
            segment = self._add_segment(scan, part)
            self._look_up(segment, first)
            if segment.kept is not None:
                self.batches += segment.kept.batches
                segment.rows = segment.kept.rows
                self._noted.add(segment.kept.rows_in, cached=True)
            else:
                yield from self._read_segment(scan, segment, first, wanted)
            first = None if first is None or segment.rows is None else first + segment.rows

    def _add_segment(self, scan: Scan, part: Range) -> _Segment:
        size = sum(piece.size for piece in part.pieces)
        states = CoalescedStates(self.timings, part.rows, size, joins=scan.coalesces_batches)
        self._segments.append(_Segment(part, states))
        return self._segments[-1]

    def _look_up(self, segment: _Segment, first: int | None) -> None:
        if self._cache is None:
            return
        segment.key = self._cache.key_of(segment.part, first, self.batches)
        if segment.key is not None and self._cache.is_read:
            segment.kept = self._cache.read(segment.key)

    def _read_segment(
        self, scan: Scan, segment: _Segment, first: int | None, wanted: pa.Schema
    ) -> Iterator[ReadBatch]:
        began = time.perf_counter()
        for spans, stored in scan.numbered(segment.part):
            batch = _conformed(stored, wanted)
            add_timing(self.timings, READ, time.perf_counter() - began, batch.num_rows)
            self._begun(segment, batch, spans[0].first if spans else None)
            yield self.batches - 1, tuple(span.moved(first) for span in spans), batch
            began = time.perf_counter()
        segment.rows = segment.part.rows
        if segment.rows is None and scan.reads_all:
            segment.rows = segment.rows_in

    def _begun(self, segment: _Segment, batch: pa.RecordBatch, first: int | None) -> None:
        segment.batches += 1
        segment.rows_in += batch.num_rows
        self.batches += 1
        self._flying.append((segment, batch.num_rows, first))

    @property
    def is_done(self) -> bool:
        """Whether all of its batches were read and computed."""
        return self.is_read and not self._flying

    def take(self, result: BatchResult) -> None:
        """Write what the next batch has become."""
        segment, rows, first = self._flying.popleft()
        if segment is not self._taking and self._taking is not None:
            self._taking.states.flush()
        self._taking = segment
        add_timings(self.timings, result.timings)
        for name, batch in result.outputs.items():
            self.commit.write(name, batch)
        segment.states.add(result, first)
        self.kept.add(result.kept)
        self._noted.add(rows)

    def commit_range(self, mergers: Sequence[StateMerger]) -> RangeResult:
        """Commit the range."""
        found = [self._finished(segment, mergers) for segment in self._segments]
        packed = self._pack(mergers, [one.states for one in found if one.states])
        self._noted.end()
        record = self.commit.commit(packed or None, sum(one.rows_in for one in found))
        if packed and record.states != checksum_of(packed):  # another attempt counts, with its states
            packed = self.commit.read_states(record)
        for name, seconds in self.commit.seconds.items():
            add_timing(self.timings, write_key(name), seconds, record.rows(name))
        told, packed = self.kept.commit(record.to_json(), packed)
        return RangeResult(self.task.number, told, packed, self.timings)

    def _finished(self, segment: _Segment, mergers: Sequence[StateMerger]) -> SegmentStates:
        found = segment.merged(mergers)
        if self._cache is not None and segment.key is not None:
            add_timing(self.timings, COMPUTED if segment.kept is None else REUSED, 0.0, 1)
            if segment.kept is None:
                self._cache.write(segment.key, segment.part, found)
        return found

    def _pack(self, mergers: Sequence[StateMerger], states: Sequence[Sequence[pa.RecordBatch]]) -> bytes:
        if not mergers:
            return b""
        trees = StateTrees([merger.combine for merger in mergers])
        merged = [
            merger.merge(parts) for merger, parts in zip(mergers, zip(*states, strict=True), strict=True)
        ]
        trees.add((0, self.task.number), merged)
        return trees.to_bytes()


def _conformed(batch: pa.RecordBatch, wanted: pa.Schema) -> pa.RecordBatch:
    """A batch in the types that the flow was made for, which may have other widths of offsets."""
    if batch.schema.types == wanted.types:
        return batch
    columns = []
    for name, kind in zip(wanted.names, wanted.types, strict=True):
        column = batch.column(name)
        try:
            columns.append(conform(column, kind))
        except (TypeError, pa.ArrowException) as error:
            message = f"column {name!r} of the source is {column.type}, not {kind}: {error}"
            raise InputError(message) from None
    return pa.RecordBatch.from_arrays(columns, wanted.names)
