"""Aggregates over the whole dataset and per group, and rows that need them; against Arrow's kernels and Beam.

python -m tests.benchmarks aggregates
python -m tests.benchmarks.aggregates [rows]
"""

from __future__ import annotations

import math
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam import DataFlow
from hyped_beam.aggregators import Count, CountNull, Max, Mean, Min, Std, Sum, Variance
from tests.benchmarks.measure import Row, seconds

ROWS = 10_000_000
BATCH = 65_536
SMALL = 100_000


def make_dataset(rows: int, groups: int, folder: Path) -> datasets.Dataset:
    """Numbers and keys, memory-mapped from a file."""
    random = np.random.default_rng(0)
    columns = {
        "x": random.normal(size=rows),
        "n": random.integers(0, 1000, rows),
        "key": random.integers(0, groups, rows),
    }
    datasets.Dataset(pa.table(columns)).save_to_disk(str(folder))
    return datasets.load_from_disk(str(folder))


def table_of(ds: datasets.Dataset) -> pa.Table:
    """Its rows as one Arrow table."""
    return ds.data.table.combine_chunks()


def ten(ds: datasets.Dataset, folder: Path) -> None:
    """Ten aggregates in one job."""
    flow = DataFlow(features=ds.features)
    x, n = flow.src_features.x, flow.src_features.n
    asked = {
        "count": Count().call(x), "nulls": CountNull().call(x), "sum": Sum().call(x), "min": Min().call(x),
        "max": Max().call(x), "mean": Mean().call(x), "variance": Variance().call(x), "std": Std().call(x),
        "sum_n": Sum().call(n), "max_n": Max().call(n),
    }  # fmt: skip
    flow.apply(ds, aggregators=asked, cache_dir=folder, load_from_cache_file=False)


def ten_by_hand(ds: datasets.Dataset) -> None:
    """The same by Arrow's kernels, one after the other over the same batches."""
    for batch in table_of(ds).to_batches(max_chunksize=BATCH):
        x, n = batch["x"], batch["n"]
        pc.count(x), pc.count(x, mode="only_null"), pc.sum(x), pc.min(x), pc.max(x)
        pc.mean(x), pc.variance(x), pc.stddev(x), pc.sum(n), pc.max(n)


def mean_per_group(ds: datasets.Dataset, folder: Path) -> None:
    """A mean for each key."""
    flow = DataFlow(features=ds.features)
    src = flow.src_features
    flow.apply(
        ds, collect={"mean": Mean().call(src.x, by=src.key)}, cache_dir=folder, load_from_cache_file=False
    )


def z_score(ds: datasets.Dataset, folder: Path) -> None:
    """Rows that need a mean and a deviation: two scans."""
    flow = DataFlow(features=ds.features)
    x = flow.src_features.x
    flow.apply(
        ds, collect={"z": (x - Mean().call(x)) / Std().call(x)}, cache_dir=folder, load_from_cache_file=False
    )


def plain_map(ds: datasets.Dataset, folder: Path) -> None:
    """The same with constants: one scan."""
    flow = DataFlow(features=ds.features)
    x = flow.src_features.x
    flow.apply(ds, collect={"z": (x - 0.5) / 2.0}, cache_dir=folder, load_from_cache_file=False)


def looped(ds: datasets.Dataset) -> dict[str, float]:
    """The ten aggregates over batches of `datasets` in plain Python, as one would write them."""
    count = nulls = 0
    total = squares = 0.0
    low, high = math.inf, -math.inf
    total_n, high_n = 0, -1
    for batch in ds.iter(1000):
        x, n = batch["x"], batch["n"]
        missing = x.count(None)
        nulls, count = nulls + missing, count + len(x) - missing
        total += sum(x)
        squares += sum(value * value for value in x)
        least, most, most_n = min(x), max(x), max(n)
        low, high, high_n = min(low, least), max(high, most), max(high_n, most_n)
        total_n += sum(n)
    mean = total / count
    variance = squares / count - mean * mean
    return {
        "count": count, "nulls": nulls, "sum": total, "min": low, "max": high, "mean": mean,
        "variance": variance, "std": math.sqrt(variance), "sum_n": total_n, "max_n": high_n,
    }  # fmt: skip


