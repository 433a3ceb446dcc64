"""A bounded scan as a pipeline: ranges are cut, spread, done and finished."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, NodeError, Processor, processor
from hyped_beam.aggregators import Count, Sum
from hyped_beam.errors import JobError
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.types.patterns import Int64Column

FILES, ROWS = 5, 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of more bytes than a range takes."""
    made = tmp_path_factory.mktemp("files")
    for number in range(FILES):
        rows = range(number * ROWS, (number + 1) * ROWS)
        table = pa.table({"n": rows, "padding": [os.urandom(80_000) for _ in rows]})
        pq.write_table(table, made / f"{number}.parquet", row_group_size=20)
    return made


class Opened(Processor):
    """Notes in a folder which process set it up, tore it down, and which rows it was given at once."""

    notes: str

    def setup(self) -> None:
        self._note("setup", [])

    def teardown(self) -> None:
        self._note("teardown", [])

    def process(self, n: Int64Column) -> Int64Column:
        self._note("process", n.to_pylist())
        return n

    def _note(self, what: str, rows: list[int]) -> None:
        number = len(os.listdir(self.notes))  # noqa: PTH208
        Path(self.notes, f"{os.getpid()}-{number}-{what}-{id(rows)}").write_text(
            json.dumps([what, os.getpid(), rows])
        )


def notes(folder: Path) -> list[Any]:
    return [json.loads(file.read_text()) for file in folder.iterdir()]


@pytest.mark.parametrize("num_proc", [1, 2])
def test_every_range_is_done_once_and_nodes_are_opened_once_in_each_process(
    folder: Path, tmp_path: Path, num_proc: int
):
    (tmp_path / "notes").mkdir()
    reader = ParquetReader(folder)
    assert len(reader.ranges()) > 3
    flow = DataFlow(features=reader)
    n = Opened(notes=str(tmp_path / "notes")).call(flow.src_features.n)
    result = (
        flow.job(source=reader)
        .write(collect={"n": n}, to=JsonDatasetWriter(tmp_path / "out"))
        .aggregate({"sum": Sum().call(n), "count": Count().call(n)})
        .run(num_proc=num_proc)
    )
    seen = notes(tmp_path / "notes")
    assert sorted(row for what, _, rows in seen for row in rows if what == "process") == list(
        range(FILES * ROWS)
    )
    setups = [process for what, process, _ in seen if what == "setup"]
    workers = {process for what, process, _ in seen if what == "process"}
    assert len(workers) <= num_proc
    assert (os.getpid() in workers) == (num_proc == 1)
    assert workers <= set(setups)
    assert len(setups) <= num_proc
    if num_proc == 1:
        assert len([what for what, _, _ in seen if what == "teardown"]) == len(setups)
    assert result.aggregates == {"sum": sum(range(FILES * ROWS)), "count": FILES * ROWS}
    rows = [
        json.loads(line)["n"]
        for shard in result.shards["rows"]
        for line in Path(shard).read_text().splitlines()
    ]
    assert rows == list(range(FILES * ROWS))


def test_shards_are_the_same_bytes_for_every_number_of_processes(folder: Path, tmp_path: Path):
    flow = DataFlow(features=ParquetReader(folder))
    made = []
    for num_proc in (1, 2):
        writer = JsonDatasetWriter(tmp_path / str(num_proc))
        job = flow.job(source=ParquetReader(folder)).write(collect={"n": flow.src_features.n + 1}, to=writer)
        shards = job.run(num_proc=num_proc).shards["rows"]
        made.append({Path(shard).name: Path(shard).read_bytes() for shard in shards})
    assert made[0] == made[1]
    assert len(made[0]) > 3


@processor
def exits(n: int) -> int:
    if n == 250:
        os._exit(7)
    return n


def test_a_worker_that_dies_fails_the_job_and_the_next_one_runs(folder: Path, tmp_path: Path):
    flow = DataFlow(features=ParquetReader(folder))
    job = flow.job(source=ParquetReader(folder))
    broken = job.write(collect={"n": exits.call(flow.src_features.n)}, to=JsonDatasetWriter(tmp_path / "a"))
    with pytest.raises(JobError, match="a worker process ended with status 7"):
        broken.run(num_proc=2)
    good = job.write(collect={"n": flow.src_features.n}, to=JsonDatasetWriter(tmp_path / "b"))
    assert good.run(num_proc=2).rows == {"rows": FILES * ROWS}


class Bad(Processor):
    def process(self, n: Int64Column) -> Int64Column:
        if 173 in n.to_pylist():
            msg = "bad"
            raise ValueError(msg)
        return n


@processor
async def bad_later(n: int) -> int:
    if n == 173:
        msg = "bad"
        raise ValueError(msg)
    return n


@pytest.mark.parametrize("node", [Bad(), bad_later], ids=["columns", "coroutine"])
def test_rows_are_counted_over_files_and_ranges(folder: Path, tmp_path: Path, node: Any):
    flow = DataFlow(features=ParquetReader(folder))
    job = flow.job(source=ParquetReader(folder)).write(
        collect={"n": node.call(flow.src_features.n)}, to=JsonDatasetWriter(tmp_path / "out")
    )
    with pytest.raises(NodeError, match="at row 173: ValueError: bad") as caught:
        job.run()
    assert caught.value.values == "n=173"


def test_a_full_disk_or_a_folder_that_cannot_be_written_is_said(folder: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    flow = DataFlow(features=ParquetReader(folder))
    job = flow.job(source=ParquetReader(folder)).write(
        collect={"n": flow.src_features.n}, to=JsonDatasetWriter(tmp_path / "file" / "out")
    )
    with pytest.raises(Exception, match=r"cannot be written|NotADirectory|Not a directory") as caught:
        job.run()
    assert "Traceback" not in str(caught.value)
