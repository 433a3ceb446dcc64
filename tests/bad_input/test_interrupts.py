"""Ctrl-C and SIGTERM in the middle: no child left, no half shard, and resuming gives what was to be."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.bad_input.corpus import HEAD, table
from tests.bad_input.programs import session_members

DEADLINE = 600
RANGES = 8
JOB = """
import time
from pathlib import Path


@processor
def held(n: int) -> int:
    while n == 5 * 64 and not Path("go").exists():
        time.sleep(0.01)
    return n


job = (
    flow.job(source=reader)
    .write("numbers", collect={"n": held.call(src.n), "text": src.text}, to=JsonDatasetWriter("out"))
    .aggregate({"mean": Mean().call(src.n)}, to="stats.json")
)
"""


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something has happened that a process does."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def start(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """The command line as a user starts it, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "hyped_beam.compile", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def contents(folder: Path) -> dict[str, bytes]:
    """The files of an output, bookkeeping as well, without what says how many jobs it took."""
    return {
        re.sub(r"/ranges/\d+/", "/ranges/", str(path.relative_to(folder))): re.sub(
            rb'"generation": \d+', b"", path.read_bytes()
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "case"
    made.mkdir()
    (made / "target.py").write_text(HEAD + JOB)
    pq.write_table(table(RANGES * 64), made / "rows.parquet", row_group_size=64)
    return made


@pytest.mark.parametrize(("sent", "status", "processes"), [(signal.SIGINT, 130, 1), (signal.SIGTERM, 143, 2)])
def test_an_interrupted_job_leaves_whole_ranges_and_is_resumed(
    sent: signal.Signals,
    status: int,
    processes: int,
    folder: Path,
    environment: dict[str, str],
    run_program: Callable[..., dict[str, Any]],
):
    out = folder / "out"
    with start(folder, environment, "target.py", "--run", "--num-proc", str(processes)) as process:
        wait_for((out / "__hyped_beam__" / "ranges" / "000001" / "00004.json").exists, process)
        if sent is signal.SIGINT:
            os.killpg(process.pid, sent)  # as a terminal does
        else:
            process.send_signal(sent)
        printed, complaint = process.communicate(timeout=DEADLINE)
    assert process.returncode == status, complaint
    assert complaint.splitlines()[-1].startswith("interrupted; what is done is kept, and --overwrite resume")
    assert "Traceback" not in complaint
    assert printed == ""
    assert session_members(process.pid) == []
    records = [json.loads(path.read_text()) for path in (out / "__hyped_beam__" / "ranges").glob("*/*.json")]
    shards = {shard["file"] for record in records for shard in record["outputs"]["numbers"]}
    assert {path.name for path in out.iterdir() if path.is_file()} == shards
    assert 0 < len(shards) < RANGES
    assert not (folder / "stats.json").exists()

    (folder / "go").touch()
    kept = {name: (out / name).stat().st_mtime_ns for name in shards}
    resumed = run_program(folder, "target.py --run --overwrite resume")
    assert resumed["status"] == 0, resumed["err"]
    assert {name: (out / name).stat().st_mtime_ns for name in shards} == kept
    undisturbed = run_program(folder, "target.py --run --output whole")
    assert undisturbed["status"] == 0, undisturbed["err"]
    assert contents(out) == contents(folder / "whole")
    assert json.loads((folder / "stats.json").read_text()) == {"mean": (RANGES * 64 - 1) / 2}


def test_a_job_that_has_done_nothing_leaves_nothing_to_resume(
    folder: Path, environment: dict[str, str], run_program: Callable[..., dict[str, Any]]
):
    (folder / "go").touch()
    first = run_program(folder, "target.py --run")
    assert first["status"] == 0, first["err"]
    (folder / "go").unlink()
    there = contents(folder / "out")
    with start(folder, environment, "target.py", "--run", "--json", "--output", "other") as process:
        wait_for((folder / "other" / "__hyped_beam__" / "generations").exists, process)
        os.killpg(process.pid, signal.SIGINT)
        printed, complaint = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130, complaint
    event = json.loads(printed.splitlines()[-1])
    has_records = any((folder / "other").rglob("ranges/*/*.json"))
    assert (event["event"], event["resumable"]) == ("interrupted", has_records)
    assert contents(folder / "out") == there


def test_a_script_that_takes_long_to_import_is_interrupted(folder: Path, environment: dict[str, str]):
    (folder / "slow.py").write_text(
        "import pathlib, time\npathlib.Path('importing').touch()\nwhile True:\n    time.sleep(1)\n"
    )
    with start(folder, environment, "slow.py", "--run") as process:
        wait_for((folder / "importing").exists, process)
        process.send_signal(signal.SIGTERM)
        printed, complaint = process.communicate(timeout=DEADLINE)
    assert (process.returncode, printed, complaint) == (143, "", "interrupted\n")
