"""Peak memory of jobs over little and much data, each in a process of its own.

python -m tests.benchmarks memory
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks import aggregates
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


def job_of_texts(source: str, target: str) -> None:
    """Words counted and written, with aggregates beside them."""
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


def z_scores(source: str, target: str) -> None:
    """Rows that need aggregates over all rows: two scans."""
    from hyped_beam import DataFlow
    from hyped_beam.features import z_score
    from hyped_beam.io.readers.arrow import ArrowReader
    from hyped_beam.io.writers.arrow import ArrowDatasetWriter

    reader = ArrowReader(source)
    flow = DataFlow(features=reader)
    flow.job(source=reader).write(
        collect={"z": z_score(flow.src_features.x)}, to=ArrowDatasetWriter(target)
    ).run("local")


def means(source: str, target: str) -> None:
    """A mean for each key."""
    from hyped_beam import DataFlow
    from hyped_beam.aggregators import Mean
    from hyped_beam.io.readers.arrow import ArrowReader
    from hyped_beam.io.writers.arrow import ArrowDatasetWriter

    reader = ArrowReader(source)
    flow = DataFlow(features=reader)
    src = flow.src_features
    mean = Mean().call(src.x, by=src.key)
    flow.job(source=reader).write(collect={"mean": mean}, to=ArrowDatasetWriter(target)).run("local")


def peak(job: Callable[[str, str], None], source: Path, target: Path) -> float:
    """The peak resident memory, in MB, of a process that does nothing else."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", job.__name__, str(source), str(target)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]) / 1024


def own_peak() -> int:
    """The peak resident memory of this process, in kilobytes."""
    # Not `ru_maxrss`, which a process inherits from the one that started it.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0])


def measure() -> list[Row]:
    """The lines of the table."""
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        peaks = []
        for groups in (SMALL_GROUPS, 10 * SMALL_GROUPS):
            source = folder / f"{groups}.parquet"
            write_texts(source, groups)
            peaks.append(peak(job_of_texts, source, folder / f"texts-{groups}"))
        return [
            _line("a job", SMALL_GROUPS * GROUP_ROWS, 10, peaks, "<= 1.1"),
            _of_numbers(z_scores, "z-scores", 1000, (20_000_000, 40_000_000), folder),
            _of_numbers(means, "means of 1,000,000 groups", 1_000_000, (40_000_000, 80_000_000), folder),
        ]


def _of_numbers(
    job: Callable[[str, str], None], what: str, keys: int, sizes: tuple[int, int], folder: Path
) -> Row:
    peaks = []
    for rows in sizes:
        source = folder / f"{what} {rows}"
        aggregates.make_dataset(rows, keys, source)
        # The files, and not the dataset: who opens that has all of its files in memory, as it counts.
        peaks.append(peak(job, source / "*.arrow", folder / f"made {what} {rows}"))
        shutil.rmtree(source)
    return _line(what, sizes[0], sizes[1] // sizes[0], peaks, "<= 1.1")


def _line(what: str, rows: int, times: int, peaks: Sequence[float], bound: str) -> Row:
    small, large = peaks
    note = f"{large:.0f} / {small:.0f} MB"
    return Row(f"peak memory of {what}, {times * rows:,} rows", f"{rows:,} rows", large / small, bound, note)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        {"job_of_texts": job_of_texts, "z_scores": z_scores, "means": means}[sys.argv[1]](*sys.argv[2:4])
        print(own_peak())
    else:
        for line in measure():
            print(line)
