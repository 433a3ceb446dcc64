"""`python -m hyped_beam.compile`: what it prints, what it runs, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam.compile.__main__ import main
from hyped_beam.compile.arguments import own_options

TARGET = """
from pathlib import Path
from hyped_beam import DataFlow, processor
from hyped_beam.aggregators import Count, Mean
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter

here = Path(__file__).parent
reader = ParquetReader(here / "rows.parquet")
flow = DataFlow(features=reader)
src = flow.src_features


@processor
def checked(n: int) -> int:
    if n == 7:
        raise ValueError(f"unlucky\\nnumber {n}")
    return n


job = (
    flow.job(source=reader)
    .write("up", collect={"text": src.text.upper()}, to=JsonDatasetWriter(here / "out"))
    .aggregate({"mean": Mean().call(src.n)}, to=here / "stats.json")
)


def made():
    return job


@processor
def seen(n: int) -> int:
    print("chatter")
    return n


def chatty():
    print("chatter")
    columns = {"text": src.text.upper(), "n": seen.call(src.n)}
    return (
        flow.job(source=reader)
        .write("up", collect=columns, to=JsonDatasetWriter(here / "out"))
        .aggregate({"mean": Mean().call(src.n)})
    )


built, _ = flow.build(collect={"up": src.text.upper()}, aggregators={"n": Count().call(src.n)})


bad = flow.job(source=reader).write(collect={"n": checked.call(src.n)}, to=JsonDatasetWriter(here / "bad"))
number = 3


def raises():
    return {}["key"]


def wrong():
    return flow.job(source=reader).write(collect={"x": src.texd}, to=JsonDatasetWriter(here / "out"))
