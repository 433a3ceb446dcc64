"""Jobs without Beam: they make what Beam's runner makes, and import none of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, Processor, ops, processor
from hyped_beam.aggregators import Count, Mean, Std
from hyped_beam.errors import DefinitionError, JobError, NodeError
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter
from hyped_beam.testing import assert_same_on
from hyped_beam.types.patterns import Int64Column


@pytest.fixture
def numbers(tmp_path: Path) -> ParquetReader:
    folder = tmp_path / "numbers"
    folder.mkdir()
    for part in range(3):
        table = pa.table({"n": range(part * 300, part * 300 + 300), "x": [1 / (n + 1) for n in range(300)]})
        pq.write_table(table, folder / f"{part}.parquet", row_group_size=100)
    return ParquetReader(folder)


def job_of(reader: ParquetReader, folder: Path) -> Any:
    flow = DataFlow(features=reader)
    src = flow.src_features
    g = ops.group_by({"last": src.n % 10}, join="shuffle")
    z = (src.x - Mean().call(src.x)) / Std().call(src.x, by=g)
    return (
        flow.job(source=reader)
        .write("rows", collect={"n": src.n, "z": z}, to=JsonDatasetWriter(folder / "rows"))
        .write(
            "groups",
            collect={"last": g.keys.last, "n": Count().call(src.n, by=g)},
            to=ParquetDatasetWriter(folder / "groups"),
        )
        .aggregate({"mean": Mean().call(src.x)}, to=folder / "stats.json")
    )


def test_a_job_makes_the_same_bytes_as_on_beam(numbers, tmp_path):
    made = assert_same_on(job_of(numbers, tmp_path / "out"))
    assert made.rows == {"rows": 900, "groups": 10}
    assert not (tmp_path / "out").exists()


@processor
def told_apart(n: int) -> int:
    import os

    return n + os.getpid()


def test_another_result_is_told(numbers, tmp_path):
    flow = DataFlow(features=numbers)
    collect = {"n": told_apart.call(flow.src_features.n)}
    job = flow.job(source=numbers).write(collect=collect, to=JsonDatasetWriter(tmp_path / "out"))
    with pytest.raises(AssertionError, match=r"rows/.*jsonl is not the same on 'local' with .*=1 and on"):
        assert_same_on(job, runners=["local"])


def test_what_fails_says_the_row(numbers, tmp_path):
    @processor
    def broken(n: int) -> int:
        if n == 450:
            raise ValueError("no 450")
        return n

    flow = DataFlow(features=numbers)
    collect = {"n": broken.call(flow.src_features.n)}
    for num_proc in (1, 2):
        writer = JsonDatasetWriter(tmp_path / f"out{num_proc}")
        job = flow.job(source=numbers).write(collect=collect, to=writer)
        with pytest.raises(NodeError, match="no 450"):
            job.run(runner="local", num_proc=num_proc)


@processor
def leaves(n: int) -> int:
    return sys.exit(0) if n == 450 else n


@processor
async def leaves_later(n: int) -> int:
    return sys.exit(0) if n == 450 else n


class LeavesFromColumns(Processor):
    def process(self, n: Int64Column) -> Int64Column:
        return sys.exit(3) if pa.scalar(450) in n else n


@pytest.mark.parametrize(
    "node", [leaves, leaves_later, LeavesFromColumns()], ids=["row", "coroutine", "columns"]
)
def test_leaving_the_program_is_an_error_of_the_node(node, numbers, tmp_path):
    flow = DataFlow(features=numbers)
    for runner, num_proc in (("local", 1), ("local", 2), ("direct", 1)):
        writer = JsonDatasetWriter(tmp_path / f"{runner}{num_proc}")
        job = flow.job(source=numbers).write(collect={"n": node.call(flow.src_features.n)}, to=writer)
        with pytest.raises(NodeError, match=r"SystemExit: \d") as caught:
            job.run(runner=runner, num_proc=num_proc)
        assert caught.value.row == 450


def test_what_is_no_job_is_told(numbers, tmp_path):
    with pytest.raises(TypeError, match=r"takes a job, .*, got DataFlow"):
        assert_same_on(DataFlow(features=numbers))  # type: ignore[arg-type]  # on purpose
    assert assert_same_on(job_of(numbers, tmp_path / "out"), runners="local", num_proc=1).rows["rows"] == 900


def test_an_error_of_the_system_is_an_error_of_the_job(numbers, tmp_path):
    class Gone(ParquetReader):
        def ranges(self) -> Any:
            raise OSError("the disk is gone")

    flow = DataFlow(features=numbers)
    job = flow.job(source=Gone(numbers.paths)).aggregate({"n": Count().call(flow.src_features.n)})
    with pytest.raises(JobError, match="OSError: the disk is gone"):
        job.run(runner="local")


def test_beams_options_and_pipelines_are_refused(numbers, tmp_path):
    from hyped_beam.dsl.running import pipeline_proto

    job = job_of(numbers, tmp_path / "out")
    with pytest.raises(DefinitionError, match="'local' takes no options, got direct_num_workers"):
        job.run(runner="local", options={"direct_num_workers": 2})
    with pytest.raises(DefinitionError, match="'local' runs without Beam: there is no pipeline"):
        pipeline_proto(job, runner="local")
    assert not (tmp_path / "out").exists()


def test_applying_a_flow_imports_no_beam(tmp_path):
    datasets.Dataset.from_dict({"n": [1, 2]}).save_to_disk(str(tmp_path / "ds"))
    program = f"""
import sys, datasets
from hyped_beam import DataFlow
from hyped_beam.aggregators import Mean
ds = datasets.load_from_disk({str(tmp_path / "ds")!r})
flow = DataFlow(features=ds.features)
n = flow.src_features.n
made, _ = flow.apply(ds, collect={{"n": n - Mean().call(n)}}, cache_dir={str(tmp_path)!r})
assert made["n"][:] == [-0.5, 0.5]
flow.fit(ds, collect={{"n": n - Mean().call(n)}})
assert "apache_beam" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=600)


def test_a_job_on_beam_leaves_logging_to_the_user(tmp_path):
    program = """
import logging, datasets
from hyped_beam import DataFlow
from hyped_beam.aggregators import Count
ds = datasets.Dataset.from_dict({"n": [1, 2]})
flow = DataFlow(features=ds.features)
assert flow.job(source=ds).aggregate({"n": Count().call(flow.src_features.n)}).run().aggregates == {"n": 2}
assert not logging.root.handlers
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=600)
