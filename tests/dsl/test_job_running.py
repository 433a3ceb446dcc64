"""Jobs while they run: how far they are, what takes how long, and how they are made to stop."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, NodeError, processor
from hyped_beam.aggregators import Count, Sum
from hyped_beam.dsl.job import Job
from hyped_beam.errors import DefinitionError, FlowError, InputError
from hyped_beam.io.readers import base, packing
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter
from hyped_beam.launch.progress import Progress
from hyped_beam.launch.result import JobCancelledError
from hyped_beam.tasks import under_way

FILES, ROWS = 5, 60
DEADLINE_SECONDS = 600
PRISM = pytest.mark.needs("prism")
ON_RUNNERS = [("direct", 1), ("direct", 2), pytest.param("prism", 2, marks=PRISM)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of more bytes than a range takes."""
    made = tmp_path_factory.mktemp("files")
    for number in range(FILES):
        rows = range(number * ROWS, (number + 1) * ROWS)
        table = pa.table({"n": rows, "padding": [os.urandom(80_000) for _ in rows]})
        pq.write_table(table, made / f"{number}.parquet", row_group_size=20)
    return made


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def files_of(folder: Path) -> dict[str, bytes]:
    """The files, without what says how many jobs it took."""
    return {
        path.name: re.sub(rb'"generation": \d+', b"", path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


# --------------------------------------------------------------------------------- progress and times


@pytest.mark.parametrize(("runner", "num_proc"), ON_RUNNERS)
@pytest.mark.parametrize("writes", [True, False])
def test_progress_is_told_from_begin_to_end(
    folder: Path, tmp_path: Path, runner: str, num_proc: int, writes: bool
):
    reader = ParquetReader(folder)
    flow = DataFlow(features=reader)
    job = flow.job(source=reader).aggregate({"sum": Sum().call(flow.src_features.n)})
    if writes:
        job = job.write(collect={"n": flow.src_features.n}, to=JsonDatasetWriter(tmp_path / "out"))
    seen: list[Progress] = []
    job.run(runner=runner, progress=seen.append, num_proc=num_proc)
    ranges = len(reader.ranges())
    assert {progress.ranges for progress in seen} == {ranges}
    assert [progress.ranges_done for progress in seen] == sorted(progress.ranges_done for progress in seen)
    assert (seen[-1].ranges_done, seen[-1].rows) == (ranges, FILES * ROWS)
    assert seen[-1].seconds > 0
    assert (seen[0].share, seen[-1].share) == (0, 1)
    assert all(progress.rows for progress in seen if progress.ranges_done)


def test_progress_is_told_within_a_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packing, "RANGES_OF_SMALL_SOURCE", 1)
    monkeypatch.setattr(under_way, "NOTE_SECONDS", 0)
    rows = 3 * base.BATCH_ROWS
    pq.write_table(pa.table({"n": range(rows)}), tmp_path / "in.parquet", row_group_size=base.BATCH_ROWS)
    seen_part = tmp_path / "seen"
    seen: list[Progress] = []

    @processor
    def waits(n: int) -> int:
        if n == 2 * base.BATCH_ROWS:  # the first row of the last batch
            until(seen_part.exists)
        return n

    def tell(progress: Progress) -> None:
        seen.append(progress)
        if 0 < progress.share < 1:
            seen_part.touch()

    reader = ParquetReader(tmp_path / "in.parquet")
    flow = DataFlow(features=reader)
    job = flow.job(source=reader).write(
        collect={"n": waits.call(flow.src_features.n)}, to=ParquetDatasetWriter(tmp_path / "out")
    )
    job.run(progress=tell)
    assert {progress.ranges for progress in seen} == {1}
    within = [progress for progress in seen if 0 < progress.share < 1]
    assert within
    assert {(progress.ranges_done, progress.rows / rows) for progress in within} == {
        (0, progress.share) for progress in within
    }


@pytest.mark.parametrize(("runner", "num_proc"), ON_RUNNERS)
def test_every_part_says_how_long_it_took_and_on_how_many_rows(
    folder: Path, tmp_path: Path, runner: str, num_proc: int
):
    @processor
    def slow(n: int) -> int:
        time.sleep(0.0005)
        return n

    @processor
    async def later(n: int) -> int:
        return n

    flow = DataFlow(features=ParquetReader(folder))
    n = flow.src_features.n
    result = (
        flow.job(source=ParquetReader(folder))
        .write("json", collect={"n": slow.call(n)}, to=JsonDatasetWriter(tmp_path / "json"))
        .write("parquet", collect={"n": later.call(n) + 1}, to=ParquetDatasetWriter(tmp_path / "parquet"))
        .aggregate({"count": Count().call(n)})
        .run(runner=runner, num_proc=num_proc)
    )
    times = {part.name: part for part in result.node_seconds}
    start = times.pop("start")
    assert (start.rows, start.seconds > 0) == (0, True)
    assert list(times) == ["read", "slow", "later", "add", "count", "write json", "write parquet"]
    assert {part.rows for part in times.values()} == {FILES * ROWS}
    assert times["slow"].seconds >= FILES * ROWS * 0.0005
    assert all(part.seconds > 0 for part in times.values())
    assert result.rows_in == FILES * ROWS


def test_what_a_new_process_imports_is_no_time_of_a_node(tmp_path: Path):
    program = """
import sys
import pyarrow.parquet as pq, pyarrow as pa
from hyped_beam import DataFlow, processor
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.parquet import ParquetDatasetWriter

@processor
def seen(n: int) -> bool:
    import sys
    return "pandas" in sys.modules

pq.write_table(pa.table({"n": [1, 2, 3]}), "rows.parquet")
flow = DataFlow(features=ParquetReader("rows.parquet"))
job = flow.job(source="rows.parquet").write(
    collect={"seen": seen.call(flow.src_features.n)}, to=ParquetDatasetWriter("out")
)
if __name__ == "__main__":
    job.run(num_proc=2)
    print(pq.read_table("out/part-00000.parquet")["seen"].to_pylist())
"""
    (tmp_path / "program.py").write_text(program)
    pytest.importorskip("pandas")  # which Arrow imports where Python values first become an array
    ran = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )
    assert ran.stdout == "[True, True, True]\n", ran.stderr


