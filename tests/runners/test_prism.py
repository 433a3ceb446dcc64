"""Prism: where its program is found, how it lives and ends, and what jobs say that fail on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from hyped_beam import Aggregator, DataFlow, Groups, NodeError, ops, processor
from hyped_beam.aggregators import Mean
from hyped_beam.dsl.job import Job
from hyped_beam.errors import DefinitionError, InputError, JobError
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.launch.profiles import load_profile
from hyped_beam.launch.reach import ExposedRunnerWarning
from hyped_beam.launch.servers import cache_folder, find_program, server_of
from hyped_beam.types.patterns import Int64Column

ROWS = 300
DEADLINE_SECONDS = 600  # a busy machine breaks none of them
PRISM = pytest.mark.needs("prism")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("rows") / "in.parquet"
    pq.write_table(pa.table({"n": range(ROWS)}), made, row_group_size=50)
    return made


def job_on(source: Path, collect: Callable[[Any], Any], folder: Path, **options: Any) -> Job:
    flow = DataFlow(features=ParquetReader(source))
    writer = JsonDatasetWriter(folder, **options)
    return flow.job(source=ParquetReader(source)).write(collect=collect(flow.src_features), to=writer)


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def processes_with(mark: str, program: str = "") -> list[int]:
    """The processes that have something in their environment, and in the name of their program."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            is_marked = entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes()
            if is_marked and program in (entry / "exe").readlink().name:
                found.append(int(entry.name))
        except OSError:  # it has ended since
            continue
    return found


# ------------------------------------------------------------------------------------ finding the program


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the program."""
    monkeypatch.delenv("HYPED_BEAM_PRISM", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def program_in(folder: Path, text: str = "#!/bin/sh\n") -> Path:
    folder.mkdir(parents=True)
    made = folder / "prism"
    made.write_text(text)
    made.chmod(0o755)
    return made


@pytest.mark.usefixtures("nowhere")
def test_the_program_is_found_by_the_environment_in_the_cache_and_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    profile = load_profile("prism")
    assert profile.server is not None
    with pytest.raises(DefinitionError):
        find_program(profile)
    for folder in (tmp_path / "bin", cache_folder(profile.server), tmp_path / "elsewhere"):
        made = program_in(folder)
        if folder.name == "elsewhere":
            monkeypatch.setenv("HYPED_BEAM_PRISM", str(made))
        assert find_program(profile) == str(made)
    assert (
        cache_folder(profile.server)
        == tmp_path / "caches" / "hyped_beam" / f"prism-{beam.__version__}-private"
    )


@pytest.mark.usefixtures("nowhere")
def test_a_job_whose_program_is_missing_says_how_to_get_it_and_writes_nothing(source: Path, tmp_path: Path):
    job = job_on(source, lambda src: {"n": src.n}, tmp_path / "out")
    with pytest.raises(
        DefinitionError, match="the program 'prism' of the runner 'prism' is not on"
    ) as caught:
        job.run(runner="prism")
    assert f"build it with `{sys.executable} " in str(caught.value.hint)
    script = str(caught.value.hint).split("`")[1].split()[1]
    assert "Build the Prism program" in Path(script).read_text()
    assert caught.value.site is not None
    assert caught.value.site.file == __file__
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, r"HYPED_BEAM_PRISM is '.*prism', which is no program"),
        ("#!/bin/sh\necho cannot listen >&2\nexit 3\n", "ended with status 3: cannot listen"),
        ("#!/bin/sh\n", "ended with status 0: it said nothing"),
    ],
)
def test_a_program_that_is_none_or_does_not_start(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, said: str
):
    there = program_in(tmp_path / "own", text) if text else tmp_path / "own" / "prism"
    monkeypatch.setenv("HYPED_BEAM_PRISM", str(there))
    with pytest.raises(JobError if text else DefinitionError, match=said):
        job_on(source, lambda src: {"n": src.n}, tmp_path / "out").run(runner="prism")
    assert not (tmp_path / "out").exists()


# ----------------------------------------------------------------------------------- life of the program

PROGRAM = """
import sys
from hyped_beam import DataFlow
from hyped_beam.aggregators import Count
from hyped_beam.io.readers.parquet import ParquetReader

