"""Jobs: from files to files, whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, NodeError, Processor, processor
from hyped_beam.aggregators import Count, Mean, Sum
from hyped_beam.dsl.job import Job
from hyped_beam.errors import DefinitionError, DefinitionTypeError, FlowError, InputError
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter
from hyped_beam.types.patterns import Int64Column

ROWS = 40
DEADLINE_SECONDS = 600


def source(folder: Path, rows: int = ROWS, groups: int = 10) -> Path:
    path = folder / "rows.parquet"
    if not path.exists():
        kinds = pa.schema([("n", pa.int64()), ("text", pa.string())])
        table = pa.table({"n": range(rows), "text": [f"t{n}" for n in range(rows)]}, kinds)
        pq.write_table(table, path, row_group_size=groups)
    return path


def read(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()
    ]


def snapshot(folder: Path) -> dict[str, str]:
    """The files, without what says how many jobs it took."""
    return {
        re.sub(r"/ranges/\d+/", "/ranges/", str(path.relative_to(folder))): hashlib.sha256(
            re.sub(rb'"generation": \d+', b"", path.read_bytes())
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def job_of(folder: Path, **options: Any) -> Job:
    flow = DataFlow(features=ParquetReader(source(folder)))
    src = flow.src_features
    return (
        flow.job(source=folder / "rows.parquet")
        .write(
            "texts",
            collect={"n": src.n, "up": src.text.upper()},
            to=JsonDatasetWriter(folder / "texts", **options),
        )
        .write("numbers", collect={"n": src.n * 2}, to=ParquetDatasetWriter(folder / "numbers", **options))
        .aggregate(
            {"count": Count().call(src.n), "in": {"sum": Sum().call(src.n), "mean": Mean().call(src.n)}},
            to=folder / "made" / "stats.json",
        )
    )


def test_several_outputs_and_aggregates_in_one_run(tmp_path: Path):
    result = job_of(tmp_path).run()
    assert read(tmp_path / "texts") == [{"n": n, "up": f"T{n}"} for n in range(ROWS)]
    assert pq.read_table(sorted((tmp_path / "numbers").glob("*.parquet")))["n"].to_pylist() == list(
        range(0, 80, 2)
    )
    expected = {"count": ROWS, "in": {"sum": 780, "mean": 19.5}}
    assert result.aggregates == expected
    assert json.loads((tmp_path / "made" / "stats.json").read_text()) == expected
    assert result.rows == {"texts": ROWS, "numbers": ROWS}
    assert [Path(shard).parent for shard in result.shards["texts"]] == [tmp_path / "texts"] * len(
        result.shards["texts"]
    )
    assert result.folders == {name: str(tmp_path / name) for name in ("texts", "numbers")}
    assert result.rows_in == ROWS
    assert result.seconds > 0


def test_an_output_needs_no_name_and_aggregates_no_rows(tmp_path: Path):
    flow = DataFlow(features=ParquetReader(source(tmp_path)))
    job = flow.job(source=tmp_path / "rows.parquet")
    result = job.write(collect=flow.src_features, to=JsonDatasetWriter(tmp_path / "out")).run()
    assert result.rows == {"rows": ROWS}
    assert result.aggregates is None
    result = job.aggregate({"n": Count().call(flow.src_features.n)}).run()
    assert (result.rows, result.aggregates) == ({}, {"n": ROWS})


def test_a_job_is_left_alone_by_those_made_of_it(tmp_path: Path):
    flow = DataFlow(features=ParquetReader(source(tmp_path)))
    first = flow.job(source=tmp_path / "rows.parquet").write(
        "a", collect=flow.src_features, to=JsonDatasetWriter(tmp_path / "a")
    )
    second = first.write("b", collect=flow.src_features, to=JsonDatasetWriter(tmp_path / "b"))
    assert (list(first.outputs), list(second.outputs)) == (["a"], ["a", "b"])


def test_what_is_there_is_refused_replaced_or_resumed(tmp_path: Path):
    job_of(tmp_path).run()
    before = {name: snapshot(tmp_path / name) for name in ("texts", "numbers")}
    with pytest.raises(InputError, match="holds the output of an earlier job") as caught:
        job_of(tmp_path).run()
    assert "replace" in str(caught.value.hint)
    assert {name: snapshot(tmp_path / name) for name in before} == before
    for overwrite in ("resume", "replace"):
        result = job_of(tmp_path, overwrite=overwrite).run()
        assert {name: snapshot(tmp_path / name) for name in before} == before
        assert result.aggregates == {"count": ROWS, "in": {"sum": 780, "mean": 19.5}}


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "thesis.txt").write_text("years of work")
    for overwrite in ("error", "replace", "resume"):
        with pytest.raises(InputError):
            job_of(tmp_path, overwrite=overwrite).run()
        assert [path.name for path in (tmp_path / "texts").iterdir()] == ["thesis.txt"]
        assert (tmp_path / "texts" / "thesis.txt").read_text() == "years of work"
        assert not (tmp_path / "numbers").exists()


class Long(Processor):
    text: str

    def process_row(self, n: int) -> str:
        return f"{n}{self.text}"


@processor
def one(n: int) -> int:
    return n + 1


@processor
def other(n: int) -> int:
    return n + 2


def test_only_the_same_job_is_resumed(tmp_path: Path):
    flow = DataFlow(features=ParquetReader(source(tmp_path)))
    src = flow.src_features
    common = "x" * 100

    def run(name: str, value: Any) -> None:
        writer = JsonDatasetWriter(tmp_path / name, overwrite="resume")
        flow.job(source=tmp_path / "rows.parquet").write(collect={"v": value}, to=writer).run()

    pairs = {
        "options": (Long(text=common + "a").call(src.n), Long(text=common + "b").call(src.n)),
        "constants": (src.text + (common + "a"), src.text + (common + "b")),
        "functions": (one.options(name="f").call(src.n), other.options(name="f").call(src.n)),
    }
    for name, (first, second) in pairs.items():
        run(name, first)
        before = snapshot(tmp_path / name)
        run(name, first)
        with pytest.raises(InputError, match="cannot be resumed: another program made it"):
            run(name, second)
        assert snapshot(tmp_path / name) == before
    pq.write_table(pa.table({"n": [1], "text": ["a"]}), tmp_path / "rows.parquet")
    with pytest.raises(InputError, match="another source, or other versions of its files, made it"):
        run("options", pairs["options"][0])


OWN = """
from hyped_beam import processor
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
LIMIT = 3
class OwnReader(ParquetReader):
    def read_piece(self, piece, wanted, condition):
        for row, batch in super().read_piece(piece, wanted, condition):
            yield row, batch.slice(0)
