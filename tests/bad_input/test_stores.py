"""Buckets that are not there, and credentials that are wrong: one line, and nothing in the store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.bad_input.corpus import HEAD, JOB, table

VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "case"
    made.mkdir()
    (made / "target.py").write_text(HEAD + JOB)
    pq.write_table(table(), made / "rows.parquet")
    return made


@pytest.fixture
def locked(s3: Any) -> Iterator[Any]:
    """A store that looks at credentials, and knows none."""
    s3.demand_credentials(True)
    yield s3
    s3.demand_credentials(False)


def complaint(run_program: Callable[..., dict[str, Any]], folder: Path, arguments: str) -> str:
    environment = {name: os.environ[name] for name in VARIABLES}
    ended = run_program(folder, f"target.py --run {arguments}", environment=environment)
    assert ended["status"] == 2, ended
    assert ended["out"] == ""
    assert ended["left"] == []
    assert len(ended["err"].splitlines()) == 1, ended["err"]
    assert sorted(path.name for path in folder.iterdir()) == ["rows.parquet", "target.py"]
    return ended["err"]


@pytest.mark.parametrize(
    "arguments", ["--input s3://no-such-bucket/rows.parquet", "--output s3://no-such-bucket/out"]
)
def test_a_bucket_that_is_not_there(
    arguments: str, s3: Any, folder: Path, run_program: Callable[..., dict[str, Any]]
):
    told = complaint(run_program, folder, arguments)
    assert "no-such-bucket" in told
    assert "bucket" in told.replace("no-such-bucket", "")
    assert s3.held() == []


def test_a_file_that_is_not_in_its_bucket(s3: Any, folder: Path, run_program: Callable[..., dict[str, Any]]):
    s3.client.put_object(Bucket=s3.bucket, Key="data/rows.parquet", Body=b"")
    told = complaint(run_program, folder, f"--input {s3.uri('data/row.parquet')}")
    assert "data/row.parquet" in told
    assert "data/rows.parquet" in told


@pytest.mark.parametrize("option", ["--input", "--output"])
def test_wrong_credentials(
    option: str, locked: Any, folder: Path, run_program: Callable[..., dict[str, Any]]
):
    told = complaint(run_program, folder, f"{option} {locked.uri('data/rows.parquet')}")
    assert "AWS_ACCESS_KEY_ID" in told
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in told


@pytest.mark.parametrize("option", ["--input", "--output"])
def test_credentials_in_a_uri_are_refused_and_not_repeated(
    option: str, s3: Any, folder: Path, run_program: Callable[..., dict[str, Any]]
):
    told = complaint(run_program, folder, f"{option} s3://key:hushhush@{s3.bucket}/rows.parquet")
    assert "credentials" in told
    assert "hushhush" not in told
