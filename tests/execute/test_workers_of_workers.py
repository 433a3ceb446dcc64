"""A worker that imports a module which runs a flow starts no workers of its own, which would do the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MODULE = """
import datasets
from hyped_beam import DataFlow, Processor


class Doubled(Processor):
    def process_row(self, n: int) -> int:
        return 2 * n


def run(number):
    ds = datasets.Dataset.from_dict({"n": list(range(200))})
    flow = DataFlow(features=ds.features)
    made, _ = flow.apply(ds, collect={"m": Doubled().call(flow.src_features.n)}, num_proc=2)
    print(sum(made["m"]) + number, flush=True)


GUARD
    run(0)
"""


def imported(folder: Path, guard: str) -> subprocess.CompletedProcess[str]:
    """What comes of a script whose node is from a module that runs a flow itself."""
    (folder / "nodes_and_runs.py").write_text(MODULE.replace("GUARD", guard), encoding="utf-8")
    (folder / "script.py").write_text("import nodes_and_runs\nnodes_and_runs.run(1)\n", encoding="utf-8")
    return subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )


def test_the_line_that_would_start_them_is_named(tmp_path: Path):
    ran = imported(tmp_path, "if True:")
    assert ran.returncode == 1
    message = ran.stderr.strip().splitlines()
    assert "a worker process has no workers of its own" in ran.stderr
    assert "nodes_and_runs.py:14: " in ran.stderr, message
    assert 'if __name__ == "__main__":' in ran.stderr
    assert ran.stdout == ""


def test_a_module_that_only_runs_when_it_is_the_script_is_fine(tmp_path: Path):
    ran = imported(tmp_path, 'if __name__ == "__main__":')
    assert (ran.returncode, ran.stdout) == (0, "39801\n"), ran.stderr