def by_beam(ds: datasets.Dataset, *, keyed: bool) -> None:
    """Beam's own mean, row by row, on the same runner."""
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

    def rows() -> Any:
        for batch in ds.with_format("arrow").iter(10_000):
            keys, values = batch["key"].to_pylist(), batch["x"].to_pylist()
            yield from zip(keys, values, strict=True) if keyed else values

    combine = beam.CombinePerKey if keyed else beam.CombineGlobally
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        made = pipeline | beam.Create([0]) | beam.FlatMap(lambda _: rows())
        _ = made | combine(beam.combiners.MeanCombineFn())


def once(function: Callable[[], object]) -> float:
    """The median seconds of three runs after a warm-up."""
    taken = []
    for turn in range(4):
        started = time.perf_counter()
        function()
        if turn:
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def measure(rows: int = ROWS) -> list[Row]:
    """The lines of the table."""
    datasets.disable_progress_bars()
    folder = Path(tempfile.mkdtemp())
    try:
        return [*_whole(rows, folder), *_groups(rows, folder), *_rows(rows, folder)]
    finally:
        shutil.rmtree(folder)


def _whole(rows: int, folder: Path) -> list[Row]:
    ds = make_dataset(rows, 1000, folder / "thousand")
    small = ds.select(range(min(SMALL, rows)))
    found = seconds({"ours": lambda: ten(ds, folder / "out"), "arrow": lambda: ten_by_hand(ds)})
    slow = seconds({"loop": lambda: looped(small), "beam": lambda: by_beam(small, keyed=False)}, 1)
    what = f"ten aggregates, {rows / 1e6:g}M numbers"
    each = found["ours"] / rows
    return [
        Row(what, "Arrow's kernels over the batches", *_ratio(found["ours"], found["arrow"], "<= 1.5")),
        Row(
            f"{what}, a row",
            "batches of datasets in Python",
            *_each(slow["loop"] / len(small), each, ">= 10"),
        ),
        Row(
            "an aggregate, a row",
            "beam.CombineGlobally",
            *_each(slow["beam"] / len(small), each / 10, ">= 100"),
        ),
    ]


def _groups(rows: int, folder: Path) -> list[Row]:
    found = []
    for groups, bound in ((1000, "<= 2"), (1_000_000, "<= 4")):
        ds = make_dataset(rows, groups, folder / f"keys-{groups}")
        whole = table_of(ds)
        taken = seconds(
            {
                "ours": lambda ds=ds: mean_per_group(ds, folder / "out"),
                "arrow": lambda ds=ds: ds.data.table.group_by("key").aggregate([("x", "mean")]),
                "whole": lambda whole=whole: whole.group_by("key").aggregate([("x", "mean")]),
            }
        )
        what = f"mean per group, {rows / 1e6:g}M rows, {groups:,} groups"
        ratio, limit, note = _ratio(taken["ours"], taken["arrow"], bound)
        in_memory = f"{note}; of one piece in memory {taken['whole']:.2f}"
        found.append(Row(what, "Table.group_by, two threads", ratio, limit, in_memory))
        if groups == 1000:
            small = ds.select(range(min(SMALL, rows)))
            beam = once(lambda small=small: by_beam(small, keyed=True)) / len(small)
            found.append(
                Row(
                    "mean per group, a row", "beam's Mean.PerKey", *_each(beam, taken["ours"] / rows, ">= 20")
                )
            )
    return found


def _rows(rows: int, folder: Path) -> list[Row]:
    ds = datasets.load_from_disk(str(folder / "thousand"))
    taken = seconds({"z": lambda: z_score(ds, folder / "out"), "map": lambda: plain_map(ds, folder / "out")})
    return [Row(f"z-score, {rows / 1e6:g}M rows", "a plain map", *_ratio(taken["z"], taken["map"], "<= 2.2"))]


def _ratio(over: float, under: float, bound: str) -> tuple[float, str, str]:
    return over / under, bound, f"{over:.2f} / {under:.2f}"


def _each(over: float, under: float, bound: str) -> tuple[float, str, str]:
    return over / under, bound, f"{over * 1e6:.2f} / {under * 1e6:.3f} us"


if __name__ == "__main__":
    for line in measure(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS):
        print(line, flush=True)