class OwnWriter(JsonDatasetWriter):
    more: int = 1
def helper(n):
    return n + LIMIT
@processor(repeatable=False)
def node(n: int) -> int:
    return helper(n)
"""


@pytest.mark.parametrize(
    "change",
    [("LIMIT = 3", "LIMIT = 4"), ("n + LIMIT", "n * LIMIT"), ("slice(0)", "slice(1)"), ()],
)
def test_code_that_a_node_or_a_format_uses_is_of_the_program(tmp_path: Path, change: tuple[str, ...]):
    source(tmp_path)

    def run(script: str) -> Any:
        own = ModuleType("__main__")
        exec(script, own.__dict__)  # noqa: S102
        reader = own.OwnReader(tmp_path / "rows.parquet")
        flow = DataFlow(features=reader)
        to = own.OwnWriter(tmp_path / "out", overwrite="resume")
        return flow.job(source=reader).write(collect={"v": own.node.call(flow.src_features.n)}, to=to).run()

    run(OWN)
    before = snapshot(tmp_path / "out")
    what = "source, or other versions of its files," if "slice(0)" in change else "program"
    if change:
        with pytest.raises(InputError, match=f"cannot be resumed: another {what} made it"):
            run(OWN.replace(*change))
    else:
        run(f"\n# said otherwise\n{OWN}")
    assert snapshot(tmp_path / "out") == before


def test_a_version_that_cuts_otherwise_does_not_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    flow = DataFlow(features=ParquetReader(source(tmp_path)))
    writer = JsonDatasetWriter(tmp_path / "out", overwrite="resume")
    job = flow.job(source=tmp_path / "rows.parquet").write(collect={"n": flow.src_features.n}, to=writer)
    job.run()
    monkeypatch.setattr("hyped_beam.io.readers.base.RANGES_OF_SMALL_SOURCE", 4)
    with pytest.raises(InputError, match="another cut of the source made it"):
        job.run()


class Bad(Processor):
    row: int

    def process(self, n: Int64Column) -> Int64Column:
        if self.row in n.to_pylist():
            raise ValueError(self.row)
        return n


@pytest.mark.parametrize("num_proc", [1, 2])
def test_a_failed_job_names_the_row_leaves_no_half_output_and_goes_on_when_mended(
    tmp_path: Path, num_proc: int
):
    flow = DataFlow(features=ParquetReader(source(tmp_path)))
    collect = {"n": Bad(row=33).call(flow.src_features.n)}
    job = flow.job(source=tmp_path / "rows.parquet").write(
        collect=collect, to=JsonDatasetWriter(tmp_path / "out")
    )
    with pytest.raises(NodeError, match="at row 33: ValueError: 33") as caught:
        job.run(num_proc=num_proc)
    assert caught.value.site is not None
    assert caught.value.site.file == __file__
    assert not (tmp_path / "out").exists()  # no range was done, so there is nothing to go on from
    mended = flow.job(source=tmp_path / "rows.parquet").write(
        collect={"n": Bad(row=-1).call(flow.src_features.n)}, to=JsonDatasetWriter(tmp_path / "out")
    )
    assert mended.run(num_proc=num_proc).rows_in > 33


def test_nothing_is_written_where_the_source_is_not_what_the_flow_was_made_for(tmp_path: Path):
    path = source(tmp_path)
    flow = DataFlow(features={"n": datasets.Value("string"), "more": datasets.Value("int64")})
    for collect, message in (
        ({"n": flow.src_features.n}, "column 'n' is int64, the flow was made for string"),
        ({"m": flow.src_features.more}, "no column 'more', which the flow reads"),
    ):
        job = flow.job(source=path).write(collect=collect, to=JsonDatasetWriter(tmp_path / "out"))
        with pytest.raises(InputError, match=message):
            job.run()
    with pytest.raises(InputError, match="no_such"):
        flow.job(source=tmp_path / "no_such.parquet").write(
            collect=flow.src_features, to=JsonDatasetWriter(tmp_path / "out")
        ).run()
    assert not (tmp_path / "out").exists()


def test_what_is_wrong_is_said_on_the_line_that_says_it(tmp_path: Path):
    flow = DataFlow(features=ParquetReader(source(tmp_path)))
    src = flow.src_features
    job = flow.job(source=tmp_path / "rows.parquet")
    writer = JsonDatasetWriter(tmp_path / "out")
    wrong = {
        "to= takes a writer, got str": lambda: job.write(collect=src, to="out"),
        "collect= is missing": lambda: job.write(to=writer),
        "the name of an output is text": lambda: job.write(src, to=writer),
        "has no argument 'colect'": lambda: job.write(colect=src, to=writer),
        "collect= takes columns, got one int64": lambda: job.write(collect=src.n, to=writer),
        "has an output 'a' already": lambda: job.write("a", collect=src, to=writer).write(
            "a", collect=src, to=writer
        ),
        "the job has no output": job.run,
        "has no runner 'direkt'": lambda: job.write(collect=src, to=writer).run(runner="direkt"),
        "takes values of the whole dataset": lambda: job.aggregate({"n": src.n}),
        "num_proc= is": lambda: job.write(collect=src, to=writer).run(num_proc=0),
        "takes a reader": lambda: flow.job(source=3),
        "there is no file or folder .mail.xyz": lambda: flow.job(source="mail.xyz"),
    }
    for message, use in wrong.items():
        with pytest.raises(FlowError, match=message) as caught:
            use()
        assert caught.value.site is not None, message
        assert caught.value.site.file == __file__, message
    with pytest.raises(DefinitionError, match="overwrite"):
        job.write("a", collect=src, to=JsonDatasetWriter(tmp_path / "a", overwrite="replace")).write(
            "b", collect=src, to=JsonDatasetWriter(tmp_path / "b")
        ).run()
    with pytest.raises((InputError, DefinitionTypeError)):
        job.write("a", collect=src, to=writer).write("b", collect=src, to=writer).run()
    assert not (tmp_path / "out").exists()


def test_a_source_without_rows(tmp_path: Path):
    path = source(tmp_path, rows=0)
    flow = DataFlow(features=ParquetReader(path))
    src = flow.src_features
    result = (
        flow.job(source=path)
        .write("json", collect=src, to=JsonDatasetWriter(tmp_path / "json"))
        .write("parquet", collect=src, to=ParquetDatasetWriter(tmp_path / "parquet"))
        .aggregate({"n": Count().call(src.n), "mean": Mean().call(src.n)})
        .run()
    )
    assert result.rows == {"json": 0, "parquet": 0}
    assert result.aggregates == {"n": 0, "mean": None}
    assert pq.read_table(tmp_path / "parquet")["n"].type == pa.int64()


def test_a_dataset_is_a_source(tmp_path: Path):
    rows = datasets.Dataset.from_dict({"n": list(range(10))}).select(range(3, 6))
    flow = DataFlow(features=rows)
    flow.job(source=rows).write(collect=flow.src_features, to=JsonDatasetWriter(tmp_path / "out")).run()
    assert read(tmp_path / "out") == [{"n": 3}, {"n": 4}, {"n": 5}]


def test_aggregates_that_json_does_not_know(tmp_path: Path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"x": [math.nan, 1.0]}), path)
    flow = DataFlow(features=ParquetReader(path))
    stats = tmp_path / "stats.json"
    result = flow.job(source=path).aggregate({"mean": Mean().call(flow.src_features.x)}, to=stats).run()
    assert math.isnan(result.aggregates["mean"])
    assert json.loads(stats.read_text(), parse_constant=pytest.fail) == {"mean": None}


KILLED = """
import math, sys, time
from pathlib import Path
from hyped_beam import DataFlow, processor
from hyped_beam.aggregators import Sum, Mean
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter

