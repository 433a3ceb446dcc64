"""Links are never followed on the way to deleting, and no output is one."""

from __future__ import annotations

import pyarrow as pa
import pytest

from hyped_beam.errors import InputError
from hyped_beam.io.commit import Destination, RangeCommit, finish, prepare
from hyped_beam.io.filesystem import LOCAL
from hyped_beam.io.writers.json import JsonDatasetWriter

SCHEMA = pa.schema({"n": pa.int64(), "k": pa.string()})


@pytest.fixture
def elsewhere(tmp_path):
    """A folder of somebody else, whose files look like ours."""
    folder = tmp_path / "elsewhere"
    for name in ("part-00000-00000.jsonl", "k=y/part-00000-00000.jsonl", ".x.tmp", "000001/00000.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    yield folder
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        ".x.tmp",
        "000001/00000.json",
        "k=y/part-00000-00000.jsonl",
        "part-00000-00000.jsonl",
    ]
    assert {path.read_text() for path in folder.rglob("*") if path.is_file()} == {"mine"}


def outputs(folder):
    return [Destination("out", JsonDatasetWriter(folder / "out", partition_by="k"), SCHEMA)]


def job(folder, overwrite="error", during=None):
    claim = prepare(outputs(folder), "f", overwrite)
    commit = RangeCommit(claim.destinations, 0)
    commit.write("out", pa.record_batch([pa.array([1]), pa.array(["x"])], schema=SCHEMA))
    record = commit.commit()
    if during is not None:
        during()
    finish(claim.destinations, [record])
    claim.release()


def files(folder):
    return sorted(path for path in folder.rglob("*"))


@pytest.mark.parametrize("overwrite", ["replace", "resume"])
@pytest.mark.parametrize("name", ["k=linked", "k=x/k=linked", "part-00007-00000.jsonl"])
def test_a_link_in_an_output_is_refused(overwrite, name, tmp_path, elsewhere):
    job(tmp_path)
    target = elsewhere / "part-00000-00000.jsonl" if name.startswith("part") else elsewhere
    (tmp_path / "out" / name).symlink_to(target)
    before = files(tmp_path)
    with pytest.raises(InputError, match=f"holds other files: .*{name.rpartition('/')[2]}"):
        prepare(outputs(tmp_path), "f", overwrite)
    assert files(tmp_path) == before


def test_a_link_that_appears_while_a_job_runs_is_left_alone(tmp_path, elsewhere):
    job(tmp_path, during=lambda: (tmp_path / "out" / "k=linked").symlink_to(elsewhere))
    assert (tmp_path / "out" / "k=linked").is_symlink()


@pytest.mark.parametrize("overwrite", ["error", "replace", "resume"])
def test_an_output_that_is_a_link_is_refused(overwrite, tmp_path, elsewhere):
    (tmp_path / "out").symlink_to(elsewhere)
    with pytest.raises(InputError, match=r"out' is a link to '.*elsewhere'\n  hint: give the folder itself"):
        prepare(outputs(tmp_path), "f", overwrite)


def test_an_output_that_is_a_link_to_nothing_is_refused(tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"out' is a link"):
        prepare(outputs(tmp_path), "f")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("name", ["", "ranges", "staged", "generations", "manifest.json"])
@pytest.mark.parametrize("overwrite", ["replace", "resume"])
def test_records_behind_a_link_are_refused(name, overwrite, tmp_path, elsewhere):
    job(tmp_path)
    place = tmp_path / "out" / "__hyped_beam__" / name
    if place.exists():
        place.rename(tmp_path / "aside")
    place.symlink_to(elsewhere / "000001" / "00000.json" if name.endswith("json") else elsewhere)
    with pytest.raises(InputError, match=r"__hyped_beam__.* in the output '.*out' is a link"):
        prepare(outputs(tmp_path), "f", overwrite)


def test_a_folder_above_an_output_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    job(tmp_path / "linked")
    job(tmp_path / "linked", "replace")
    assert (tmp_path / "real" / "out" / "k=x" / "part-00000-00000.jsonl").read_text() == '{"n":1}\n'


def test_a_link_is_deleted_and_not_what_it_leads_to(tmp_path, elsewhere):
    (tmp_path / "folder").mkdir()
    for link in (tmp_path / "link", tmp_path / "folder" / "link"):
        link.symlink_to(elsewhere)
    LOCAL.delete(str(tmp_path / "link"))
    LOCAL.delete(str(tmp_path / "folder"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere"]
