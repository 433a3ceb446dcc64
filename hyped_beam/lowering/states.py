"""The combine of a job: what ranges have committed, the states of their aggregates, how long they took."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import apache_beam as beam
from apache_beam.coders import Coder

from hyped_beam.execute.states import StateMerger, StateTree, from_bytes, to_bytes
from hyped_beam.execute.timing import Timings, add_timings

if TYPE_CHECKING:
    from hyped_beam.plan.program import AggregateStep

Accumulator = tuple[dict[int, str], StateTree, Timings]
"""The records of committed ranges by their number, the states of their aggregates, how long they took."""

RangeReport = tuple[int, str, bytes, str]
"""What a range reports: its number, its record, its states, its timings as JSON."""


class CombineRanges(beam.CombineFn):
    """Gathers what ranges report: records, states merged in the order of the source, sums of timings.

    Args:
        program: The pickled aggregators of the job (`cloudpickle`).
    """

    def __init__(self, aggregates: bytes) -> None:
        self.aggregates = aggregates
        self._merger: StateMerger | None = None

    @property
    def merger(self) -> StateMerger:
        """What merges the states; made where it is used, as it does not travel."""
        if self._merger is None:
            self._merger = StateMerger(load_aggregates(self.aggregates))
        return self._merger

    def create_accumulator(self) -> Accumulator:
        """Nothing so far."""
        return {}, StateTree(self.merger), {}

    def add_input(self, accumulator: Accumulator, element: RangeReport) -> Accumulator:
        """Add what one range reports."""
        records, tree, timings = accumulator
        number, record, states, took = element
        records[number] = record
        add_timings(timings, json.loads(took))
        if states:
            tree.add_batch(from_bytes(states))
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Accumulator]) -> Accumulator:
        """Put several together."""
        merged = self.create_accumulator()
        for records, tree, timings in accumulators:
            merged[0].update(records)
            merged[1].absorb(tree)
            add_timings(merged[2], timings)
        return merged

    def extract_output(self, accumulator: Accumulator) -> bytes:
        """The accumulator as bytes: the job's last step reads it."""
        return AccumulatorCoder(self).encode(accumulator)

    def get_accumulator_coder(self) -> Coder:
        """States travel as Arrow data, never as pickles."""
        return AccumulatorCoder(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.aggregates,)


class AccumulatorCoder(Coder):
    """An accumulator as bytes: a length, records and timings as JSON of that length, states as Arrow IPC."""

    def __init__(self, combine: CombineRanges) -> None:
        self.combine = combine

    def encode(self, value: Accumulator) -> bytes:
        """The bytes of an accumulator."""
        records, tree, timings = value
        head = json.dumps([sorted(records.items()), timings], sort_keys=True).encode()
        return struct.pack("<Q", len(head)) + head + to_bytes(tree.to_batch())

    def decode(self, encoded: bytes) -> Accumulator:
        """The accumulator of some bytes."""
        (length,) = struct.unpack_from("<Q", encoded)
        told, took = json.loads(encoded[8 : 8 + length])
        records = {int(number): str(record) for number, record in told}
        timings: Timings = {}
        add_timings(timings, took)
        tree = StateTree(self.combine.merger)
        tree.add_batch(from_bytes(encoded[8 + length :]))
        return records, tree, timings

    def is_deterministic(self) -> bool:
        """Equal accumulators have equal bytes."""
        return True


def load_aggregates(pickled: bytes) -> tuple[AggregateStep, ...]:
    """The aggregators of a running job."""
    import pickle

    return tuple(pickle.loads(pickled))  # noqa: S301 - made by this job's driver