"""


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pq.write_table(
        pa.table({"n": range(10), "text": [f"t{n}" for n in range(10)]}), tmp_path / "rows.parquet"
    )
    path = tmp_path / "target_of_this_test.py"
    path.write_text(TARGET)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "target_of_this_test", raising=False)
    yield path
    sys.modules.pop("target_of_this_test", None)


def test_the_plan_is_printed_and_nothing_is_done(target: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(target)]) == 0
    printed = capsys.readouterr()
    assert "upper" in printed.out
    assert "mean" in printed.out
    assert printed.err == ""
    assert sorted(path.name for path in target.parent.iterdir() if path.name != "__pycache__") == [
        "rows.parquet",
        "target_of_this_test.py",
    ]


@pytest.mark.parametrize("name", ["job", "made"])
def test_a_job_or_a_function_that_returns_one_is_run(
    target: Path, name: str, capsys: pytest.CaptureFixture[str]
):
    assert main([f"{target}:{name}", "--run"]) == 0
    printed = capsys.readouterr()
    assert "10 rows in" in printed.out
    assert f"  up      {10:>4}  {1:>5}  {target.parent / 'out'}" in printed.out
    assert "mean = 4.5" in printed.out
    assert "1 of 1 ranges, 10 rows" in printed.err
    (shard,) = (target.parent / "out").glob("*.jsonl")
    assert json.loads(shard.read_text().splitlines()[9]) == {"text": "T9"}
    assert json.loads((target.parent / "stats.json").read_text()) == {"mean": 4.5}


def test_a_module_is_a_target(
    target: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(target.parent)
    assert main(["target_of_this_test:made"]) == 0
    assert "upper" in capsys.readouterr().out


@pytest.mark.parametrize(("form", "shown"), [("ir", "%0 = source"), ("dot", "digraph"), ("plan", "scan")])
def test_other_forms(target: Path, form: str, shown: str, capsys: pytest.CaptureFixture[str]):
    assert main([str(target), "--print", form]) == 0
    assert shown in capsys.readouterr().out


WRONG = {
    "no file": (["no_such.py"], "there is no file"),
    "no module": (["no_such_module_at_all"], "there is no module 'no_such_module_at_all'"),
    "no name": (["TARGET:jobb"], "did you mean TARGET:job?"),
    "no job": (["TARGET:number"], "TARGET:number is no job but a int"),
    "raises": (["TARGET:raises"], "KeyError: 'key'"),
    "a wrong flow": (["TARGET:wrong"], "did you mean 'text'"),
    "no runner": (["TARGET", "--run", "--runner", "direkt"], "did you mean 'direct'"),
    "no processes": (["TARGET", "--num-proc", "0"], "--num-proc: 0 is less than 1"),
    "no number": (["TARGET", "--num-proc", "many"], "--num-proc: 'many' is no whole number"),
    "no such form": (["TARGET", "--print", "poem"], "there is no 'poem'"),
    "no option": (["TARGET", "--runn"], "--runn"),
    "no target": ([], "TARGET"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_input_is_one_complaint_without_a_traceback_and_ends_with_2(
    what: str, target: Path, capsys: pytest.CaptureFixture[str]
):
    arguments, message = WRONG[what]
    assert main([argument.replace("TARGET", str(target)) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert message.replace("TARGET:", f"{target}:") in printed.err
    assert printed.err.startswith("error: ")
    assert len(printed.err.splitlines()) == 1
    assert "Traceback" not in printed.err
    assert not (target.parent / "out").exists()


def test_the_line_of_the_target_is_named(target: Path, capsys: pytest.CaptureFixture[str]):
    line = TARGET.splitlines().index('    return {}["key"]') + 1
    main([f"{target}:raises"])
    assert f"target_of_this_test.py:{line}: KeyError" in capsys.readouterr().err
    target.write_text("x = 1\nx ==== 2\n")
    assert main([str(target)]) == 2
    assert "target_of_this_test.py:2: SyntaxError" in capsys.readouterr().err


def test_a_failed_job_says_which_row_and_ends_with_1(target: Path, capsys: pytest.CaptureFixture[str]):
    assert main([f"{target}:bad", "--run"]) == 1
    printed = capsys.readouterr().err
    line = next(n for n, text in enumerate(TARGET.splitlines(), 1) if "checked.call" in text)
    assert f"target_of_this_test.py:{line}: node 'checked' failed at row 7: ValueError: unlucky" in printed
    assert "row: n=7" in printed
    assert "Traceback" not in printed


def test_output_that_is_there_is_wrong_input(target: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(target), "--run"]) == 0
    before = sorted(path.name for path in (target.parent / "out").iterdir())
    assert main([str(target), "--run"]) == 2
    assert "holds the output of an earlier job" in capsys.readouterr().err
    assert sorted(path.name for path in (target.parent / "out").iterdir()) == before


# ------------------------------------------------------------------------------------- what is different


def test_another_source_of_another_format(target: Path, capsys: pytest.CaptureFixture[str]):
    table = pa.table({"text": ["a", "b"], "more": [1, 2], "n": [7, 8]})
    with pa.ipc.new_file(str(target.parent / "other.arrow"), table.schema) as writer:
        writer.write_table(table)
    assert main([str(target), "--run", "--input", str(target.parent / "other.arrow")]) == 0
    assert json.loads((target.parent / "stats.json").read_text()) == {"mean": 7.5}
    assert "2 rows in" in capsys.readouterr().out


def test_a_folder_as_the_source_keeps_the_readers_options(target: Path, capsys: pytest.CaptureFixture[str]):
    folder = target.parent / "more"
    folder.mkdir()
    for number in range(3):
        pq.write_table(pa.table({"n": [number], "text": ["a"]}), folder / f"{number}.parquet")
    assert main([str(target), "--run", "--input", str(folder)]) == 0
    assert "3 rows in" in capsys.readouterr().out


@pytest.mark.parametrize("given", ["up=FOLDER/other", "FOLDER/other", "FOLDER/other.parquet"])
def test_another_folder_and_the_format_that_its_name_tells(
    target: Path, given: str, capsys: pytest.CaptureFixture[str]
):
    given = given.replace("FOLDER", str(target.parent))
    assert main([str(target), "--run", "--output", given]) == 0
    folder = Path(given.partition("=")[2] or given)
    (shard,) = folder.glob("part-*")
    assert shard.suffix == (".parquet" if given.endswith("parquet") else ".jsonl")
    assert str(folder) in capsys.readouterr().out
    assert not (target.parent / "out").exists()


def test_another_file_of_aggregates(target: Path, capsys: pytest.CaptureFixture[str]):
    path = target.parent / "other" / "stats.json"
    assert main([str(target), "--run", "--output", f"aggregates={path}"]) == 0
    assert json.loads(path.read_text()) == {"mean": 4.5}
    assert f"aggregates, in {path}" in capsys.readouterr().out
    assert not (target.parent / "stats.json").exists()


def test_the_first_rows(target: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(target), "--run", "--limit", "4"]) == 0
    (shard,) = (target.parent / "out").glob("*.jsonl")
    assert [json.loads(line)["text"] for line in shard.read_text().splitlines()] == ["T0", "T1", "T2", "T3"]
    assert not (target.parent / "stats.json").exists()  # those of the job are of all rows
    told = capsys.readouterr().out
    assert "4 rows in" in told
    assert "mean = 1.5" in told


def test_earlier_output_is_replaced_or_resumed(target: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(target), "--run", "--limit", "4"]) == 0
    assert main([str(target), "--run", "--overwrite", "resume"]) == 2
    assert (
        "another source, or other versions of its files, made it; hint: --overwrite replace begins anew"
        in capsys.readouterr().err
    )
    assert main([str(target), "--run", "--overwrite", "replace"]) == 0
    assert main([str(target), "--run", "--overwrite", "resume"]) == 0
    (shard,) = (target.parent / "out").glob("*.jsonl")
    assert len(shard.read_text().splitlines()) == 10


def test_resuming_compares_checksums_unless_told_otherwise(target: Path):
    assert main([str(target), "--run"]) == 0
    (shard,) = (target.parent / "out").glob("*.jsonl")
    sound = shard.read_bytes()
    shard.write_bytes(bytes(len(sound)))
    assert main([str(target), "--run", "--overwrite", "resume", "--no-verify"]) == 0
    assert shard.read_bytes() == bytes(len(sound))
    assert main([str(target), "--run", "--overwrite", "resume"]) == 0
    assert shard.read_bytes() == sound


def test_options_of_beam_are_passed_on(target: Path):
    assert main([str(target), "--run", "--direct_num_workers", "1", "--direct_running_mode=in_memory"]) == 0


# ------------------------------------------------------------------------------------------- built flows


def test_a_built_flow_is_printed_and_run_with_a_source_and_a_folder(
    target: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([f"{target}:built"]) == 0
    assert "upper" in capsys.readouterr().out
    folder = target.parent / "built.jsonl"
    arguments = ["--input", str(target.parent / "rows.parquet"), "--output", str(folder)]
    assert main([f"{target}:built", "--run", *arguments]) == 0
    (shard,) = folder.glob("*.jsonl")
    assert json.loads(shard.read_text().splitlines()[0]) == {"up": "T0"}
    assert "n = 10" in capsys.readouterr().out


# --------------------------------------------------------------------------------------- for programs


def events(printed: str) -> list[dict[str, object]]:
    """What was printed: one object a line, and nothing else."""
    return [json.loads(line) for line in printed.splitlines()]


def test_events_of_a_run(target: Path, capsys: pytest.CaptureFixture[str]):
    assert main([f"{target}:chatty", "--run", "--json"]) == 0
    printed = capsys.readouterr()
    *progress, done = events(printed.out)
    assert {event["event"] for event in progress} == {"progress"}
    assert progress[-1]["ranges_done"] == progress[-1]["ranges"] == 1
    assert progress[-1]["rows"] == done["rows_in"] == 10
    assert (done["event"], done["status"]) == ("done", 0)
    assert done["outputs"]["up"]["rows"] == 10
    assert done["aggregates"] == {"mean": 4.5}
    assert {node["name"] for node in done["nodes"]} >= {"read", "upper", "write up"}
    assert "chatter" in printed.err


def test_events_of_what_is_wrong_and_of_what_fails(target: Path, capsys: pytest.CaptureFixture[str]):
    assert main([f"{target}:wrong", "--json"]) == 2
    (error,) = events(capsys.readouterr().out)
    assert (error["event"], error["status"], error["hint"]) == ("error", 2, "did you mean 'text'?")
    assert error["file"].endswith("target_of_this_test.py")
    assert main([f"{target}:bad", "--run", "--json"]) == 1
    *_, error = events(capsys.readouterr().out)
    assert (error["event"], error["status"], error["node"], error["row"]) == ("error", 1, "checked", 7)
    assert error["data_file"].endswith("rows.parquet")
    assert error["data_row"] == 7


def test_a_plan_is_an_event(target: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(target), "--json"]) == 0
    (plan,) = events(capsys.readouterr().out)
    assert plan["event"] == "plan"
    assert "upper" in plan["text"]


# --------------------------------------------------------------------------------------- the program


@pytest.fixture
def run(target: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs the program beside the target."""

    def start(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        paths = os.pathsep.join(path for path in sys.path if path)
        return subprocess.run(
            [sys.executable, "-m", "hyped_beam.compile", *arguments],
            check=False,
            capture_output=True,
            timeout=600,
            env={**os.environ, "PYTHONPATH": paths, **environment},
            cwd=target.parent,
        )

    return start


def test_the_program_itself(run: Callable[..., subprocess.CompletedProcess[bytes]]):
    done = run("target_of_this_test.py:chatty", "--run", "--num-proc", "2")
    assert done.returncode == 0, done.stderr
    assert b"mean = 4.5" in done.stdout
    assert b"chatter" not in done.stdout
    assert b"WARNING" not in done.stderr
    failed = run("target_of_this_test.py:bad", "--run")
    assert failed.returncode == 1
    assert b"row 7" in failed.stderr
    assert b"Traceback" not in failed.stderr


def test_help_says_how_to_begin(run: Callable[..., subprocess.CompletedProcess[bytes]]):
    shown = run("--help")
    assert shown.returncode == 0
    assert shown.stdout.count(b"      python -m hyped_beam.compile examples/mail.py") == 3
    for option in own_options():
        assert option.encode() in shown.stdout


def test_the_pipeline_has_the_same_bytes_in_every_process(
    run: Callable[..., subprocess.CompletedProcess[bytes]], target: Path
):
    from apache_beam.portability.api import beam_runner_api_pb2

    first, second = (run(target.name, "--print", "proto", PYTHONHASHSEED=seed).stdout for seed in "12")
    assert first == second
    pipeline = beam_runner_api_pb2.Pipeline.FromString(first)
    names = {transform.unique_name for transform in pipeline.components.transforms.values()}
    assert {"CutRanges", "DoRanges", "CombineRanges", "Reduce"} <= names
    assert not (target.parent / "out").exists()


def test_a_plan_needs_no_beam(run: Callable[..., subprocess.CompletedProcess[bytes]], target: Path):
    assert run(target.name).returncode == 0
    watched = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "hyped_beam.compile", target.name],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        cwd=target.parent,
    )
    assert "hyped_beam.plan.text" in watched.stderr
    assert "apache_beam" not in watched.stderr


def test_a_reader_that_leaves_early_is_no_failure(target: Path):
    command = (
        f"{sys.executable} -m hyped_beam.compile {target.name} --print ir | true; echo ${{PIPESTATUS[0]}}"
    )
    shown = subprocess.run(
        ["/bin/bash", "-c", command],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        cwd=target.parent,
    )
    assert shown.stdout == "0\n"
    assert shown.stderr == ""