reader = ParquetReader(sys.argv[1])
flow = DataFlow(features=reader)
job = flow.job(source=reader).aggregate({"n": Count().call(flow.src_features.n)})
for _ in range(2):
    print(job.run(runner="prism").aggregates, flush=True)
sys.stdin.read()
"""


@PRISM
@pytest.mark.parametrize("how", [None, signal.SIGTERM, signal.SIGKILL], ids=str)
def test_one_program_serves_a_process_and_ends_with_it(source: Path, how: signal.Signals | None):
    mark = uuid.uuid4().hex
    paths = os.pathsep.join(path for path in sys.path if path)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(source)],
        env={**os.environ, "PYTHONPATH": paths, "TEST_MARK": mark},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == [f"{{'n': {ROWS}}}\n"] * 2
        assert len(processes_with(mark, "prism")) == 1
        if how is not None:
            process.send_signal(how)
        _, complaint = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == (0 if how is None else -how)
    assert complaint == ""
    until(lambda: not processes_with(mark))


def children_of(process: int) -> list[int]:
    files = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]


@PRISM
def test_a_job_whose_program_is_killed_says_so_and_the_next_one_has_another(source: Path, tmp_path: Path):
    @processor
    def waits(n: int) -> int:
        while not (tmp_path / "go").exists():
            (tmp_path / "begun").touch()
            time.sleep(0.01)
        return n

    def job() -> Job:
        return job_on(source, lambda src: {"n": waits.call(src.n)}, tmp_path / "out")

    running = job().run(runner="prism", wait=False)
    until((tmp_path / "begun").exists)
    found = find_program(load_profile("prism"))
    assert found is not None
    (program,) = [
        process
        for child in children_of(os.getpid())
        for process in children_of(child)
        if Path(f"/proc/{process}/exe").readlink() == Path(found).resolve()
    ]
    os.kill(program, signal.SIGKILL)
    with pytest.raises(JobError, match=r"which the runner 'prism' gives its jobs to, ended with status 137"):
        running.wait(DEADLINE_SECONDS)
    assert not (tmp_path / "out").exists()
    (tmp_path / "go").touch()
    assert job().run(runner="prism").rows == {"rows": ROWS}


@PRISM
def test_a_job_is_given_to_a_program_that_runs_elsewhere(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    server = server_of(load_profile("prism"))
    assert server is not None
    monkeypatch.setenv("HYPED_BEAM_PRISM", str(tmp_path / "nothing"))
    job = job_on(source, lambda src: {"n": src.n}, tmp_path / "out")
    assert job.run(runner="prism", options={"job_endpoint": server.endpoint}).rows == {"rows": ROWS}
    job = job_on(source, lambda src: {"n": src.n}, tmp_path / "other")
    with pytest.raises(JobError), pytest.warns(ExposedRunnerWarning):
        job.run(runner="prism", options={"job_endpoint": "localhost:1", "job_server_timeout": 1})


# --------------------------------------------------------------------------------------- jobs that fail


@processor
def bad(n: int) -> int:
    if n == 173:
        raise ValueError(n)
    return n


class BadSum(Aggregator):
    """A sum that cannot be told."""

    class State(NamedTuple):
        total: Int64Column

    def update(self, value: Int64Column, by: Groups) -> State:
        return self.State(by.sum(value))

    def merge(self, state: State, by: Groups) -> State:
        return self.State(by.sum(state.total))

    def finish(self, state: State) -> Int64Column:
        raise ValueError(len(state.total))


@PRISM
@pytest.mark.parametrize("num_proc", [1, 2])
def test_a_row_that_fails_names_node_line_and_row(
    source: Path, tmp_path: Path, num_proc: int, capfd: pytest.CaptureFixture[str]
):
    job = job_on(source, lambda src: {"n": bad.call(src.n)}, tmp_path / "out")
    with pytest.raises(NodeError, match="node 'bad' failed at row 173: ValueError: 173") as caught:
        job.run(runner="prism", num_proc=num_proc)
    assert (caught.value.data_file, caught.value.data_row) == (str(source), 173)
    assert caught.value.values == "n=173"
    assert caught.value.site is not None
    assert caught.value.site.file == __file__
    assert "Traceback" not in "".join(capfd.readouterr())
    assert not list(tmp_path.rglob("*.tmp"))
    assert not list(tmp_path.rglob("manifest.json"))


@PRISM
@pytest.mark.parametrize("join", [None, "broadcast", "shuffle"])
def test_an_aggregate_that_fails_names_its_node(source: Path, tmp_path: Path, join: Any):
    def collect(src: Any) -> dict[str, Any]:
        by = None if join is None else ops.group_by({"half": src.n // 2}, join=join)
        return {"n": src.n - BadSum().call(src.n, by=by)}

    with pytest.raises(NodeError, match="node 'bad_sum' failed: ValueError"):
        job_on(source, collect, tmp_path / "out").run(runner="prism")
    assert not (tmp_path / "out").exists()


@PRISM
def test_input_that_is_wrong_is_wrong_input(tmp_path: Path):
    for number in range(2):
        pq.write_table(pa.table({"n": [number]}), tmp_path / f"{number}.parquet")
    flow = DataFlow(features=ParquetReader(str(tmp_path / "*.parquet")))
    pq.write_table(pa.table({"m": ["x"]}), tmp_path / "1.parquet")
    job = flow.job(source=ParquetReader(str(tmp_path / "*.parquet"), features={"n": "int64"}))
    with pytest.raises(InputError, match=r"1\.parquet"):
        job.write(collect={"n": flow.src_features.n}, to=JsonDatasetWriter(tmp_path / "out")).run(
            runner="prism"
        )
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------------------------------- and others


@PRISM
def test_a_second_job_takes_aggregates_from_the_cache(source: Path, tmp_path: Path):
    flow = DataFlow(features=ParquetReader(source))
    job = flow.job(source=ParquetReader(source)).aggregate({"mean": Mean().call(flow.src_features.n)})
    first, second = (job.run(runner="prism", cache=tmp_path / "cache") for _ in range(2))
    assert first.cache is not None
    assert second.cache is not None
    assert (first.cache.reused, second.cache.reused) == (0, second.cache.parts)
    assert second.cache.parts > 0
    assert first.aggregates == second.aggregates == {"mean": (ROWS - 1) / 2}


@PRISM
def test_a_flow_is_a_transform_of_a_pipeline_on_it(tmp_path: Path):
    flow = DataFlow(features={"n": "int64"})
    profile = load_profile("prism")
    server = server_of(profile)
    assert server is not None
    options = PipelineOptions([], **profile.options, job_endpoint=server.endpoint)
    with profile.make_runner() as runner, beam.Pipeline(runner=runner, options=options) as pipeline:
        _ = (
            pipeline
            | beam.Create([pa.record_batch({"n": [1, 2]}), pa.record_batch({"n": [3]})])
            | flow.as_transform(collect={"more": flow.src_features.n + 1})
            | beam.Map(
                lambda part: (tmp_path / f"{part['more'][0]}").write_text(json.dumps(part.to_pylist()))
            )
        )
    assert sorted(file.read_text() for file in tmp_path.iterdir()) == [
        '[{"more": 2}, {"more": 3}]',
        '[{"more": 4}]',
    ]


@PRISM
def test_the_command_line_says_what_fails_on_it(source: Path, tmp_path: Path):
    program = f"""
from hyped_beam import DataFlow, processor
from hyped_beam.aggregators import Count
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter

@processor
def bad(n: int) -> int:
    return 1 // (n - 173)

reader = ParquetReader({str(source)!r})
flow = DataFlow(features=reader)
wrong = {{"n": bad.call(flow.src_features.n)}}
job = flow.job(source=reader).write(collect=wrong, to=JsonDatasetWriter("out"))
"""
    (tmp_path / "target.py").write_text(program)
    paths = os.pathsep.join(path for path in sys.path if path)

    def run(target: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hyped_beam.compile", target, "--run", "--runner", "prism"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": paths, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_SECONDS,
        )

    failed = run("target.py")
    assert failed.returncode == 1
    assert "node 'bad' failed at row 173: ZeroDivisionError" in failed.stderr
    assert "Traceback" not in failed.stderr
    missing = run("target.py", HYPED_BEAM_PRISM="nowhere")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "HYPED_BEAM_PRISM is 'nowhere', which is no program" in missing.stderr
