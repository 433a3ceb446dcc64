"""Places where an output cannot be, and disks that are full: what is said, and that nothing is left."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

from hyped_beam.errors import InputError, JobError
from hyped_beam.io.commit import Destination, RangeCommit, check_outputs, done_ranges, finish, prepare
from hyped_beam.io.writers.arrow import ArrowDatasetWriter
from hyped_beam.io.writers.csv import CsvDatasetWriter
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter

SCHEMA = pa.schema({"n": pa.int64(), "text": pa.string()})
WRITERS = [JsonDatasetWriter, ParquetDatasetWriter, ArrowDatasetWriter, CsvDatasetWriter]
NOBODY = 65534
MOUNT, UMOUNT = shutil.which("mount"), shutil.which("umount")


def outputs(*folders, writer=JsonDatasetWriter, **options):
    return [Destination(Path(folder).name, writer(folder, **options), SCHEMA) for folder in folders]


def batch_of(rows, start=0):
    numbers = range(start, start + rows)
    texts = [os.urandom(50).hex() for _ in numbers]
    return pa.record_batch([pa.array(numbers), pa.array(texts)], schema=SCHEMA)


def write_and_commit(commit, batches, rows):
    for number in range(batches):
        commit.write("out", batch_of(rows, number * rows))
    commit.commit()


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def one_line(error):
    message, *hint = str(error.value).split("\n")
    assert len(hint) <= 1
    return message


@pytest.fixture
def mounted(tmp_path):
    """Mount a file system in memory: of a size, or one that may only be read."""
    made = []

    def mount(options):
        folder = tmp_path / f"disk-{len(made)}"
        folder.mkdir()
        command = [MOUNT, "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if (
            os.geteuid() != 0
            or MOUNT is None
            or subprocess.run(command, check=False, capture_output=True).returncode
        ):
            pytest.skip("left out: needs the right to mount")
        made.append(folder)
        return folder

    yield mount
    for folder in made:
        subprocess.run([UMOUNT, str(folder)], check=True)


# ---------------------------------------------------------------------------------------- input and output


@pytest.mark.parametrize(
    ("output", "source", "message"),
    [
        ("in/out", "in", "lies inside the input"),
        ("in", "in", "lies inside the input"),
        ("in/deep", "in/deep/a.jsonl", "lies inside the output folder"),
        ("link/out", "in", "lies inside the input"),
    ],
)
def test_an_output_and_an_input_in_each_other(output, source, message, tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "a.jsonl").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    before = everything(tmp_path)
    for call in (
        lambda: check_outputs(outputs(tmp_path / output), "replace", [str(tmp_path / source)]),
        lambda: prepare(outputs(tmp_path / output), "f", "replace", [str(tmp_path / source)]),
    ):
        with pytest.raises(InputError, match=message) as error:
            call()
        one_line(error)
    assert everything(tmp_path) == before


def test_inputs_beside_an_output_are_no_matter(tmp_path):
    (tmp_path / "in").mkdir()
    inputs = [str(tmp_path / "in"), str(tmp_path / "output.jsonl"), "s3://bucket/in"]
    assert check_outputs(outputs(tmp_path / "out"), inputs=inputs) == [False]


# ------------------------------------------------------------------------------------------------- rights


@pytest.fixture
def as_nobody():
    """Run the rest of a test without the rights of root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


def test_a_folder_that_one_may_not_write_to(tmp_path, as_nobody, request):
    folder = request.config.rootpath / "docs" if os.geteuid() == NOBODY else Path("/proc")
    for place in (folder / "out", folder / "deep" / "out"):
        with pytest.raises(InputError, match=r"cannot be written to .*: Permission denied\n  hint: give a f"):
            check_outputs(outputs(place))


@pytest.mark.parametrize("locked", ["b/n=1", "b/__hyped_beam__/ranges/000001", "b/__hyped_beam__/ranges"])
def test_an_output_that_may_not_be_removed_is_refused_before_anything_is(locked, request):
    with tempfile.TemporaryDirectory() as scratch:  # which those without rights may look into
        folder = Path(scratch)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        request.getfixturevalue("as_nobody")
        made = outputs(folder / "b", folder / "a", partition_by="n")
        claim = prepare(made, "f")
        commit = RangeCommit(claim.destinations, 0)
        for name in "ab":
            commit.write(name, batch_of(2))
        finish(claim.destinations, [commit.commit()])
        claim.release()
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        (folder / locked).chmod(0o500)
        with pytest.raises(InputError, match=r"'b' cannot be written to '.*/b': Permission denied") as error:
            prepare(outputs(folder / "a", folder / "b", partition_by="n"), "g", "replace")
        (folder / locked).chmod(0o700)
        one_line(error)
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_place_below_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"'out' cannot be written to '.*file/out': Not a directory"):
        prepare(outputs(tmp_path / "file" / "out"), "f")


