"""Groups in partitions of their keys as Beam steps: what comes to each partition, and what it makes of it."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import cloudpickle
from apache_beam.pvalue import TaggedOutput

from hyped_beam.execute.bindings import PriorResults
from hyped_beam.io.readers.base import Range
from hyped_beam.lowering.cutting import CutRanges
from hyped_beam.lowering.failure import raising_text
from hyped_beam.nodes.tables import TableByKey
from hyped_beam.tasks.partition_job import CARRY_OVER, PartitionJob, ToPartition, rows_of_table

TO_RANGES = "to_ranges"


class ComputePartition(beam.DoFn):
    """What comes after a scan for one partition of groups: its rows, and values for ranges of later scans.

    The values come as `TO_RANGES` and `CARRY_OVER`, the names of the files of its rows as the main output.

    Args:
        level: The number of the scan.
        job: The pickled `PartitionJob`.
    """

    def __init__(self, level: int, job: bytes) -> None:
        self.level = level
        self.job = job

    def setup(self) -> None:
        job: PartitionJob = pickle.loads(self.job)  # noqa: S301 - made by this job's driver
        self._open = job.open()

    def teardown(self) -> None:
        self._open.close()

    def process(self, element: tuple[int, Iterable[ToPartition]], prior: bytes = b"") -> Iterator[Any]:
        partition, told = element
        with raising_text():
            made, runs = self._open.run(partition, told, PriorResults.from_bytes(prior))
        yield 0, runs
        for number, values in made.to_ranges.items():
            yield TaggedOutput(TO_RANGES, (number, (self.level, partition, values)))
        if made.carry_over:
            yield TaggedOutput(CARRY_OVER, (partition, (CARRY_OVER, self.level, made.carry_over)))


class SplitTable(beam.DoFn):
    """The rows of ranges of a table, by the partition of their keys.

    Args:
        node: The number of the lookup.
        job: The pickled scan of the table, and the column of the keys.
    """

    def __init__(self, node: int, job: bytes) -> None:
        self.node = node
        self.job = job

    def process(
        self, element: tuple[int, Iterable[tuple[int, int, bytes]]]
    ) -> Iterator[tuple[int, ToPartition]]:
        scan, key = pickle.loads(self.job)  # noqa: S301 - made by this job's driver
        for _, _, cut in element[1]:
            with raising_text():
                yield from rows_of_table(self.node, scan, key, Range.from_json(cut.decode()))


class WriteGroups(beam.DoFn):
    """What is done once all partitions are: their rows become the outputs of groups.

    Args:
        job: The pickled `PartitionJob`.
    """

    def __init__(self, job: bytes) -> None:
        self.job = job

    def process(self, element: tuple[int, Iterable[tuple[str, ...]]]) -> None:
        job: PartitionJob = pickle.loads(self.job)  # noqa: S301 - made by this job's driver
        with raising_text():
            job.write_groups([name for runs in element[1] for name in runs])


def compute_partitions(
    pipeline: beam.Pipeline,
    level: int,
    job: PartitionJob,
    parts: Iterable[Any],
    known: Any,
    label_suffix: str,
) -> tuple[Any, Any]:
    """Put what is done for each partition after a scan into a pipeline.

    Args:
        pipeline: The pipeline.
        level: The number of the scan.
        job: What is done.
        parts: Collections of what comes to partitions, by the number of the partition.
        known: The side input of what is known of the whole dataset.
        label_suffix: What distinguishes the names of the steps of this scan.

    Returns:
        The values for ranges by their numbers, and those for the same partitions after later scans.
    """
    tables = [
        _rows_of(pipeline, node, table, f"{label_suffix}-{node}")
        for node, table in job.program.tables.items()
    ]
    made = (
        (*parts, *tables)
        | f"ToPartitions{label_suffix}" >> beam.Flatten()
        | f"SpreadPartitions{label_suffix}" >> beam.GroupByKey()
        | f"ComputePartitions{label_suffix}"
        >> beam.ParDo(ComputePartition(level, cloudpickle.dumps(job)), known).with_outputs(
            TO_RANGES, CARRY_OVER, main="done"
        )
    )
    if job.destinations:
        _ = (
            made.done
            | f"GatherPartitions{label_suffix}" >> beam.GroupByKey()
            | f"WriteGroups{label_suffix}" >> beam.ParDo(WriteGroups(cloudpickle.dumps(job)))
        )
    return made[TO_RANGES], made[CARRY_OVER]


def _rows_of(pipeline: beam.Pipeline, node: int, table: TableByKey, label_suffix: str) -> Any:
    """The rows of the table of a lookup, by the number of the partition."""
    reader = table.reader
    split = SplitTable(node, cloudpickle.dumps((reader.scan(list(reader.features)), table.key)))
    return (
        pipeline
        | f"StartTable{label_suffix}" >> beam.Impulse()
        | f"CutTable{label_suffix}" >> beam.ParDo(CutRanges(cloudpickle.dumps(reader)))
        | f"SpreadTable{label_suffix}" >> beam.GroupByKey()
        | f"SplitTable{label_suffix}" >> beam.ParDo(split)
    )
