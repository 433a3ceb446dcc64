"""The bar on terminals, real ones of several widths."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam.launch.progress import _progress
from hyped_beam.tasks.under_way import NotedRows, RowsUnderWay, rows_under_way

TARGET = """
from hyped_beam import DataFlow
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter

reader = ParquetReader("rows.parquet")
flow = DataFlow(features=reader)
job = flow.job(source=reader).write(collect={"n": flow.src_features.n + 1}, to=JsonDatasetWriter("out"))
"""
DEADLINE_SECONDS = 600


def shown_on_a_terminal(folder: Path, columns: int) -> str:
    """What the command line writes to a terminal of some columns while it runs the target."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24 if columns else 0, columns, 0, 0))
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    program = subprocess.Popen(
        [sys.executable, "-m", "hyped_beam.compile", "target.py", "--run"],
        cwd=folder,
        env={**environment, "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if not select.select([ours], [], [], 1)[0]:
            continue
        try:
            part = os.read(ours, 65_536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        written += part
    os.close(ours)
    assert program.wait(timeout=DEADLINE_SECONDS) == 0, written
    return written.decode()


@pytest.mark.parametrize(("columns", "width"), [(0, 80), (80, 80), (30, 30), (200, 200)])
def test_the_bar_fits_the_terminal(tmp_path: Path, columns: int, width: int):
    (tmp_path / "target.py").write_text(TARGET)
    pq.write_table(pa.table({"n": range(1_000)}), tmp_path / "rows.parquet", row_group_size=100)
    states = [line for line in re.split(r"[\r\n]+", shown_on_a_terminal(tmp_path, columns)) if "%" in line]
    assert states[0].startswith("  0% |")
    assert states[-1].startswith("100% |")
    assert all(len(line) <= width for line in states)
    if width >= 80:
        assert re.match(r"100% \|█+\| \d+ of \d+ ranges, 1,000 rows, [\d,]+ rows/s", states[-1])
        assert len(states[-1]) >= width - 1


def test_rows_within_ranges_count_where_their_number_is_known():
    sizes = {0: 100, 1: 100, 2: None}
    assert _progress({}, {}, sizes, 1.0).share == 0
    half = _progress({0: 100}, {0: NotedRows(70), 1: NotedRows(50)}, sizes, 1.0)
    assert (half.ranges_done, half.rows, half.share) == (1, 150, 0.5)
    assert _progress({0: 100}, {2: NotedRows(25)}, sizes, 1.0).share == pytest.approx(1.25 / 3)
    assert _progress({}, {2: NotedRows(25)}, sizes, 1.0).share == 0
    assert _progress({0: 100, 1: 100, 2: 7}, {2: NotedRows(5)}, sizes, 1.0).share == 1


def test_notes_are_made_where_somebody_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hyped_beam.tasks.under_way.NOTE_SECONDS", 0)
    watched = RowsUnderWay(str(tmp_path), 3)
    watched.add(5)
    watched.add(6, cached=True)
    RowsUnderWay(str(tmp_path / "nobody"), 4).add(5)
    RowsUnderWay("", 5).add(5)
    (tmp_path / "00007").write_text("")
    assert rows_under_way(tmp_path) == {3: NotedRows(11, cached=6)}
    assert not (tmp_path / "nobody").exists()
