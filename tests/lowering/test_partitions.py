"""Jobs whose groups are shuffled: the same rows as without, the same files however many processes."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, NodeError, Processor, ops
from hyped_beam.aggregators import Count, Mean, Sum
from hyped_beam.errors import JobError
from hyped_beam.io.readers.dataset import DatasetReader
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter
from hyped_beam.plan import joins
from hyped_beam.tasks.partition_job import PartitionJob
from hyped_beam.tasks.shuffle_files import ShuffleFiles
from hyped_beam.types.patterns import Int64Column

FILES, ROWS = 5, 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of more bytes than a range takes; some keys are in one of them, some in all, one in most rows."""
    made = tmp_path_factory.mktemp("files")
    for number in range(FILES):
        rows = range(number * ROWS, (number + 1) * ROWS)
        table = pa.table(
            {
                "n": rows,
                "x": pa.array([(-1) ** row * 10.0 ** (row * 5 % 17 - 8) / 3 for row in rows]),
                "k": pa.array([None if row % 7 == 0 else f"k{row % 5 * (row // 40)}" for row in rows]),
                "most": pa.array([row if row % 97 == 0 else -1 for row in rows]),
                "padding": [os.urandom(80_000) for _ in rows],
            }
        )
        pq.write_table(table, made / f"{number}.parquet", row_group_size=20)
    return made


def values_at_rows(src: Any, join: str) -> dict[str, Any]:
    g = ops.group_by({"k": src.k}, join=join)
    mean = Mean().call(src.x, by=g)
    above = Count().call(src.x, by=g, where=src.x > mean)
    most = ops.group_by({"most": src.most, "k": src.k}, join=join)
    share = Sum().call(src.x, by=g) / Sum().call(src.x)
    return {
        "n": src.n,
        "off": src.x - mean,
        "above": above / Count().call(src.n, by=g),
        "most": Sum().call(src.x, by=ops.group_by(src.most, join=join)),
        "both": Sum().call(src.x, by=most),
        "share": share,
    }


def lines(shards: list[str]) -> list[Any]:
    return [json.loads(line) for shard in shards for line in Path(shard).read_text().splitlines()]


