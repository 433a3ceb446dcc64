"""Flows fitted on many groups: found in partitions, kept in files, the same whichever way they were found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import Count, Max, Mean
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.parquet import ParquetDatasetWriter
from hyped_beam.plan import joins
from hyped_beam.tasks.partition_job import PartitionJob

GROUPS = 200_000


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A row or two of each of many keys, of text."""
    random = np.random.default_rng(0)
    numbers = random.permutation(np.arange(GROUPS * 3 // 2) % GROUPS)
    table = pa.table(
        {
            "k": pa.array([f"a key of text {number}" for number in numbers]),
            "x": random.normal(size=len(numbers)),
        }
    )
    path = tmp_path_factory.mktemp("many") / "rows.parquet"
    pq.write_table(table, path, row_group_size=20_000)
    return path


def values(src: Any, join: str) -> dict[str, Any]:
    g = ops.group_by(src.k, join=join)
    off = src.x - Mean().call(src.x, by=g)
    return {"off": off, "n": Count().call(src.x, by=g), "share": off / Max().call(src.x)}


def fitted(source: Path, join: str, num_proc: int = 1) -> DataFlow:
    reader = ParquetReader(source)
    flow = DataFlow(features=reader)
    return flow.fit(reader, collect=values(flow.src_features, join), num_proc=num_proc)


@pytest.fixture(scope="module")
def saved(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fitted") / "flow.json"
    fitted(source, "shuffle").save(path)
    return path


@pytest.fixture(scope="module")
def rows(source: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    reader = ParquetReader(source)
    flow = DataFlow(features=reader)
    out = tmp_path_factory.mktemp("rows") / "out"
    flow.job(source=reader).write(
        collect=values(flow.src_features, "broadcast"), to=ParquetDatasetWriter(out)
    ).run()
    return pq.read_table(out)


def test_it_gives_what_the_flow_gives_in_batches_in_another_dataset_and_in_a_job(
    source: Path, saved: Path, rows: pa.Table, tmp_path: Path
):
    served = DataFlow.load(saved)
    table = pq.read_table(source)
    assert served.batch_process(table.slice(777, 100)).equals(rows.slice(777, 100))
    other = datasets.Dataset(table.slice(50_000, 70_000))
    for num_proc in (1, 2):
        applied, _ = served.apply(other, num_proc=num_proc)
        assert applied.data.table.combine_chunks().cast(rows.schema).equals(rows.slice(50_000, 70_000))
    unseen = served.batch_process({"k": ["a key of text 7", "another"], "x": [1.0, 1.0]})
    assert unseen["n"][0] in (1, 2)
    assert unseen["n"][1] is None


def test_it_is_the_same_files_for_every_join_and_number_of_processes(
    source: Path, saved: Path, tmp_path: Path
):
    wanted = {file.name: file.read_bytes() for file in saved.parent.iterdir()}
    assert len(wanted) == 2
    for join, num_proc in (("broadcast", 1), ("shuffle", 2)):
        out = tmp_path / f"{join}{num_proc}"
        fitted(source, join, num_proc).save(out / "flow.json")
        assert {file.name: file.read_bytes() for file in out.iterdir()} == wanted


def test_the_plan_chooses_what_is_shuffled(source: Path, saved: Path, tmp_path: Path, monkeypatch):
    seen = []
    shuffle = PartitionJob.open
    monkeypatch.setattr(joins, "BROADCAST_BYTES", 1_000)
    monkeypatch.setattr(PartitionJob, "open", lambda *given: seen.append(given) or shuffle(*given))
    fitted(source, "auto").save(tmp_path / "flow.json")
    assert seen
    assert (tmp_path / "flow.json").read_bytes() == saved.read_bytes()


def test_its_groups_take_no_memory(source: Path, saved: Path):
    size = next(saved.parent.glob("*.arrow")).stat().st_size
    before = pa.total_allocated_bytes()
    served = [fitted(source, "shuffle"), DataFlow.load(saved)]
    assert size > 5_000_000
    assert pa.total_allocated_bytes() - before < size / 10
    assert served[0].explain() == served[1].explain()
