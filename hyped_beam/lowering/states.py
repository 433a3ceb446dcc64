"""The combine of a job: what ranges have committed, the states of their aggregates, how long they took."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import apache_beam as beam
from apache_beam.coders import Coder

from hyped_beam.execute.states import StateTrees
from hyped_beam.execute.timing import Timings, add_timings
from hyped_beam.lowering.failure import raising_text

if TYPE_CHECKING:
    from hyped_beam.plan.program import Combine

Accumulator = tuple[dict[int, str], StateTrees, Timings]
"""The records of committed ranges by their number, the states of their aggregates, how long they took."""

RangeReport = tuple[int, str, bytes, str]
"""What a range reports: its number, its record, its states, its timings as JSON."""


class CombineRanges(beam.CombineFn):
    """Gathers what ranges report: records, states merged in the order of the source, sums of timings.

    Args:
        combines: The pickled combines of the scan (`cloudpickle`).
    """

    def __init__(self, combines: bytes) -> None:
        self.combines = combines
        self._loaded: tuple[Combine, ...] | None = None

    def no_states(self) -> StateTrees:
        """The states of nothing so far."""
        if self._loaded is None:
            self._loaded = tuple(pickle.loads(self.combines))  # noqa: S301 - made by this job's driver
        return StateTrees(self._loaded)

    def create_accumulator(self) -> Accumulator:
        """Nothing so far."""
        return {}, self.no_states(), {}

    def add_input(self, accumulator: Accumulator, element: RangeReport) -> Accumulator:
        """Add what one range reports."""
        records, trees, timings = accumulator
        number, record, states, took = element
        records[number] = record
        add_timings(timings, json.loads(took))
        if states:
            with raising_text():
                trees.add_bytes(states)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Accumulator]) -> Accumulator:
        """Put several together."""
        merged = self.create_accumulator()
        for records, trees, timings in accumulators:
            merged[0].update(records)
            with raising_text():
                merged[1].absorb(trees)
            add_timings(merged[2], timings)
        return merged

    def extract_output(self, accumulator: Accumulator) -> bytes:
        """The accumulator as bytes: the job's last step reads it."""
        return AccumulatorCoder(self).encode(accumulator)

    def get_accumulator_coder(self) -> Coder:
        """States travel as Arrow data, never as pickles."""
        return AccumulatorCoder(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.combines,)


class AccumulatorCoder(Coder):
    """An accumulator as bytes: a length, records and timings as JSON of that length, states as Arrow IPC."""

    def __init__(self, combine: CombineRanges) -> None:
        self.combine = combine

    def encode(self, value: Accumulator) -> bytes:
        """The bytes of an accumulator."""
        records, trees, timings = value
        head = json.dumps([sorted(records.items()), timings], sort_keys=True).encode()
        with raising_text():
            return struct.pack("<Q", len(head)) + head + trees.to_bytes()

    def decode(self, encoded: bytes) -> Accumulator:
        """The accumulator of some bytes."""
        (length,) = struct.unpack_from("<Q", encoded)
        told, took = json.loads(encoded[8 : 8 + length])
        records = {int(number): str(record) for number, record in told}
        timings: Timings = {}
        add_timings(timings, took)
        trees = self.combine.no_states()
        with raising_text():
            trees.add_bytes(encoded[8 + length :])
        return records, trees, timings

    def is_deterministic(self) -> bool:
        """Equal accumulators have equal bytes."""
        return True
