"""Flows inside IPython, which Beam looks for and treats in ways of its own; nodes are classes of a cell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CELL = """
import datasets
from hyped_beam import DataFlow, Processor
from hyped_beam.aggregators import Mean
from hyped_beam.io.writers.json import JsonDatasetWriter


class Times(Processor):
    factor: int = 2

    def process_row(self, n: int) -> int:
        return self.factor * n


ds = datasets.Dataset.from_dict({"n": list(range(4))})
flow = DataFlow(features=ds.features)
n = flow.src_features.n
"""
JOB = """
job = flow.job(source=ds).write(collect={"m": Times(factor=3).call(n)}, to=JsonDatasetWriter("out/"))
done = job.aggregate({"mean": Mean().call(n)}).run(runner=RUNNER, num_proc=PROCESSES)
assert get_ipython() is not None
print("rows", done.rows, "mean", done.aggregates["mean"])
"""
APPLY = """
rows, found = flow.apply(ds, collect={"m": Times().call(n)}, aggregators={"mean": Mean().call(n)})
print("rows", rows["m"][:], "mean", found["mean"])
"""


def in_ipython(folder: Path, code: str) -> str:
    """What a cell prints; its temporary files are in the folder `tmp`."""
    temporary = folder / "tmp"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c", code],
        cwd=folder,
        env=os.environ | {"TMPDIR": str(temporary), "IPYTHONDIR": str(folder / "ipython")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("runner", "processes"), [("local", 1), ("direct", 1), ("direct", 2)])
def test_a_job_runs_inside_ipython_and_leaves_no_temporary_folder(
    tmp_path: Path, runner: str, processes: int
):
    code = CELL + JOB.replace("RUNNER", repr(runner)).replace("PROCESSES", str(processes))
    assert in_ipython(tmp_path, code).splitlines()[-1] == "rows {'rows': 4} mean 1.5"
    lines = [line for path in sorted((tmp_path / "out").glob("*.jsonl")) for line in path.open()]
    assert lines == ['{"m":0}\n', '{"m":3}\n', '{"m":6}\n', '{"m":9}\n']
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.needs("prism")
def test_a_job_of_a_cell_runs_on_prism(tmp_path: Path):
    code = CELL + JOB.replace("RUNNER", "'prism'").replace("PROCESSES", "2")
    assert in_ipython(tmp_path, code).splitlines()[-1] == "rows {'rows': 4} mean 1.5"


def test_apply_runs_inside_ipython(tmp_path: Path):
    assert in_ipython(tmp_path, CELL + APPLY).splitlines()[-1] == "rows [0, 2, 4, 6] mean 1.5"