def test_a_resumed_job_counts_the_rows_of_all_ranges_and_only_its_own_time(folder: Path, tmp_path: Path):
    flow = DataFlow(features=ParquetReader(folder))
    writer = JsonDatasetWriter(tmp_path / "out", overwrite="resume")
    job = flow.job(source=ParquetReader(folder)).write(collect={"n": flow.src_features.n}, to=writer)
    job.run()
    before = files_of(tmp_path / "out")
    result = job.run()
    assert (result.rows_in, result.node_seconds) == (FILES * ROWS, ())
    assert files_of(tmp_path / "out") == before


def test_processes_are_an_option_of_writers_that_is_no_part_of_what_is_written(folder: Path, tmp_path: Path):
    flow = DataFlow(features=ParquetReader(folder))

    @processor
    def process(n: int) -> int:
        return os.getpid()

    def job(num_proc: int | None) -> Job:
        writer = JsonDatasetWriter(tmp_path / "out", num_proc=num_proc, overwrite="resume")
        collect = {"p": process.call(flow.src_features.n)}
        return flow.job(source=ParquetReader(folder)).write(collect=collect, to=writer)

    result = job(2).run()
    assert str(os.getpid()) not in Path(result.shards["rows"][0]).read_text()
    before = files_of(tmp_path / "out")
    job(None).run()
    assert files_of(tmp_path / "out") == before
    with pytest.raises(DefinitionError, match="num_proc"):
        JsonDatasetWriter(tmp_path / "out", num_proc=0)


# ----------------------------------------------------------------------------------------- background