@pytest.fixture(scope="module")
def from_one_place(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    return rows_of(folder, tmp_path_factory.mktemp("one"), "broadcast", 1)


def rows_of(folder: Path, out: Path, join: str, num_proc: int) -> list[Any]:
    reader = ParquetReader(folder)
    flow = DataFlow(features=reader)
    job = flow.job(source=reader).write(
        collect=values_at_rows(flow.src_features, join), to=JsonDatasetWriter(out / "rows")
    )
    return lines(job.run(num_proc=num_proc).shards["rows"])


@pytest.mark.parametrize("num_proc", [1, 2])
def test_rows_are_given_the_same_values_of_groups(
    folder: Path, tmp_path: Path, from_one_place: list[Any], num_proc: int
):
    assert len(ParquetReader(folder).ranges()) > 3
    assert rows_of(folder, tmp_path, "shuffle", num_proc) == from_one_place


def test_a_range_is_given_its_groups_also_where_a_pool_computes_batches(
    folder: Path, tmp_path: Path, from_one_place: list[Any]
):
    def rows() -> Any:
        for file in sorted(folder.iterdir()):
            yield from pq.read_table(file, columns=["n", "x", "k", "most"]).to_pylist()

    data = datasets.IterableDataset.from_generator(rows)
    reader = DatasetReader(data)
    assert reader.driver_reads(2)
    flow = DataFlow(features=reader)
    job = flow.job(source=reader).write(
        collect=values_at_rows(flow.src_features, "shuffle"), to=JsonDatasetWriter(tmp_path / "out")
    )
    found = lines(job.run(num_proc=2).shards["rows"])
    assert [row["n"] for row in found] == [row["n"] for row in from_one_place]
    for row, wanted in zip(found, from_one_place, strict=True):
        assert row == pytest.approx(wanted, rel=1e-6)  # in other ranges, so added up in another order


def test_a_large_source_has_its_groups_shuffled(folder: Path, monkeypatch: pytest.MonkeyPatch):
    data = datasets.load_dataset("parquet", data_files=f"{folder}/*.parquet", split="train")
    flow = DataFlow(features=data.features)
    collect = values_at_rows(flow.src_features, "auto")
    rows, _ = flow.apply(data, collect=collect)
    seen = []
    shuffle = PartitionJob.open
    monkeypatch.setattr(joins, "BROADCAST_BYTES", 1_000)
    monkeypatch.setattr(PartitionJob, "open", lambda *given: seen.append(given) or shuffle(*given))
    shuffled, _ = flow.apply(data, collect=collect)
    assert seen
    assert shuffled.to_list() == rows.to_list()


@pytest.mark.parametrize("options", [{}, {"max_shard_rows": 7}])
def test_groups_are_the_same_files_for_every_join_and_number_of_processes(
    folder: Path, tmp_path: Path, options: dict[str, Any]
):
    made = []
    for join, num_proc in (("broadcast", 1), ("shuffle", 1), ("shuffle", 2)):
        reader = ParquetReader(folder)
        flow = DataFlow(features=reader)
        src = flow.src_features
        g = ops.group_by({"n": src.n // 3, "k": src.k}, join=join)
        here = ops.group_by({"k": src.k}, join="broadcast")
        out = tmp_path / f"{join}{num_proc}"
        job = (
            flow.job(source=reader)
            .write("n", collect={"n": src.n}, to=JsonDatasetWriter(out / "n"))
            .write(
                "many",
                collect={**_keys(g), "x": Sum().call(src.x, by=g)},
                to=JsonDatasetWriter(out / "m", **options),
            )
            .write(
                "few",
                collect={"k": here.keys.k, "n": Count().call(src.n, by=here)},
                to=JsonDatasetWriter(out / "f"),
            )
        )
        result = job.run(num_proc=num_proc)
        assert result.rows["many"] == len({(row // 3, _key(row)) for row in range(FILES * ROWS)})
        made.append({str(file.relative_to(out)): file.read_bytes() for file in out.rglob("part-*")})
    assert made[0] == made[1] == made[2]


def _keys(g: Any) -> dict[str, Any]:
    return {"first": g.keys.n, "k": g.keys.k}


def _key(row: int) -> str | None:
    return None if row % 7 == 0 else f"k{row % 5 * (row // 40)}"


def test_groups_of_no_rows_have_columns(tmp_path: Path):
    pq.write_table(
        pa.table({"k": pa.array([], pa.string()), "x": pa.array([], pa.float64())}), tmp_path / "no.parquet"
    )
    reader = ParquetReader(tmp_path / "no.parquet")
    flow = DataFlow(features=reader)
    src = flow.src_features
    g = ops.group_by(src.k, join="shuffle")
    mean = Mean().call(src.x, by=g)
    result = (
        flow.job(source=reader)
        .write("groups", collect={"k": g.keys.k, "mean": mean}, to=ParquetDatasetWriter(tmp_path / "groups"))
        .write("rows", collect={"off": src.x - mean}, to=ParquetDatasetWriter(tmp_path / "rows"))
        .run()
    )
    assert dict(result.rows) == {"groups": 0, "rows": 0}
    (groups,), (rows,) = result.shards["groups"], result.shards["rows"]
    assert pq.read_schema(groups).names == ["k", "mean"]
    assert pq.read_schema(rows).names == ["off"]


def test_a_node_that_fails_on_a_group_is_named(folder: Path, tmp_path: Path):
    reader = ParquetReader(folder)
    flow = DataFlow(features=reader)
    src = flow.src_features
    g = ops.group_by(src.k, join="shuffle")
    odd = Count().call(src.n, by=g) // (Count().call(src.n, by=g) - Count().call(src.n, by=g))
    job = flow.job(source=reader).write(
        collect={"k": g.keys.k, "odd": odd}, to=JsonDatasetWriter(tmp_path / "out")
    )
    with pytest.raises(NodeError, match="zero") as caught:
        job.run()
    assert "test_partitions.py" in str(caught.value)
    assert not (tmp_path / "out").exists()


class Process(Processor):
    """The number of the process that computes."""

    repeatable = False

    def process(self, n: Int64Column) -> Int64Column:
        return pa.array([os.getpid()] * len(n))


@pytest.mark.parametrize("num_proc", [1, 2])
def test_partitions_are_computed_by_the_processes_of_the_job(folder: Path, num_proc: int):
    data = datasets.load_dataset("parquet", data_files=f"{folder}/*.parquet", split="train")
    flow = DataFlow(features=data.features)
    g = ops.group_by({"n": flow.src_features.n}, join="shuffle")
    computed_by = Process().call(Count().call(flow.src_features.n, by=g))
    groups, _ = flow.apply(data, collect={"n": g.keys.n, "process": computed_by}, num_proc=num_proc)
    assert groups["n"][:] == list(range(FILES * ROWS))
    assert len(set(groups["process"])) <= num_proc
    assert (os.getpid() in groups["process"][:]) is (num_proc == 1)


def test_what_is_shuffled_and_lost_is_an_error(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    reader = ParquetReader(folder)
    flow = DataFlow(features=reader)
    job = flow.job(source=reader).write(
        collect=values_at_rows(flow.src_features, "shuffle"), to=JsonDatasetWriter(tmp_path / "out")
    )
    put = ShuffleFiles.put_states
    monkeypatch.setattr(
        ShuffleFiles, "put_states", lambda self, number, held: number == 1 or put(self, number, held)
    )
    with pytest.raises(JobError, match="No such file"):
        job.run(runner="local")
    assert not (tmp_path / "out").exists()


def test_what_is_shuffled_and_does_not_fit_is_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    reader = ParquetReader(folder)
    flow = DataFlow(features=reader)
    job = flow.job(source=reader).write(
        collect=values_at_rows(flow.src_features, "shuffle"), to=JsonDatasetWriter(tmp_path / "out")
    )
    # no system takes such a path
    monkeypatch.setattr("hyped_beam.tasks.shuffle_files.STATES", "a/" * 3000)
    with pytest.raises(JobError, match="what is shuffled cannot be put aside") as caught:
        job.run(runner="local")
    assert "TMPDIR" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_what_ranges_are_given_decides_what_a_cache_has_of_them(folder: Path, tmp_path: Path):
    files = tmp_path / "in"
    files.mkdir()
    for file in sorted(folder.iterdir())[:3]:
        shutil.copy(file, files / file.name)

    def run(out: str, cache: str | None) -> tuple[list[Any], Any]:
        reader = ParquetReader(files)
        flow = DataFlow(features=reader)
        job = flow.job(source=reader).write(
            collect=values_at_rows(flow.src_features, "shuffle"), to=JsonDatasetWriter(tmp_path / out)
        )
        result = job.run(cache=cache)
        return lines(result.shards["rows"]), result.cache

    cache = str(tmp_path / "cache")
    first, _ = run("first", cache)
    again, use = run("again", cache)
    assert again == first
    assert use.reused == use.parts == 6  # three files, in each of two scans
    changed = pq.read_table(files / "1.parquet")
    numbers = pa.array([-x for x in changed["x"].to_pylist()])
    pq.write_table(changed.set_column(1, "x", numbers), files / "1.parquet", row_group_size=20)
    found, use = run("changed", cache)
    assert found == run("plain", None)[0]
    assert found != first
    assert use.reused == 2  # of the first scan; all ranges have groups whose means are others now


class Opened(Processor):
    """The same counts; notes in a folder when it is set up and torn down."""

    notes: str

    def setup(self) -> None:
        Path(self.notes, f"setup-{uuid.uuid4().hex}").touch()

    def teardown(self) -> None:
        Path(self.notes, f"teardown-{uuid.uuid4().hex}").touch()

    def process(self, n: Int64Column) -> Int64Column:
        return n


@pytest.mark.parametrize("as_job", [True, False])
def test_a_node_of_groups_is_set_up_once_for_all_partitions(folder: Path, tmp_path: Path, as_job: bool):
    notes = tmp_path / "notes"
    notes.mkdir()
    reader = ParquetReader(folder)
    flow = DataFlow(features=reader)
    g = ops.group_by({"n": flow.src_features.n}, join="shuffle")
    counts = Opened(notes=str(notes)).call(Count().call(flow.src_features.n, by=g))
    collect = {"n": g.keys.n, "count": counts}
    if as_job:
        job = flow.job(source=reader).write(collect=collect, to=JsonDatasetWriter(tmp_path / "out"))
        assert job.run().rows["rows"] == FILES * ROWS
    else:
        data = datasets.load_dataset("parquet", data_files=f"{folder}/*.parquet", split="train")
        groups, _ = flow.apply(data, collect=collect)
        assert groups.num_rows == FILES * ROWS
    noted = sorted(file.name.partition("-")[0] for file in notes.iterdir())
    assert noted == ["setup", "teardown"]


def test_a_fitted_flow_holds_groups_that_were_shuffled(folder: Path):
    table = pa.concat_tables(
        [pq.read_table(file, columns=["n", "x", "k"]) for file in sorted(folder.iterdir())]
    )
    data = datasets.Dataset(table)
    flow = DataFlow(features=data.features)
    src = flow.src_features
    collect = {"off": src.x - Mean().call(src.x, by=ops.group_by(src.k, join="shuffle"))}
    rows, _ = flow.apply(data, collect=collect)
    fitted = flow.fit(data, collect=collect)
    assert fitted.batch_process(table)["off"].to_pylist() == rows["off"][:]
