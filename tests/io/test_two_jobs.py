"""Two jobs at once on one output folder: one writes, and the other says so and harms nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, processor
from hyped_beam.errors import InputError, JobError
from hyped_beam.io.commit import (
    Destination,
    OvertakenError,
    RangeCommit,
    done_ranges,
    finish,
    prepare,
    read_manifest,
)
from hyped_beam.io.filesystem import locate
from hyped_beam.io.writers.json import JsonDatasetWriter

ROWS = 1_600
SECONDS = 120
"""How long a condition is waited for at most."""

SCHEMA = pa.schema({"n": pa.int64()})


def wait_for(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


class Jobs:
    """Jobs that write to the folders `a` and `b` of a folder.

    Args:
        process: The program that runs them.
        folder: The folder.
    """

    def __init__(self, process, folder):
        self.process = process
        self.folder = folder
        self.begun = 0
        folder.mkdir()

    def start(self, overwrite, num_proc=1):
        """Start a job; the number of its process, and where its result will be."""
        self.begun += 1
        result = self.folder / f"result-{self.begun}.json"
        self.process.stdin.write(f"{overwrite} {num_proc} {self.begun} {self.folder}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline()), result

    def is_owned(self):
        """Whether a job has claimed both folders, and begun to read."""
        return all(list((self.folder / name / "__hyped_beam__" / "staged").glob("*")) for name in "ab")

    def go(self):
        """Let the nodes of all jobs go on."""
        (self.folder / "go").touch()

    def check(self, rows=ROWS):
        """The output is whole, and what its manifest says."""
        for name, plus in (("a", 0), ("b", 1)):
            manifest = json.loads((self.folder / name / "__hyped_beam__" / "manifest.json").read_text())
            paths = [self.folder / name / shard["file"] for shard in manifest["shards"]]
            assert sorted(paths) == sorted((self.folder / name).glob("part-*"))
            lines = [line for path in paths for line in path.read_text().splitlines()]
            assert [json.loads(line)["n"] for line in lines] == list(range(plus, rows + plus))
            left = {path.name for path in (self.folder / name / "__hyped_beam__").iterdir()}
            assert left == {"fingerprint.json", "manifest.json", "ranges"}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("two") / "in.parquet"
    pq.write_table(pa.table({"n": range(ROWS)}), path, row_group_size=100)
    return path


@pytest.fixture(scope="module")
def program(source):
    """The program that runs the jobs."""
    path = Path(__file__).with_name("two_jobs.py")
    begun = subprocess.Popen(
        [sys.executable, str(path), str(source)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(path.parents[2])},
    )
    yield begun
    begun.stdin.close()
    begun.wait()
    begun.stdout.close()


@pytest.fixture
def jobs(program, tmp_path):
    begun = Jobs(program, tmp_path / "out")
    yield begun
    begun.go()


def told(result):
    wait_for(result.exists)
    return json.loads(result.read_text())


@pytest.mark.parametrize(
    ("first", "second"),
    [("replace", "replace"), ("error", "resume"), ("resume", "resume"), ("error", "error")],
)
def test_the_second_job_is_refused_while_the_first_one_lives(first, second, jobs):
    process, result = jobs.start(first)
    wait_for(jobs.is_owned)
    _, other = jobs.start(second)
    message, hint = told(other)["error"].splitlines()
    assert (
        message.partition(": ")[2]
        == f"another job (process {process} on {os.uname().nodename}) writes to '{jobs.folder}/a'"
    )
    assert hint == (
        "  hint: a folder has one job at a time: wait for it, or give another folder; nothing was written"
    )
    assert not result.exists()
    jobs.go()
    assert told(result) == {"a": ROWS, "b": ROWS}
    jobs.check()
    _, again = jobs.start("resume")
    assert told(again) == {"a": ROWS, "b": ROWS}
    jobs.check()


def test_jobs_that_begin_at_once(jobs):
    jobs.go()
    results = [jobs.start(overwrite)[1] for overwrite in ("replace", "resume", "error", "replace")]
    ends = [told(result) for result in results]
    done = [end for end in ends if "error" not in end]
    assert done
    assert all(end == {"a": ROWS, "b": ROWS} for end in done)
    for end in ends:
        if "error" in end:
            assert len(end["error"].splitlines()) == 2
            assert "writes to" in end["error"] or "of an earlier job" in end["error"]
    jobs.check()


@pytest.mark.parametrize("num_proc", [1, 2])
def test_a_killed_job_lets_go_of_its_folder(num_proc, jobs):
    process, _ = jobs.start("error", num_proc)
    wait_for(jobs.is_owned)
    os.kill(process, signal.SIGKILL)
    _, result = jobs.start("resume", num_proc)  # its workers may live on for a moment
    jobs.go()
    found = told(result)
    if "error" in found:  # it had not died yet
        assert "writes to" in found["error"]
        _, result = jobs.start("resume", num_proc)
        found = told(result)
    assert found == {"a": ROWS, "b": ROWS}
    jobs.check()


# ------------------------------------------------------------------------------------------- without locks


@pytest.fixture(params=["s3", "memory"])
def place(request):
    """The URI of an empty place that has no locks."""
    if request.param == "s3":
        return request.getfixturevalue("s3").uri("place")
    return f"memory://{uuid.uuid4().hex}"


def outputs(place):
    return [Destination(name, JsonDatasetWriter(f"{place}/{name}"), SCHEMA) for name in "ab"]


def write(destinations, number, *values):
    commit = RangeCommit(destinations, number)
    for destination in destinations:
        commit.write(destination.name, pa.record_batch([pa.array(values, pa.int64())], schema=SCHEMA))
    return commit


def rows_of(destination):
    paths = read_manifest(destination).paths
    data = b"".join(locate(path)[0].read(locate(path)[1]) for path in paths)
    return [json.loads(line)["n"] for line in data.splitlines()]


def rows(destinations):
    return [rows_of(destination) for destination in destinations]


@pytest.mark.parametrize("overwrite", ["replace", "resume"])
def test_a_job_that_is_overtaken_fails_and_harms_nothing(overwrite, place):
    first = prepare(outputs(place), "f")
    old = write(first.destinations, 0, 1, 2).commit()
    under_way = write(first.destinations, 1, 3)
    second = prepare(outputs(place), "f", overwrite)
    assert list(done_ranges(second.destinations)) == ([0] if overwrite == "resume" else [])
    with pytest.raises(OvertakenError, match=r"another job .* has taken over the output folder '.*/a'"):
        under_way.commit()
    with pytest.raises(JobError, match="has taken over"):
        write(first.destinations, 2, 9).commit()
    with pytest.raises(JobError, match="has taken over"):
        finish(first.destinations, [old])
    first.remove_unfinished()
    first.withdraw()
    records = done_ranges(second.destinations)
    for number, values in enumerate([[1, 2], [7], [8]]):
        if number not in records:
            records[number] = write(second.destinations, number, *values).commit()
    with pytest.raises(JobError, match="has taken over"):
        write(first.destinations, 1, 3).commit()
    assert {manifest.generation for manifest in finish(second.destinations, records.values())} == {2}
    second.release()
    assert rows(second.destinations) == [[1, 2, 7, 8]] * 2
    with pytest.raises(JobError, match="has taken over"):
        finish(first.destinations, [old])
    assert rows(second.destinations) == [[1, 2, 7, 8]] * 2


def test_a_folder_that_another_job_has_just_claimed(place):
    first = prepare(outputs(place), "f")
    with pytest.raises(InputError, match="holds the unfinished output"):
        prepare(outputs(place), "f")
    first.withdraw()
    prepare(outputs(place), "f").release()


def test_what_an_overtaken_job_writes_at_the_last_moment_is_noticed(place):
    prepare(outputs(place), "f")
    second = prepare(outputs(place), "f", "replace")
    record = write(second.destinations, 0, 1, 2).commit()
    there, path = locate(f"{place}/b/part-00000.jsonl")
    there.write(path, b'{"n":1}\n{"n":3}\n')  # of the same size
    with pytest.raises(JobError, match=r"'b' in .* is not what was written: part-00000.jsonl does not hold"):
        finish(second.destinations, [record])


def test_what_is_missing_before_the_manifest_is_noticed(tmp_path):
    claim = prepare(outputs(tmp_path), "f")
    record = write(claim.destinations, 0, 1, 2).commit()
    shard = tmp_path / "b" / "part-00000.jsonl"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(JobError, match=r"part-00000.jsonl has 15 bytes, 16 were written"):
        finish(claim.destinations, [record])
    shard.unlink()
    with pytest.raises(JobError, match=r"part-00000.jsonl is not there"):
        finish(claim.destinations, [record])
    assert not (tmp_path / "b" / "__hyped_beam__" / "manifest.json").exists()


def test_a_place_that_cannot_tell_jobs_apart_is_refused():
    made = [Destination("out", JsonDatasetWriter("ftp://localhost/out"), SCHEMA)]
    with pytest.raises(
        InputError, match=r"not be safe from a second job: fsspec cannot create a file on ftp"
    ):
        prepare(made, "f")


# ------------------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize("verify", [True, False])
def test_a_shard_of_zeros_is_done_again(verify, tmp_path):
    claim = prepare(outputs(tmp_path), "f")
    records = [write(claim.destinations, number, number, 10).commit() for number in range(2)]
    finish(claim.destinations, records)
    claim.release()
    shard = tmp_path / "b" / "part-00001.jsonl"
    sound = shard.read_bytes()
    shard.write_bytes(bytes(len(sound)))
    claim = prepare(outputs(tmp_path), "f", "resume", verify=verify)
    assert list(done_ranges(claim.destinations)) == ([0] if verify else [0, 1])
    if verify:
        record = write(claim.destinations, 1, 1, 10).commit()
        finish(claim.destinations, [*done_ranges(claim.destinations).values()])
        assert record in done_ranges(claim.destinations).values()
        assert shard.read_bytes() == sound


def test_a_process_that_is_forked_does_not_keep_the_folder(tmp_path):
    claim = prepare(outputs(tmp_path), "f")
    ready, done = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(done)
        os.read(ready, 1)  # until the parent lets it end
        os._exit(0)
    try:
        with pytest.raises(InputError, match="writes to"):
            prepare(outputs(tmp_path), "f", "resume")
        del claim
        prepare(outputs(tmp_path), "f", "resume").release()
    finally:
        os.close(ready)
        os.close(done)
        os.waitpid(process, 0)


def test_a_record_that_an_ended_process_was_writing_is_removed_with_what_it_staged(tmp_path):
    claim = prepare(outputs(tmp_path), "f")
    write(claim.destinations, 0, 1).commit()
    folder = claim.destinations[0].folder
    pending = folder.filesystem.create(folder.record("000001", 1))
    pending.write(b"{")
    assert list(tmp_path.rglob("*.tmp"))
    claim.remove_unfinished()
    assert not list(tmp_path.rglob("*.tmp"))
    assert list(done_ranges(claim.destinations)) == [0]
    pending.discard()
    claim.release()


def test_a_job_that_is_not_run_lets_go_of_its_folder(tmp_path):
    splits = datasets.DatasetDict({name: datasets.Dataset.from_dict({"n": [1]}) for name in ("a", "b")})
    (tmp_path / "out" / "b").mkdir(parents=True)
    (tmp_path / "out" / "b" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"thesis\.txt"):
        JsonDatasetWriter(tmp_path / "out").consume(splits)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b"]
    with pytest.raises(InputError, match=r"thesis\.txt"):  # and not that another job writes there
        JsonDatasetWriter(tmp_path / "out").consume(splits)


def test_a_running_job_that_is_overtaken_says_so(place):
    rows = datasets.Dataset.from_dict({"n": [1, 2, 3]})
    flow = DataFlow(features=rows.features)
    taken_over = []

    @processor
    def take_over(n: int) -> int:
        if not taken_over:
            made = [Destination("rows", JsonDatasetWriter(f"{place}/out"), SCHEMA)]
            taken_over.append(prepare(made, "another job", "replace"))
        return n

    job = flow.job(source=rows).write(
        collect={"n": take_over.call(flow.src_features.n)}, to=JsonDatasetWriter(f"{place}/out")
    )
    with pytest.raises(
        JobError, match=r"another job .* has taken over the output folder '.*/out'\n  hint: what"
    ):
        job.run(runner="local")
    own = taken_over[0].destinations
    commit = RangeCommit(own, 0)
    commit.write("rows", pa.record_batch([pa.array([7])], schema=SCHEMA))
    finish(own, [commit.commit()])
    taken_over[0].release()
    assert rows_of(own[0]) == [7]
