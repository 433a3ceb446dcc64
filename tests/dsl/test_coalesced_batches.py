"""Bits of sums where batches are put together: whatever else is asked for, and whatever is left out."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import Count, Max, Mean, Std, Sum, ValueCounts
from hyped_beam.io.readers import base, file_scan, packing
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.arrow import ArrowDatasetWriter
from hyped_beam.tasks import coalesced_states

GROUP_ROWS, GROUPS = 500, 40


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ParquetReader:
    """A file of many batches, of which eight are put together at most."""
    monkeypatch.setattr(packing, "RANGES_OF_SMALL_SOURCE", 1)
    monkeypatch.setattr(base, "RANGES_OF_SMALL_SOURCE", 1)
    for module in (base, file_scan, packing):
        monkeypatch.setattr(module, "BATCH_ROWS", GROUP_ROWS)
    monkeypatch.setattr(coalesced_states, "JOINED_ROWS", 8 * GROUP_ROWS)
    random = np.random.default_rng(0)
    rows = GROUP_ROWS * GROUPS
    table = pa.table(
        {
            "x": random.normal(size=rows) * 10.0 ** random.integers(-8, 8, rows),
            "order": np.arange(rows),
            "key": random.integers(0, 5, rows),
            "text": [f"{number % 7} words" for number in range(rows)],
        }
    )
    path = tmp_path / "numbers.parquet"
    pq.write_table(table, path, row_group_size=GROUP_ROWS)
    return ParquetReader(str(path))


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def values_of(source: ParquetReader, asked: Mapping[str, Any], flow: DataFlow) -> dict[str, bytes]:
    """The bits of the floats among the values."""
    made = flow.job(source=source).aggregate(dict(asked)).run("local").aggregates
    return {name: bits(value) for name, value in made.items() if isinstance(value, float)}


def test_batches_are_really_put_together(source: ParquetReader, monkeypatch: pytest.MonkeyPatch):
    parts: list[int] = []
    join = coalesced_states.joined
    monkeypatch.setattr(coalesced_states, "joined", lambda taken: parts.append(len(taken)) or join(taken))
    flow = DataFlow(features=source)
    values_of(source, {"mean": Mean().call(flow.src_features.x)}, flow)
    assert sum(parts) == GROUPS
    assert max(parts) == 8


def test_nothing_that_stands_beside_an_aggregator_changes_its_bits(source: ParquetReader):
    flow = DataFlow(features=source)
    src = flow.src_features
    asked = {"mean": Mean().call(src.x), "sum": Sum().call(src.x), "std": Std().call(src.x)}
    alone = values_of(source, asked, flow)
    beside = {
        "words": ValueCounts().call(src.text),
        "texts": Count().call(src.text.lower()),
        "items": Max().call(ops.explode(src.text.split())),
        "order": Sum().call(src.order),
    }
    together = values_of(source, {**asked, **beside}, flow)
    assert {name: together[name] for name in alone} == alone
    for name, aggregate in asked.items():
        assert values_of(source, {name: aggregate}, flow) == {name: alone[name]}


def test_batches_that_are_left_out_change_no_bits(source: ParquetReader):
    flow = DataFlow(features=source)
    src = flow.src_features
    kept = ops.filter(src, src.order > GROUP_ROWS * 11 + 3)
    asked = {
        "filtered": Mean().call(kept.x),
        "where": Sum().call(src.x, where=src.order > GROUP_ROWS * 11 + 3),
    }
    with_all = values_of(source, {**asked, "rows": Count().call(src.order), "mean": Mean().call(src.x)}, flow)
    for name, aggregate in asked.items():
        assert values_of(source, {name: aggregate}, flow) == {name: with_all[name]}


def test_the_runner_changes_no_bits(source: ParquetReader, tmp_path: Path):
    flow = DataFlow(features=source)
    src = flow.src_features
    rows = {"key": src.key, "z": (src.x - Mean().call(src.x, by=src.key)) / Std().call(src.x)}
    made = []
    for runner in ("local", "direct"):
        target = tmp_path / runner
        flow.job(source=source).write(collect=rows, to=ArrowDatasetWriter(str(target))).run(runner)
        made.append([path.read_bytes() for path in sorted(target.glob("*.arrow"))])
    assert made[0] == made[1]
    assert made[0]
