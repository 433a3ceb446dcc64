"""A try on some rows, and how many processes compute: what the command line leaves to the job."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam.compile.__main__ import main
from hyped_beam.dsl import job as jobs

SCRIPT = """
from hyped_beam import DataFlow
from hyped_beam.aggregators import Count
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter

reader = ParquetReader("numbers.parquet")
flow = DataFlow(features=reader)
src = flow.src_features
job = (
    flow.job(source=reader)
    .write("rows", collect={"n": src.n}, to=JsonDatasetWriter("out", num_proc=2))
    .aggregate({"count": Count().call(src.n)}, to="stats.json")
)
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table({"n": list(range(100))}), tmp_path / "numbers.parquet")
    path = tmp_path / f"tried_{uuid.uuid4().hex}.py"  # a name of its own, as a module has
    path.write_text(SCRIPT)
    return path


def test_a_try_leaves_the_aggregates_of_the_job_alone(script: Path, capsys):
    assert main([f"{script}:job", "--run", "--num-proc", "1"]) == 0
    assert json.loads(Path("stats.json").read_text()) == {"count": 100}
    assert main([f"{script}:job", "--run", "--num-proc", "1", "--limit", "10", "--output", "try"]) == 0
    assert "count = 10" in capsys.readouterr().out
    assert json.loads(Path("stats.json").read_text()) == {"count": 100}


@pytest.mark.parametrize(("given", "expected"), [([], 2), (["--num-proc", "1"], 1)])
def test_the_writers_say_how_many_processes_compute_unless_the_command_line_does(
    script: Path, monkeypatch, given: list[str], expected: int
):
    started = []
    run = jobs.Job.run

    def noting(job: jobs.Job, **options: object) -> object:
        started.append(
            options["num_proc"] or max(output.writer.num_proc or 1 for output in job.outputs.values())
        )
        return run(job, **{**options, "num_proc": 1})

    monkeypatch.setattr(jobs.Job, "run", noting)
    assert main([f"{script}:job", "--run", *given]) == 0
    assert started == [expected]
