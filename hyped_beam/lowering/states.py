"""The combine of a job: what ranges have committed, and the states of their aggregates."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import apache_beam as beam
from apache_beam.coders import Coder

from hyped_beam.execute.states import StateMerger, StateTree, from_bytes, to_bytes

if TYPE_CHECKING:
    from hyped_beam.plan.program import AggregateStep

Accumulator = tuple[dict[int, str], StateTree]
"""The records of committed ranges by their number, and the states of their aggregates."""


class CombineRanges(beam.CombineFn):
    """Gathers what ranges report: their records, and their states merged in the order of the source.

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
        return {}, StateTree(self.merger)

    def add_input(self, accumulator: Accumulator, element: tuple[int, str, bytes]) -> Accumulator:
        """Add what one range reports."""
        records, tree = accumulator
        number, record, states = element
        records[number] = record
        if states:
            tree.add_batch(from_bytes(states))
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Accumulator]) -> Accumulator:
        """Put several together."""
        merged = self.create_accumulator()
        for records, tree in accumulators:
            merged[0].update(records)
            merged[1].absorb(tree)
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
    """An accumulator as bytes: the length of the records, the records as JSON, the states as Arrow IPC."""

    def __init__(self, combine: CombineRanges) -> None:
        self.combine = combine

    def encode(self, value: Accumulator) -> bytes:
        """The bytes of an accumulator."""
        records, tree = value
        head = json.dumps(sorted(records.items())).encode()
        return struct.pack("<Q", len(head)) + head + to_bytes(tree.to_batch())

    def decode(self, encoded: bytes) -> Accumulator:
        """The accumulator of some bytes."""
        (length,) = struct.unpack_from("<Q", encoded)
        records = {int(number): str(record) for number, record in json.loads(encoded[8 : 8 + length])}
        tree = StateTree(self.combine.merger)
        tree.add_batch(from_bytes(encoded[8 + length :]))
        return records, tree

    def is_deterministic(self) -> bool:
        """Equal accumulators have equal bytes."""
        return True


def load_aggregates(pickled: bytes) -> tuple[AggregateStep, ...]:
    """The aggregators of a running job."""
    import pickle

    return tuple(pickle.loads(pickled))  # noqa: S301 - made by this job's driver
