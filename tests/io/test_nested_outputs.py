"""An output that lies in the folder of another one: neither job removes what the other has written."""

from __future__ import annotations

import shutil

import pyarrow as pa
import pytest

from hyped_beam.errors import InputError
from hyped_beam.io.commit import Destination, RangeCommit, done_ranges, finish, prepare, read_manifest
from hyped_beam.io.writers.json import JsonDatasetWriter

SCHEMA = pa.schema({"n": pa.int64()})
INNER = "day=1"


def output(folder):
    return [Destination("out", JsonDatasetWriter(folder), SCHEMA)]


def do(made):
    commit = RangeCommit(made, 0)
    commit.write("out", pa.record_batch([pa.array([1])], schema=SCHEMA))
    return commit.commit()


def job(folder):
    claim = prepare(output(folder), "f")
    finish(claim.destinations, [do(claim.destinations)])
    claim.release()


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put_within(outer, apart):
    """Bring a finished output into a folder, as a job does that does not look for the one around it."""
    job(apart)
    shutil.copytree(apart, outer / INNER)
    return contents(outer / INNER)


def test_an_output_within_is_not_removed_and_the_job_says_so(tmp_path):
    claim = prepare(output(tmp_path / "out"), "f")
    record = do(claim.destinations)
    before = put_within(tmp_path / "out", tmp_path / "apart")
    with pytest.raises(InputError, match=f"out' holds the output of another job: {INNER}\n.*move"):
        finish(claim.destinations, [record])
    claim.release()
    assert contents(tmp_path / "out" / INNER) == before
    (tmp_path / "out" / INNER).rename(tmp_path / "moved")
    claim = prepare(output(tmp_path / "out"), "f", "resume")
    finish(claim.destinations, done_ranges(claim.destinations).values())
    claim.release()
    assert read_manifest(claim.destinations[0]).rows == 1


def test_a_job_that_is_withdrawn_leaves_an_output_within(tmp_path):
    claim = prepare(output(tmp_path / "out"), "f")
    do(claim.destinations)
    before = put_within(tmp_path / "out", tmp_path / "apart")
    claim.withdraw()
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("overwrite", ["replace", "resume"])
def test_an_output_that_holds_another_one_is_refused(overwrite, tmp_path):
    job(tmp_path / "out")
    put_within(tmp_path / "out", tmp_path / "apart")
    before = contents(tmp_path / "out")
    with pytest.raises(InputError, match="holds other files: day=1/__hyped_beam__"):
        prepare(output(tmp_path / "out"), "f", overwrite)
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("inner", [INNER, "k=1/l=2", "data"])
def test_no_job_begins_within_an_output_that_is_not_finished(inner, tmp_path):
    claim = prepare(output(tmp_path / "out"), "f")
    record = do(claim.destinations)
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for outer in ("out", "link"):
        with pytest.raises(InputError, match=r"lies inside an unfinished output: .*/out\n"):
            job(tmp_path / outer / inner)
    assert not (tmp_path / "out" / inner).exists()
    finish(claim.destinations, [record])
    claim.release()


def test_no_job_begins_within_an_unfinished_output_of_a_store(s3):
    claim = prepare(output(s3.uri("out")), "f")
    with pytest.raises(InputError, match=r"lies inside an unfinished output: .*/out\n"):
        job(s3.uri(f"out/{INNER}"))
    finish(claim.destinations, [do(claim.destinations)])