folder, processes = Path(sys.argv[1]), int(sys.argv[2])
first_of_last_file = math.sin(7000.0) * 10.0**-8

@processor
def work(x: float) -> float:
    while x == first_of_last_file and not (folder / "go").exists():
        time.sleep(0.01)
    return x * 3

files = sorted(str(file) for file in (folder.parent / "in").glob("*.parquet"))
flow = DataFlow(features=ParquetReader(files))
src = flow.src_features
job = (
    flow.job(source=ParquetReader(files))
    .write("a", collect={"x": work.call(src.x)}, to=JsonDatasetWriter(folder / "a", overwrite="resume"))
    .write("b", collect={"y": src.x + 1}, to=ParquetDatasetWriter(folder / "b", overwrite="resume"))
    .aggregate({"sum": Sum().call(src.x), "mean": Mean().call(src.x * 3)}, to=folder / "stats.json")
)
job.run(num_proc=processes)
"""


def any_process_with(mark: str) -> bool:
    """Whether a process has something in its environment."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has ended since
            if entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes():
                return True
    return False


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_job_that_is_resumed_equals_one_that_ran_through(tmp_path: Path, processes: int):
    script = tmp_path / "job.py"
    script.write_text(KILLED)
    (tmp_path / "in").mkdir()
    for number in range(8):  # more bytes than one range takes, as random floats do not compress
        values = [math.sin(number * 1000.0 + row) * 10.0 ** (row % 17 - 8) for row in range(400)]
        padding = [os.urandom(3000) for _ in range(400)]
        pq.write_table(pa.table({"x": values, "padding": padding}), tmp_path / "in" / f"{number}.parquet")
    mark = uuid.uuid4().hex
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}

    def start(name: str, count: int) -> subprocess.Popen[str]:
        command = [sys.executable, str(script), str(tmp_path / name), str(count)]
        marked = {**environment, "TEST_MARK": f"{name} {mark}"}
        return subprocess.Popen(command, env=marked, stderr=subprocess.PIPE, text=True)

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    (tmp_path / "whole" / "go").touch()
    whole = start("whole", 1)
    running = start("killed", processes)
    records = tmp_path / "killed" / "a" / "__hyped_beam__" / "ranges"
    deadline = time.monotonic() + DEADLINE_SECONDS
    while len(list(records.glob("*/*.json"))) < 2:
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (tmp_path / "killed" / "stats.json").exists()
    done = len(list(records.glob("*/*.json")))
    while any_process_with(f"killed {mark}"):  # its workers end on their own
        assert time.monotonic() < deadline
        time.sleep(0.005)
    kept = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "killed" / "a").glob("*.jsonl")}
    (tmp_path / "killed" / "go").touch()
    resumed = start("killed", processes)
    for process in (whole, resumed):
        assert process.wait(DEADLINE_SECONDS) == 0, process.communicate()[1]
    total = len(list(records.glob("*/*.json")))
    assert 2 <= done < total
    untouched = [
        name for name, at in kept.items() if (tmp_path / "killed" / "a" / name).stat().st_mtime_ns == at
    ]
    assert len(untouched) >= 2
    left, right = snapshot(tmp_path / "whole"), snapshot(tmp_path / "killed")
    assert {name: held for name, held in left.items() if "__hyped_beam__" not in name} == {
        name: held for name, held in right.items() if "__hyped_beam__" not in name
    }
    assert left.keys() == right.keys()
