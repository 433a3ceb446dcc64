"""Sources that change while a job reads them: a sentence that names the file, and no output."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, FlowError, Processor, ops
from hyped_beam.aggregators import Mean, Sum
from hyped_beam.errors import InputError
from hyped_beam.io.readers.arrow import ArrowReader
from hyped_beam.io.readers.base import Range, Reader
from hyped_beam.io.readers.csv import CsvReader
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter

ROWS = 40


def write_parquet(path: Path, first: int) -> None:
    pq.write_table(pa.table({"n": range(first, first + ROWS)}), path, row_group_size=10)


def write_arrow(path: Path, first: int) -> None:
    table = pa.table({"n": range(first, first + ROWS)})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=10)


def write_json(path: Path, first: int) -> None:
    path.write_text("".join(f'{{"n": {n}}}\n' for n in range(first, first + ROWS)))


def write_packed(path: Path, first: int) -> None:
    path.write_bytes(gzip.compress("".join(f'{{"n": {n}}}\n' for n in range(first, first + ROWS)).encode()))


def write_csv(path: Path, first: int) -> None:
    path.write_text("n\n" + "".join(f"{n}\n" for n in range(first, first + ROWS)))


FORMATS: dict[str, tuple[Callable[..., Reader], Callable[[Path, int], None]]] = {
    "rows.parquet": (ParquetReader, write_parquet),
    "rows.arrow": (ArrowReader, write_arrow),
    "rows.jsonl": (JsonReader, write_json),
    "rows.jsonl.gz": (JsonReader, write_packed),
    "rows.csv": (CsvReader, write_csv),
}


def replaced(path: Path, write: Callable[[Path, int], None], first: int) -> None:
    """Put another file in the place of one, as careful programs do, with the old time."""
    beside = path.with_name(f".{path.name}")
    write(beside, first)
    before = path.stat()
    os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))
    beside.replace(path)


def edited(path: Path, write: Callable[[Path, int], None], first: int) -> None:
    """Write other content of the same size into a file, and set its old time."""
    before = path.stat()
    write(path, first)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


class Meddling(Processor):
    """Gives what it takes, and when it first sees a row moves a file over another one."""

    new: str
    old: str
    at: int

    def process_row(self, n: int) -> int:
        if n == self.at and Path(self.new).exists():
            Path(self.new).replace(self.old)
        return n


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("runner", ["local", "direct"])
def test_a_file_replaced_between_two_scans_ends_the_job(tmp_path: Path, name: str, runner: str):
    reader, write = FORMATS[name]
    write(tmp_path / name, 1000)
    write(tmp_path / f"new-{name}", 2000)
    times = (tmp_path / name).stat()
    os.utime(tmp_path / f"new-{name}", ns=(times.st_atime_ns, times.st_mtime_ns))
    source = reader(tmp_path / name)
    flow = DataFlow(features=source)
    n = flow.src_features.n
    meddled = Meddling(new=str(tmp_path / f"new-{name}"), old=str(tmp_path / name), at=1000 + ROWS - 1).call(
        n
    )
    rows = {"v": n - Mean().call(meddled)}
    job = flow.job(source=source).write(collect=rows, to=JsonDatasetWriter(tmp_path / "out"))
    with pytest.raises(InputError, match=f"{name} has changed while it was read: .*another file was put"):
        job.run(runner=runner)
    assert not (tmp_path / "out").exists()


def test_a_file_replaced_while_the_last_scan_reads_the_next_ends_the_job(tmp_path: Path):
    for part in range(2):
        write_json(tmp_path / f"{part}.jsonl", 1000 * (part + 1))
    write_json(tmp_path / "new", 5000)
    source = JsonReader([tmp_path / "0.jsonl", tmp_path / "1.jsonl"])
    flow = DataFlow(features=source)
    node = Meddling(new=str(tmp_path / "new"), old=str(tmp_path / "0.jsonl"), at=2000 + ROWS - 1)
    job = flow.job(source=source).write(
        collect={"v": node.call(flow.src_features.n)}, to=JsonDatasetWriter(tmp_path / "out")
    )
    with pytest.raises(InputError, match=r"0\.jsonl has changed while it was read") as raised:
        job.run(runner="local")
    assert "run it again" in str(raised.value)
    assert not list(tmp_path.rglob("manifest.json"))


@pytest.mark.parametrize("change", [replaced, edited])
@pytest.mark.parametrize("name", FORMATS)
def test_what_was_cut_is_not_read_of_another_file(tmp_path: Path, name: str, change: Any):
    reader, write = FORMATS[name]
    write(tmp_path / name, 1000)
    source = reader(tmp_path / name).pinned()
    scan = pickle.loads(pickle.dumps(source.scan(["n"])))  # noqa: S301 - as it travels to the workers
    parts = [Range.from_json(part.to_json()) for part in source.ranges()]
    assert sum(batch.num_rows for part in parts for batch in scan.read(part)) == ROWS
    source.check_unchanged()
    change(tmp_path / name, write, 2000)
    with pytest.raises(InputError, match=f"{name} has changed while it was read"):
        list(scan.read(parts[0]))
    with pytest.raises(InputError, match=f"{name} has changed while it was read"):
        source.check_unchanged()
    assert reader(tmp_path / name).pinned().fingerprint() != source.fingerprint()


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_cut_shorter_says_that_it_changed(tmp_path: Path, name: str):
    reader, write = FORMATS[name]
    write(tmp_path / name, 1000)
    source = reader(tmp_path / name).pinned()
    scan, parts = source.scan(["n"]), source.ranges()
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=f"its size was {len(data):,} bytes, and is {len(data) // 2:,}"):
        list(scan.read(parts[0]))


def test_a_same_size_edit_with_its_old_time_is_not_resumed(tmp_path: Path):
    write_json(tmp_path / "rows.jsonl", 1000)
    source = JsonReader(tmp_path / "rows.jsonl")
    flow = DataFlow(features=source)

    def run() -> None:
        writer = JsonDatasetWriter(tmp_path / "out", overwrite="resume")
        flow.job(source=JsonReader(tmp_path / "rows.jsonl")).write(
            collect={"n": flow.src_features.n}, to=writer
        ).run(runner="local")

    run()
    run()
    edited(tmp_path / "rows.jsonl", write_json, 2000)
    with pytest.raises(InputError, match="another source, or other versions of its files, made it"):
        run()


@pytest.mark.parametrize("join", ["broadcast", "shuffle"])
def test_a_table_replaced_while_it_is_looked_up_in_ends_the_job(tmp_path: Path, join: str):
    write_parquet(tmp_path / "rows.parquet", 0)
    for name, value in (("table", "old"), ("new", "new")):
        pq.write_table(pa.table({"k": range(ROWS), "v": [value] * ROWS}), tmp_path / f"{name}.parquet")
    source = ParquetReader(tmp_path / "rows.parquet")
    flow = DataFlow(features=source)
    node = Meddling(new=str(tmp_path / "new.parquet"), old=str(tmp_path / "table.parquet"), at=ROWS - 1)
    n = flow.src_features.n
    found = ops.lookup(n, in_=ParquetReader(tmp_path / "table.parquet"), key="k", join=join)
    rows = {"v": found.v, "m": n - Sum().call(node.call(n))}
    job = flow.job(source=source).write(collect=rows, to=JsonDatasetWriter(tmp_path / "out"))
    with pytest.raises(FlowError, match=r"table\.parquet has changed while it was read"):
        job.run(runner="local")
    assert not (tmp_path / "out").exists()


def test_a_table_that_was_edited_is_not_resumed_with(tmp_path: Path):
    write_parquet(tmp_path / "rows.parquet", 0)
    write_json(tmp_path / "table.jsonl", 1000)
    flow = DataFlow(features=ParquetReader(tmp_path / "rows.parquet"))

    def run() -> None:
        table = JsonReader(tmp_path / "table.jsonl", origin="o")
        found = ops.lookup(flow.src_features.n, in_=table, key="n")
        writer = JsonDatasetWriter(tmp_path / "out", overwrite="resume")
        flow.job(source=tmp_path / "rows.parquet").write(collect={"o": found.o.row}, to=writer).run(
            runner="local"
        )

    run()
    run()
    edited(tmp_path / "table.jsonl", write_json, 2000)
    with pytest.raises(InputError, match="cannot be resumed: another program made it"):
        run()


@pytest.mark.parametrize("entrance", ["fit", "apply", "aggregate"])
def test_other_entrances_refuse_a_source_that_changes(tmp_path: Path, entrance: str):
    write_arrow(tmp_path / "rows.arrow", 1000)
    write_arrow(tmp_path / "new.arrow", 2000)
    data = datasets.Dataset.from_file(str(tmp_path / "rows.arrow"))
    flow = DataFlow(features=data.features)
    n = flow.src_features.n
    node = Meddling(new=str(tmp_path / "new.arrow"), old=str(tmp_path / "rows.arrow"), at=1000 + ROWS - 1)
    rows = {"v": n - Mean().call(node.call(n))}
    job = flow.job(source=data).aggregate({"sum": Sum().call(node.call(n))})
    entrances: dict[str, Callable[[], Any]] = {
        "fit": lambda: flow.fit(data, collect=rows),
        "apply": lambda: flow.apply(data, collect=rows),
        "aggregate": lambda: job.run(runner="local"),
    }
    with pytest.raises(InputError, match=r"rows\.arrow has changed while it was read"):
        entrances[entrance]()


def test_a_reader_made_before_its_file_got_other_columns_says_so(tmp_path: Path):
    write_json(tmp_path / "rows.jsonl", 1000)
    source = JsonReader(tmp_path / "rows.jsonl")
    flow = DataFlow(features=source)
    job = flow.job(source=source).write(
        collect={"n": flow.src_features.n}, to=JsonDatasetWriter(tmp_path / "out")
    )
    (tmp_path / "rows.jsonl").write_text(json.dumps({"n": "one"}) + "\n")
    with pytest.raises(InputError, match="column 'n' was int64, and is string"):
        job.run(runner="local")


def test_new_files_of_a_folder_are_not_read_and_do_no_harm(tmp_path: Path):
    (tmp_path / "in").mkdir()
    write_json(tmp_path / "in" / "0.jsonl", 1000)
    write_json(tmp_path / "new", 5000)
    source = JsonReader(tmp_path / "in")
    flow = DataFlow(features=source)
    n = flow.src_features.n
    node = Meddling(new=str(tmp_path / "new"), old=str(tmp_path / "in" / "1.jsonl"), at=1000)
    total = Sum().call(node.call(n))
    result = (
        flow.job(source=source)
        .write(collect={"v": n - total}, to=JsonDatasetWriter(tmp_path / "out"))
        .run(runner="local")
    )
    assert (tmp_path / "in" / "1.jsonl").exists()
    assert result.rows["rows"] == ROWS


def test_aggregates_are_not_stale_after_a_same_size_edit_with_its_old_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("hyped_beam.io.contents.SETTLED_SECONDS", 0)
    write_json(tmp_path / "rows.jsonl", 1000)
    flow = DataFlow(features={"n": "int64"})
    total = {"sum": Sum().call(flow.src_features.n)}

    def run() -> Any:
        job = flow.job(source=JsonReader(tmp_path / "rows.jsonl")).aggregate(total)
        return job.run(runner="local", cache=tmp_path / "cache").aggregates["sum"]

    assert run() == sum(range(1000, 1000 + ROWS))
    ticked = time.time_ns()
    while (tmp_path / "rows.jsonl").stat().st_ctime_ns >= ticked:  # the clock of the file system ticks rarely
        ticked = time.time_ns()
    edited(tmp_path / "rows.jsonl", write_json, 2000)
    assert run() == sum(range(2000, 2000 + ROWS))


def test_a_file_that_was_only_copied_back_is_refused_with_a_sentence(tmp_path: Path):
    write_json(tmp_path / "rows.jsonl", 1000)
    source = JsonReader(tmp_path / "rows.jsonl").pinned()
    shutil.copy2(tmp_path / "rows.jsonl", tmp_path / "copy")
    (tmp_path / "copy").replace(tmp_path / "rows.jsonl")
    with pytest.raises(InputError, match="another file was put in its place") as raised:
        source.check_unchanged()
    assert "run it again" in str(raised.value)