def test_the_second_output_that_cannot_be_leaves_nothing_of_the_first(tmp_path, mounted):
    disk = mounted("size=100k,nr_inodes=2")  # its root, and one folder or file
    (tmp_path / "there").mkdir()
    for first in ("there", "new/deep/out"):
        before = everything(tmp_path)
        with pytest.raises(InputError, match=r"'second' cannot be written .*No space left") as error:
            prepare(outputs(tmp_path / first, disk / "second"), "f")
        one_line(error)
        assert everything(tmp_path) == before


def test_a_disk_that_may_only_be_read(mounted):
    disk = mounted("size=100k,ro")
    with pytest.raises(InputError, match=r"cannot be written to .*Read-only file system\n"):
        prepare(outputs(disk / "out"), "f")


# ---------------------------------------------------------------------------------------------- full disks


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("options", [{}, {"partition_by": ("n",)}, {"max_shard_rows": 700}])
def test_a_full_disk_leaves_no_half_file_and_is_resumed_elsewhere(writer, options, mounted):
    disk = mounted("size=300k")
    made = outputs(disk / "out", writer=writer, **options)
    made = prepare(made, "f").destinations
    rows = 20 if "partition_by" in options else 700
    done = RangeCommit(made, 0)
    done.write("out", batch_of(rows))
    first = done.commit(b"states")
    before = everything(disk)
    full = RangeCommit(made, 1)
    with pytest.raises(
        JobError, match=r"'out' cannot be written to '.*out': No space left on device"
    ) as error:
        write_and_commit(full, 100, 2_000 if rows > 20 else 100)
    assert 'overwrite="resume"' in str(error.value)
    one_line(error)
    full.abort()
    left = [name for name in everything(disk) if not (disk / name).is_dir()]
    assert left == [name for name in before if not (disk / name).is_dir()]
    assert done_ranges(made) == {0: first}
    subprocess.run([MOUNT, "-o", "remount,size=20m", str(disk)], check=True)
    made = prepare(made, "f", "resume").destinations
    again = RangeCommit(made, 1)
    again.write("out", batch_of(20, rows))
    assert finish(made, [*done_ranges(made).values(), again.commit(b"states")])[0].rows == rows + 20


def test_a_file_that_grows_too_large(tmp_path):
    """The limit of a process on the size of its files, met between two writes."""
    import resource

    made = outputs(tmp_path / "out")
    made = prepare(made, "f").destinations
    commit = RangeCommit(made, 0)
    before = everything(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(JobError, match=r"'out' cannot be written to '.*out': File too large"):
            write_and_commit(commit, 10, 1_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    commit.abort()
    assert everything(tmp_path) == before


def test_a_manifest_that_cannot_be_written(mounted):
    disk = mounted("size=200k")
    made = outputs(disk / "out")
    made = prepare(made, "f").destinations
    commit = RangeCommit(made, 0)
    commit.write("out", batch_of(100))
    record = commit.commit()
    with pytest.raises(OSError, match="No space"):
        (disk / "filler").write_bytes(bytes(300_000))
    with pytest.raises(JobError, match=r"'out' cannot be written to '.*out': No space left"):
        finish(made, [record])
    assert not (disk / "out" / "__hyped_beam__" / "manifest.json").exists()
    (disk / "filler").unlink()
    assert finish(made, [record])[0].rows == 100


def test_a_value_too_long_for_the_name_of_a_folder(tmp_path):
    made = outputs(tmp_path / "out", partition_by="text")
    made = prepare(made, "f").destinations
    commit = RangeCommit(made, 0)
    commit.write("out", pa.record_batch([pa.array([1]), pa.array(["x" * 300])], schema=SCHEMA))
    with pytest.raises(JobError, match=r"File name too long\n  hint: a value of a partition column"):
        commit.commit()
