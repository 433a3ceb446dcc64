"""Beam's local runner, with threads and processes, is not reached from other machines."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.fn_api_runner import worker_handlers

from hyped_beam import DataFlow, processor
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.launch.listening import listeners_of_group

DEADLINE_SECONDS = 600


@pytest.mark.parametrize("mode", ["multi_threading", "multi_processing"])
def test_workers_talk_over_loopback(tmp_path: Path, mode: str):
    @processor
    def waits(n: int) -> int:
        (tmp_path / "begun").touch()
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not (tmp_path / "go").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return n

    pq.write_table(pa.table({"n": [1, 2, 3]}), tmp_path / "in.parquet")
    reader = ParquetReader(tmp_path / "in.parquet")
    flow = DataFlow(features=reader)
    to = JsonDatasetWriter(tmp_path / "out")
    job = flow.job(source=reader).write(collect={"n": waits.call(flow.src_features.n)}, to=to)
    listened = []

    def look() -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        listened.extend(set(listeners_of_group(os.getpgrp())) - before)
        (tmp_path / "go").touch()

    before = set(listeners_of_group(os.getpgrp()))
    looker = threading.Thread(target=look)
    looker.start()
    result = job.run(options={"direct_running_mode": mode, "direct_num_workers": 2})
    looker.join()
    assert result.rows == {"rows": 3}
    assert len({found.port for found in listened}) >= 4
    assert all(found.is_loopback for found in listened), listened
    assert worker_handlers.grpc is grpc
