"""A script that the command line runs is run once, however many processes compute."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hyped_beam import DataFlow, Processor, processor
from hyped_beam.aggregators import Mean
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter

print(f"run by {os.getpid()}", flush=True)
if not Path("rows.parquet").exists():
    pq.write_table(pa.table({"t": ["ab", "c"] * 500}), "rows.parquet")
FACTOR = 3
reader = ParquetReader("rows.parquet")
flow = DataFlow(features=reader)


@processor
def size(t: str) -> int:
    return len(t) * FACTOR


class Times(Processor):
    by: int = 2

    def process_row(self, n: int) -> int:
        return n * self.by


n = Times().call(size.call(flow.src_features.t))
flow.fit(reader, collect={"d": n - Mean().call(n)}, num_proc=2)
job = flow.job(source=reader).write(collect={"d": n - Mean().call(n)}, to=JsonDatasetWriter("out"))
"""


@pytest.mark.parametrize("runner", ["local", "direct"])
def test_it_may_run_flows_itself_with_several_processes(tmp_path: Path, runner: str):
    (tmp_path / "with_a_fit.py").write_text(SCRIPT, encoding="utf-8")
    command = ["with_a_fit.py", "--run", "--num-proc", "2", "--runner", runner]
    ran = subprocess.run(
        [sys.executable, "-m", "hyped_beam.compile", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert f"{ran.stdout}{ran.stderr}".count("run by") == 1
    lines = [
        line for path in sorted((tmp_path / "out").glob("*.jsonl")) for line in path.open(encoding="utf-8")
    ]
    assert lines[:2] == ['{"d":3.0}\n', '{"d":-3.0}\n']
    assert len(lines) == 1000
