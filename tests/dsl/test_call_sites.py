"""Errors about sources and folders name the line of the user's code that asked for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hyped_beam import DataFlow
from hyped_beam.errors import InputError
from hyped_beam.io.readers.csv import CsvReader
from hyped_beam.io.writers.json import JsonDatasetWriter

HERE = r"test_call_sites\.py:\d+: "


def test_a_missing_source_is_told_at_the_line_of_the_job(tmp_path: Path):
    flow = DataFlow(features={"x": "int64"})
    job = flow.job(source=str(tmp_path / "nope.parquet"))
    job = job.write(collect={"x": flow.src_features.x}, to=JsonDatasetWriter(tmp_path / "out"))
    with pytest.raises(InputError, match=HERE + "there is no file or folder"):
        job.run(runner="local")


def test_a_missing_file_is_told_at_the_line_that_asks_for_its_features(tmp_path: Path):
    reader = CsvReader(tmp_path / "nope.csv")
    with pytest.raises(InputError, match=HERE + "there is no file or folder"):
        _ = reader.features
    with pytest.raises(InputError, match=HERE):
        DataFlow(features=reader)


def test_outputs_that_share_a_folder_are_told_at_the_line_of_the_job(tmp_path: Path):
    (tmp_path / "in.csv").write_text("x\n1\n")
    flow = DataFlow(features=CsvReader(tmp_path / "in.csv"))
    columns = {"x": flow.src_features.x}
    job = flow.job(source=tmp_path / "in.csv")
    for name in ("a", "b"):
        job = job.write(name, collect=columns, to=JsonDatasetWriter(tmp_path / "out"))
    with pytest.raises(InputError, match=HERE + "the outputs 'a' and 'b' share the folder"):
        job.run(runner="local")
