"""`python -m hyped_beam.compile`: what it prints, what it runs, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam.compile.__main__ import main

TARGET = """
from pathlib import Path
from hyped_beam import DataFlow, processor
from hyped_beam.aggregators import Mean
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
    assert "up: 10 rows in 1 files in" in printed.out
    assert "mean = 4.5" in printed.out
    assert "1 of 1 ranges" in printed.err
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
    "no name": (["TARGET:jobb"], "did you mean 'job'"),
    "no job": (["TARGET:number"], "is no job but a int"),
    "raises": (["TARGET:raises"], "KeyError: 'key'"),
    "a wrong flow": (["TARGET:wrong"], "did you mean 'text'"),
    "no runner": (["TARGET", "--run", "--runner", "direkt"], "did you mean 'direct'"),
    "no processes": (["TARGET", "--num-proc", "0"], "--num-proc is at least 1, got 0"),
    "no number": (["TARGET", "--num-proc", "many"], "invalid int value: 'many'"),
    "no such form": (["TARGET", "--print", "poem"], "invalid choice: 'poem'"),
    "no option": (["TARGET", "--runn"], "--runn"),
    "no target": ([], "target"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_input_is_one_complaint_without_a_traceback_and_ends_with_2(
    what: str, target: Path, capsys: pytest.CaptureFixture[str]
):
    arguments, message = WRONG[what]
    assert main([argument.replace("TARGET", str(target)) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
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


def test_the_program_itself(target: Path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "hyped_beam.compile", *arguments]
        return subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            env=environment,
            cwd=target.parent,
        )

    done = run(target.name, "--run", "--num-proc", "2")
    assert done.returncode == 0, done.stderr
    assert "mean = 4.5" in done.stdout
    assert "WARNING" not in done.stderr
    failed = run(f"{target.name}:bad", "--run", "--num-proc", "2")
    assert failed.returncode == 1
    assert "row 7" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert run("no_such.py").returncode == 2
    assert "TARGET" in run("--help").stdout.upper()
