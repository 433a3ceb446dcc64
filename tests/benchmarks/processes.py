"""Pure-Python nodes with several processes, coroutines, and what a small job costs.

python -m tests.benchmarks processes
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import datasets

from hyped_beam import DataFlow, Limits
from tests.benchmarks.measure import Row
from tests.benchmarks.nodes import WAIT_SECONDS, wait, work

ROWS = 1600
WAITS = 10_000
CONCURRENCY = 64


def measure() -> list[Row]:
    """The lines of the table."""
    datasets.disable_progress_bars()
    folder = Path(tempfile.mkdtemp())
    try:
        return [*pure_python(folder), coroutines(folder), *fixed_costs(folder)]
    finally:
        shutil.rmtree(folder)


def apply(ds: datasets.Dataset, node: object, folder: Path, num_proc: int = 1) -> float:
    """Seconds of applying one node."""
    flow = DataFlow(features=ds.features)
    made = node.call(flow.src_features.number)  # type: ignore[attr-defined]  # a node
    started = time.perf_counter()
    flow.apply(ds, collect={"made": made}, num_proc=num_proc, cache_dir=folder, load_from_cache_file=False)
    return time.perf_counter() - started


def pure_python(folder: Path) -> list[Row]:
    """Over 20 s of plain Python, in one process and in two."""
    ds = datasets.Dataset.from_dict({"number": range(ROWS)})
    apply(ds.select(range(10)), work, folder)
    one = apply(ds, work, folder)
    two = apply(ds, work, folder, num_proc=2)
    return [
        Row("a pure-Python node, num_proc=2", "num_proc=1", one / two, ">= 1.7", f"{one:.1f} / {two:.1f}")
    ]


def coroutines(folder: Path) -> Row:
    """10,000 rows that wait 10 ms each."""
    ds = datasets.Dataset.from_dict({"number": range(WAITS)})
    node = wait.options(limits=Limits(concurrency=CONCURRENCY))
    apply(ds.select(range(10)), node, folder)
    taken = statistics.median(apply(ds, node, folder) for _ in range(5))
    bound = WAITS * WAIT_SECONDS / CONCURRENCY
    return Row(
        f"{WAITS:,} rows that wait 10 ms, {CONCURRENCY} at once",
        "the bound",
        taken / bound,
        "<= 1.2",
        f"{taken:.2f} / {bound:.2f}",
    )


def fixed_costs(folder: Path) -> list[Row]:
    """What ten rows and an import cost."""
    ds = datasets.Dataset.from_dict({"number": range(10)})
    apply(ds, work, folder)
    flow = DataFlow(features=ds.features)
    small = []
    for _ in range(5):
        started = time.perf_counter()
        flow.apply(
            ds, collect={"made": flow.src_features.number + 1}, cache_dir=folder, load_from_cache_file=False
        )
        small.append(time.perf_counter() - started)
    taken = statistics.median(small)

    def started_with(statement: str) -> float:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)
            times.append(time.perf_counter() - started)
        return statistics.median(times)

    imported = started_with("import hyped_beam") - started_with("pass")
    return [
        Row("apply on 10 rows", "0.3 s", taken / 0.3, "<= 1", f"{taken:.2f}"),
        Row("import hyped_beam", "0.2 s", imported / 0.2, "<= 1", f"{imported:.3f}"),
    ]


if __name__ == "__main__":
    for line in measure():
        print(line)
