"""What it costs that the files of a job survive a machine that stops: a job of 100 shards, synced and not."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hyped_beam import DataFlow
from hyped_beam.dsl.outputs import ROWS, graph_with_sinks, plan_of
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter
from hyped_beam.launch.bounded import prepare_bounded
from hyped_beam.nodes.refs import builder_of
from tests.benchmarks.measure import Row, seconds

SHARDS = 100
ROWS_IN = 3_000_000
RUNS = 7


def measure(rows: int = ROWS_IN) -> Iterator[Row]:
    """The lines of this benchmark.

    Args:
        rows: The rows of the source.
    """
    with tempfile.TemporaryDirectory(prefix="hyped_beam-syncing-") as scratch:
        folder = Path(scratch)
        numbers = np.random.default_rng(0).random((4, rows))
        table = pa.table({name: numbers[at] for at, name in enumerate("abcd")})
        pq.write_table(table, folder / "in.parquet", row_group_size=rows // SHARDS)
        for kind, writer in {"Parquet": ParquetDatasetWriter, "JSON lines": JsonDatasetWriter}.items():
            to = writer(folder / "out", max_shard_rows=rows // SHARDS)
            taken = seconds(
                {
                    "synced": lambda to=to: run(folder / "in.parquet", to, is_synced=True),
                    "not": lambda to=to: run(folder / "in.parquet", to, is_synced=False),
                },
                RUNS,
                after=lambda to=to: shutil.rmtree(to.path),  # blocks on the disk take long to remove
            )
            yield Row(
                f"{rows / 1e6:g}M rows to {SHARDS} files of {kind}, synced",
                "not synced",
                taken["synced"] / taken["not"],
                "<= 1.1",
                f"{taken['synced']:.2f} / {taken['not']:.2f}",
            )


def run(source: Path, to: ParquetDatasetWriter | JsonDatasetWriter, *, is_synced: bool) -> None:
    """A job that adds a column."""
    reader = ParquetReader(source)
    flow = DataFlow(features=reader)
    src = flow.src_features
    columns = {"a": src.a, "b": src.b, "c": src.c, "sum": src.a + src.d}
    plan = plan_of(graph_with_sinks(builder_of(src), {ROWS: columns}, None))
    with tempfile.TemporaryDirectory(prefix="hyped_beam-syncing-") as work:
        job = prepare_bounded(
            plan,
            reader.selecting(list(plan.graph.source.feature)),
            {ROWS: to},
            processes=1,
            runner="local",
            work=Path(work),
            is_synced=is_synced,
        )
        made = job.run()
    assert len(made.shards[ROWS]) >= SHARDS, len(made.shards[ROWS])


if __name__ == "__main__":
    for line in measure(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS_IN):
        print(line)
