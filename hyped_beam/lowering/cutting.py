"""A source cut into ranges, as a Beam step."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from hyped_beam.io.readers.base import Range, Reader
from hyped_beam.tasks.partition_job import RANGES

_NO_SCAN = -1
"""Stands with the description of a range in the place of the scan that has sent something to it."""


class CutRanges(beam.DoFn):
    """The ranges of the source, cut where the job runs; as `RANGES` their number, for each partition.

    Args:
        reader: The pickled reader.
        partitions: How many partitions there are.
    """

    def __init__(self, reader: bytes, partitions: int = 0) -> None:
        self.reader = reader
        self.partitions = partitions

    def process(self, element: Any) -> Iterator[Any]:
        del element
        reader: Reader = pickle.loads(self.reader)  # noqa: S301 - made by this job's driver
        # A source without rows is one empty range: its aggregates have values, its outputs columns.
        ranges = reader.ranges() or [Range(0, (), rows=0, first_row=0)]
        for cut in ranges:
            yield cut.number, (_NO_SCAN, 0, cut.to_json().encode())
        for partition in range(self.partitions):
            yield TaggedOutput(RANGES, (partition, (RANGES, len(ranges), b"")))
