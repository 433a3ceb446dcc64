"""A million groups: no process holds them all, and nothing takes longer for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

ROWS, GROUPS = 1_500_000, 1_000_000
PROGRAM = Path(__file__).with_name("many_groups.py")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A row of each of many keys, and all others of one."""
    path = tmp_path_factory.mktemp("many") / "rows.parquet"
    random = np.random.default_rng(0)
    keys = random.permutation(np.maximum(np.arange(ROWS) - (ROWS - GROUPS), 0))
    table = pa.table({"k": keys, "x": random.normal(size=ROWS)})
    pq.write_table(table, path, row_group_size=65_536)
    return path


def run(source: Path, join: str, out: Path) -> tuple[float, float]:
    told = subprocess.run(
        [sys.executable, str(PROGRAM), str(source), join, str(out)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROGRAM.parents[2])},
    ).stdout
    grown, seconds = map(float, told.split())
    return grown, seconds


def test_a_million_groups_and_one_of_a_third_of_the_rows(source: Path, tmp_path: Path):
    grown = {}
    rows = {}
    for join in ("broadcast", "shuffle"):
        grown[join], _ = run(source, join, tmp_path / join)
        shards = sorted((tmp_path / join).glob("part-*"))
        rows[join] = pa.concat_tables([Dataset.from_file(str(shard)).data.table for shard in shards])
    assert rows["shuffle"].equals(rows["broadcast"])
    assert pc.max(rows["shuffle"]["n"]).as_py() == ROWS - GROUPS + 1
    assert grown["shuffle"] < 0.75 * grown["broadcast"]