def waiting_job(folder: Path, tmp_path: Path, **options: Any) -> Job:
    """A job that notes its processes, and whose rows from 200 on wait for a file."""
    notes = tmp_path / "notes"
    notes.mkdir(exist_ok=True)

    @processor
    def waits(n: int) -> int:
        (notes / str(os.getpid())).touch()
        while n >= 200 and not (tmp_path / "go").exists():
            time.sleep(0.005)
        return n

    flow = DataFlow(features=ParquetReader(folder))
    n = waits.call(flow.src_features.n)
    return (
        flow.job(source=ParquetReader(folder))
        .write(collect={"n": n}, to=JsonDatasetWriter(tmp_path / "out", **options))
        .aggregate({"sum": Sum().call(n)}, to=tmp_path / "stats.json")
    )


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def processes_with(mark: str) -> list[Path]:
    """The processes that have something in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes():
                found.append(entry)
        except OSError:  # it has ended since
            continue
    return found


def records(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "out" / "__hyped_beam__" / "ranges").glob("*/*.json"))


@pytest.mark.parametrize(("runner", "num_proc"), ON_RUNNERS)
def test_a_job_in_the_background_is_waited_for(folder: Path, tmp_path: Path, runner: str, num_proc: int):
    result = waiting_job(folder, tmp_path).run(runner=runner, wait=False, num_proc=num_proc)
    assert result.state == "running"
    assert repr(result) == "JobResult(running)"
    with pytest.raises(DefinitionError, match="still runs") as caught:
        _ = result.rows
    assert caught.value.site is not None
    assert caught.value.site.file == __file__
    until(lambda: records(tmp_path))
    with pytest.raises(TimeoutError):
        result.wait(timeout=0.01)
    (tmp_path / "go").touch()
    assert result.wait() is result
    assert (result.state, result.rows) == ("done", {"rows": FILES * ROWS})
    assert result.cancel().state == "done"
    assert not any(is_there(int(process.name)) for process in (tmp_path / "notes").iterdir())
    assert result.aggregates == {"sum": sum(range(FILES * ROWS))}


@pytest.mark.parametrize(("runner", "num_proc"), ON_RUNNERS)
def test_a_cancelled_job_stops_in_the_middle_of_a_row_and_can_be_resumed(
    folder: Path, tmp_path: Path, runner: str, num_proc: int
):
    result = waiting_job(folder, tmp_path).run(runner=runner, wait=False, num_proc=num_proc)
    until(lambda: records(tmp_path))
    canceller = threading.Thread(target=result.cancel, daemon=True)
    canceller.start()
    canceller.join(DEADLINE_SECONDS)  # the row itself would wait for ever
    assert not canceller.is_alive()
    assert result.state == "cancelled"
    for use in (result.wait, lambda: result.rows):
        with pytest.raises(JobCancelledError, match="was cancelled"):
            use()
    assert not any(is_there(int(process.name)) for process in (tmp_path / "notes").iterdir())
    assert not list((tmp_path / "out").rglob("*.tmp"))
    assert not (tmp_path / "stats.json").exists()
    done = len(records(tmp_path))
    (tmp_path / "go").touch()
    resumed = waiting_job(folder, tmp_path, overwrite="resume").run(runner=runner)
    assert done < len(records(tmp_path))
    assert resumed.rows_in == FILES * ROWS
    assert resumed.aggregates == {"sum": sum(range(FILES * ROWS))}
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "go").touch()
    waiting_job(folder, tmp_path / "whole").run()
    made = [
        {name: held for name, held in files_of(where / "out").items() if name != "fingerprint.json"}
        for where in (tmp_path, tmp_path / "whole")
    ]
    assert {name for name in made[0] if name.endswith(".jsonl")} == {
        name for name in made[1] if name.endswith(".jsonl")
    }
    assert all(made[0][name] == made[1][name] for name in made[0] if name.endswith(".jsonl"))


def test_a_job_over_an_iterable_is_cancelled_and_resumed(tmp_path: Path):
    go = tmp_path / "go"

    def rows(shards: list[int]) -> Iterator[dict[str, int]]:
        for shard in shards:
            yield from ({"n": 1000 * shard + row} for row in range(1000))

    @processor
    def waits(n: int) -> int:
        while n >= 1500 and not go.exists():
            time.sleep(0.005)
        return n

    flow = DataFlow(features={"n": "int64"})

    def job(**options: Any) -> Job:
        source = datasets.IterableDataset.from_generator(rows, gen_kwargs={"shards": [0, 1, 2]})
        writer = JsonDatasetWriter(tmp_path / "out", **options)
        return flow.job(source=source).write(collect={"n": waits.call(flow.src_features.n)}, to=writer)

    result = job().run(wait=False)
    until(lambda: records(tmp_path))
    assert result.cancel().state == "cancelled"
    assert not list((tmp_path / "out").rglob("*.tmp"))
    go.touch()
    resumed = job(overwrite="resume").run(num_proc=2)
    assert resumed.rows_in == 3000
    written = "".join(Path(shard).read_text() for shard in resumed.shards["rows"])
    assert [json.loads(line)["n"] for line in written.splitlines()] == list(range(3000))


@pytest.mark.parametrize("runner", ["direct", pytest.param("prism", marks=PRISM)])
def test_other_jobs_run_beside_one_in_the_background(folder: Path, tmp_path: Path, runner: str):
    result = waiting_job(folder, tmp_path).run(runner=runner, wait=False)
    flow = DataFlow(features=ParquetReader(folder))
    other = flow.job(source=ParquetReader(folder)).aggregate({"n": Count().call(flow.src_features.n)})
    assert other.run(runner=runner, num_proc=2).aggregates == {"n": FILES * ROWS}
    assert result.state == "running"
    (tmp_path / "go").touch()
    assert result.wait().state == "done"


def test_a_job_that_fails_in_the_background_says_so_when_asked(folder: Path, tmp_path: Path):
    @processor
    def bad(n: int) -> int:
        raise ValueError(n)

    flow = DataFlow(features=ParquetReader(folder))
    job = flow.job(source=ParquetReader(folder)).write(
        collect={"n": bad.call(flow.src_features.n)}, to=JsonDatasetWriter(tmp_path / "out")
    )
    result = job.run(wait=False)
    with pytest.raises(NodeError, match="node 'bad' failed at row"):
        result.wait()
    assert result.state == "failed"
    with pytest.raises(NodeError):
        _ = result.rows
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").write_text("a letter")
    with pytest.raises(InputError, match="is a file"):  # said at once, not in the background
        job.run(wait=False)


# -------------------------------------------------------------------------------------------- signals

SCRIPT = """
import signal
import sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the shell that started the tests ignores
sys.path.insert(0, str(Path(sys.argv[0]).parent))
from test_job_running import waiting_job

