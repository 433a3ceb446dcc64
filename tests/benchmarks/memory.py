"""Peak memory of a job over 1x and 10x data, each in a process of its own.

python -m tests.benchmarks memory
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.measure import Row

GROUP_ROWS = 100_000
SMALL_GROUPS = 12


def write_texts(path: Path, groups: int) -> None:
    """A Parquet file of some 57-byte texts, in row groups of 100,000."""
    random = np.random.default_rng(0)
    with pq.ParquetWriter(str(path), pa.schema({"text": pa.string(), "id": pa.int64()})) as writer:
        for group in range(groups):
            words = random.integers(0, 1 << 30, (GROUP_ROWS, 6)).astype(str)
            texts = pa.array([" ".join(row) for row in words])
            ids = pa.array(np.arange(group * GROUP_ROWS, (group + 1) * GROUP_ROWS))
            writer.write_batch(pa.RecordBatch.from_arrays([texts, ids], ["text", "id"]))


def run_job(source: str, target: str) -> int:
    """Run a job; returns the peak resident memory of this process in kilobytes."""
    from hyped_beam import DataFlow
    from hyped_beam.aggregators import Count, Mean
    from hyped_beam.io.readers.parquet import ParquetReader
    from hyped_beam.io.writers.json import JsonDatasetWriter

    reader = ParquetReader(source)
    flow = DataFlow(features=reader)
    src = flow.src_features
    words = src.text.split().length()
    job = (
        flow.job(source=reader)
        .write(
            collect={"id": src.id, "words": words, "lower": src.text.lower()}, to=JsonDatasetWriter(target)
        )
        .aggregate({"mean": Mean().call(words), "rows": Count().call(src.id)})
    )
    job.run()
    # Not `ru_maxrss`, which a process inherits from the one that started it.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0])


def measure() -> list[Row]:
    """The lines of the table."""
    with tempfile.TemporaryDirectory() as folder:
        peaks = []
        for name, groups in (("small", SMALL_GROUPS), ("large", 10 * SMALL_GROUPS)):
            source = Path(folder) / f"{name}.parquet"
            write_texts(source, groups)
            ran = subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.memory", str(source), str(Path(folder) / name)],
                check=True,
                capture_output=True,
                text=True,
            )
            peaks.append(int(ran.stdout.split()[-1]) / 1024)
    rows = SMALL_GROUPS * GROUP_ROWS
    return [
        Row(
            f"peak memory of a job, {10 * rows:,} rows",
            f"{rows:,} rows",
            peaks[1] / peaks[0],
            "<= 1.1",
            f"{peaks[1]:.0f} / {peaks[0]:.0f} MB",
        )
    ]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(run_job(sys.argv[1], sys.argv[2]))
    else:
        for line in measure():
            print(line)