source, work, runner, num_proc, wait = sys.argv[1:]
job = waiting_job(Path(source), Path(work))
result = job.run(runner=runner, num_proc=int(num_proc), wait=wait == "True")
result.wait()
"""


@pytest.mark.parametrize(
    ("runner", "num_proc", "wait"),
    [
        ("direct", 1, True),
        ("direct", 2, True),
        ("direct", 2, False),
        pytest.param("prism", 1, True, marks=PRISM),
        pytest.param("prism", 2, False, marks=PRISM),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_job_and_leaves_no_child_and_no_half_shard(
    folder: Path, tmp_path: Path, runner: str, num_proc: int, wait: bool, number: int
):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT.replace("str(Path(sys.argv[0]).parent)", repr(str(Path(__file__).parent))))
    mark = uuid.uuid4().hex
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": paths, "TEST_MARK": mark}
    command = [sys.executable, str(script), str(folder), str(tmp_path), runner, str(num_proc), str(wait)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: records(tmp_path) or process.poll() is not None)
            process.send_signal(number)
            error = process.communicate(timeout=DEADLINE_SECONDS)[1]
        finally:
            process.kill()
    assert process.returncode == -number, error
    until(lambda: not processes_with(mark))
    if wait:
        assert not list((tmp_path / "out").rglob("*.tmp"))
    assert not (tmp_path / "stats.json").exists()
    (tmp_path / "go").touch()
    assert waiting_job(folder, tmp_path, overwrite="resume").run().rows == {"rows": FILES * ROWS}
    assert not list((tmp_path / "out").rglob("*.tmp"))


# ------------------------------------------------------------------------------------- what is refused


def test_outputs_inside_the_input_are_refused(folder: Path, tmp_path: Path):
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"n": [1]}), tmp_path / "in" / "a.parquet")
    flow = DataFlow(features={"n": "int64"})
    src = flow.src_features

    def run(source: str, output: str, stats: str | None = None) -> Any:
        writer = ParquetDatasetWriter(tmp_path / output)
        job = flow.job(source=ParquetReader(str(tmp_path / source))).write(collect=src, to=writer)
        return job.aggregate({"n": Count().call(src.n)}, to=stats and str(tmp_path / stats)).run()

    for source, output in (("in", "in/out"), ("in", "in")):
        with pytest.raises(FlowError, match="lies inside the input"):
            run(source, output)
    for stats in ("in/stats.json", "out/stats.json", "in"):
        with pytest.raises(InputError, match="the file of aggregates"):
            run("in", "out", stats)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.parquet", "in"]
    assert run("in/*.parquet", "in/out", "in/out.json").rows == {"rows": 1}


def test_what_was_there_before_stays_where_aggregates_cannot_be_written(folder: Path, tmp_path: Path):
    flow = DataFlow(features=ParquetReader(folder))
    job = flow.job(source=ParquetReader(folder))
    aggregators = {"n": Count().call(flow.src_features.n)}
    stats = tmp_path / "made" / "stats.json"
    job.aggregate(aggregators, to=stats.as_uri()).run()
    assert stats.read_text() == '{\n  "n": 300\n}\n'
    (tmp_path / "file").write_text("")
    with pytest.raises(FlowError, match="cannot be written"):
        job.aggregate(aggregators, to=tmp_path / "file" / "stats.json").run()
    with pytest.raises(FlowError, match="no file system"):
        job.aggregate(aggregators, to="nowhere://stats.json").run()
