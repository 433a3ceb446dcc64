"""The commit: files appear whole or not at all, once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import datasets
import pyarrow as pa
import pytest
import xxhash

from hyped_beam.errors import DefinitionError, InputError, JobError
from hyped_beam.io.commit import (
    Destination,
    RangeCommit,
    RangeRecord,
    done_ranges,
    finish,
    prepare,
    read_manifest,
    read_record,
    read_states,
)
from hyped_beam.io.writers.arrow import ArrowDatasetWriter
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter

SCHEMA = datasets.Features({"n": datasets.Value("int64")}).arrow_schema


def batch_of(*values):
    return pa.record_batch([pa.array(values, pa.int64())], schema=SCHEMA)


def outputs(folder, writer=JsonDatasetWriter, names=("out",)):
    return [Destination(name, writer(folder / name), SCHEMA) for name in names]


def do(destinations, number, *values, states=None):
    commit = RangeCommit(destinations, number)
    for destination in destinations:
        commit.write(destination.name, batch_of(*values))
    return commit.commit(states)


def visible(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def contents(folder):
    """The files, without what says how many jobs it took."""
    generation = re.compile(rb'"generation": \d+')
    return {
        re.sub(r"/ranges/\d+/", "/ranges/", name): generation.sub(b"", (folder / name).read_bytes())
        for name in visible(folder)
    }


# ---------------------------------------------------------------------------------------------- one job


def test_a_job_leaves_shards_and_a_manifest_that_tells_them(tmp_path):
    made = outputs(tmp_path)
    made = prepare(made, {"program": "p", "source": "s"}).destinations
    records = [do(made, number, number, number + 1) for number in (2, 0)] + [do(made, 1)]
    (manifest,) = finish(made, records)
    assert manifest == read_manifest(made[0])
    assert [path.removeprefix(str(tmp_path)) for path in manifest.paths] == [
        "/out/part-00000.jsonl",
        "/out/part-00002.jsonl",
    ]
    assert (manifest.rows, manifest.ranges, manifest.columns) == (4, 3, {"n": "int64"})
    assert manifest.features == {"n": {"dtype": "int64", "_type": "Value"}}
    assert manifest.fingerprint["program"] == "p"
    for path, shard in zip(manifest.paths, manifest.shards, strict=True):
        data = Path(path).read_bytes()
        assert shard.checksum == "xxh128:" + xxhash.xxh3_128(data).hexdigest()
        assert (shard.size, shard.rows) == (len(data), 2)


def test_a_record_travels_as_json(tmp_path):
    made = outputs(tmp_path, names=("a", "b"))
    made = prepare(made, "f").destinations
    record = do(made, 7, 1, states=b"sum")
    assert RangeRecord.from_json(record.to_json()) == record == read_record(made, 7)
    assert record.rows("a") == 1
    assert read_states(made, record) == b"sum"
    assert read_states(made, do(made, 8, 1)) is None


def test_nothing_is_seen_before_the_commit_and_nothing_is_left_after_an_abort(tmp_path):
    made = outputs(tmp_path)
    made = prepare(made, "f").destinations
    before = visible(tmp_path)
    commit = RangeCommit(made, 0)
    commit.write("out", batch_of(1))
    assert [name for name in visible(tmp_path) if not Path(name).name.startswith(".")] == before
    commit.abort()
    assert visible(tmp_path) == before
    with pytest.raises(JobError, match="range 0 was committed or aborted"):
        commit.commit()


def test_doing_a_range_again_changes_nothing(tmp_path):
    made = outputs(tmp_path, names=("a", "b"))
    made = prepare(made, "f").destinations
    do(made, 0, 1, 2, states=b"s")
    before = contents(tmp_path)
    do(made, 0, 1, 2, states=b"s")
    assert contents(tmp_path) == before


def test_a_range_that_fails_while_it_is_written_leaves_nothing(tmp_path):
    made = outputs(tmp_path, ParquetDatasetWriter)
    made = prepare(made, "f").destinations
    before = visible(tmp_path)
    commit = RangeCommit(made, 0)
    commit.write("out", batch_of(1))
    with pytest.raises(ValueError, match="Schema"):
        commit.write("out", pa.record_batch({"n": [1], "m": [2]}))
    commit.abort()
    assert visible(tmp_path) == before


def test_a_file_that_no_record_lists_goes(tmp_path):
    made = outputs(tmp_path)
    made = prepare(made, "f").destinations
    (tmp_path / "out" / "part-00000.jsonl").write_text("{}")
    assert finish(made, [do(made, 0)])[0].shards == ()
    assert not list((tmp_path / "out").glob("part-*"))


def test_a_missing_range_is_noticed(tmp_path):
    made = outputs(tmp_path)
    made = prepare(made, "f").destinations
    with pytest.raises(JobError, match="range 1 "):
        finish(made, [do(made, 0, 1), do(made, 2, 1)])


def test_a_job_without_outputs_commits_states_to_nobody():
    prepare([], "f")
    record = RangeCommit([], 0).commit(b"states")
    assert record.states is not None
    assert finish([], [record]) == []
    assert done_ranges([]) == {}


@pytest.mark.parametrize("writer", [JsonDatasetWriter, ParquetDatasetWriter, ArrowDatasetWriter])
def test_the_same_job_gives_the_same_bytes(writer, tmp_path):
    for folder in ("x", "y"):
        claim = prepare(outputs(tmp_path / folder, writer), "f")
        made = claim.destinations
        finish(made, [do(made, 0, 1, 2), do(made, 1, 3)])
        claim.release()
    assert contents(tmp_path / "x") == contents(tmp_path / "y")


# ----------------------------------------------------------------------------- folders that are not ours


def test_a_folder_with_other_files_is_refused_and_untouched(tmp_path):
    made = outputs(tmp_path, names=("fine", "taken"))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("mine")
    for overwrite in ("error", "replace", "resume"):
        with pytest.raises(InputError, match=r"'.*taken' holds other files: thesis.txt"):
            prepare(made, "f", overwrite)
    assert visible(tmp_path) == ["taken/thesis.txt"]


def test_shards_of_another_tool_are_not_ours(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "part-00000.jsonl").write_text("{}")
    with pytest.raises(InputError, match=r"holds other files: part-00000\.jsonl"):
        prepare(outputs(tmp_path), "f", "replace")


@pytest.mark.parametrize("overwrite", ["replace", "resume"])
def test_what_somebody_put_beside_our_output_is_not_removed(tmp_path, overwrite):
    made = outputs(tmp_path)
    made = prepare(made, "f").destinations
    finish(made, [do(made, 0, 1)])
    (tmp_path / "out" / "README").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(InputError, match="holds other files: README"):
        prepare(made, "f", overwrite)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("overwrite", ["replace", "resume"])
@pytest.mark.parametrize("name", ["part-99999.jsonl", "k=1/part-00007.bak.jsonl", ".mine.tmp", "k=1/.0.tmp"])
def test_what_is_named_like_our_files_is_not_removed(name, overwrite, tmp_path):
    claim = prepare(outputs(tmp_path), "f")
    finish(claim.destinations, [do(claim.destinations, 0, 1)])
    claim.release()
    (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / name).write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(InputError, match=f"holds other files: {re.escape(name)}\n"):
        prepare(outputs(tmp_path), "f", overwrite)
    assert contents(tmp_path) == before


FOREIGN = [
    "part-00007.bak.jsonl",
    "part-00007-00000.jsonl",
    "part-00007.json",
    "part-00007.jsonl.gz",
    "part-7.jsonl",
    "k=1/part-00007.jsonl",
    ".part-00007.jsonl.0123456789ab.tmp",
    "README",
]


@pytest.mark.parametrize("overwrite", ["error", "replace", "resume"])
@pytest.mark.parametrize("name", FOREIGN)
def test_what_an_unfinished_output_cannot_have_named_is_not_removed(name, overwrite, tmp_path):
    claim = prepare(outputs(tmp_path), "f")
    do(claim.destinations, 0, 1)
    claim.release()
    (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / name).write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(InputError, match=f"holds other files: {re.escape(name)}\n"):
        prepare(outputs(tmp_path), "f", overwrite)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("ends", ["finished", "withdrawn"])
@pytest.mark.parametrize("name", FOREIGN)
def test_what_a_job_cannot_have_named_stays_when_it_ends(name, ends, tmp_path):
    claim = prepare(outputs(tmp_path), "f")
    record = do(claim.destinations, 0, 1)
    (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / name).write_text("mine")
    if ends == "finished":
        (manifest,) = finish(claim.destinations, [record])
        assert [shard.file for shard in manifest.shards] == ["part-00000.jsonl"]
        claim.release()
    else:
        claim.withdraw()
        assert visible(tmp_path) == [f"out/{name}"]
    assert (tmp_path / "out" / name).read_text() == "mine"


@pytest.mark.parametrize("overwrite", ["replace", "resume"])
@pytest.mark.parametrize(
    ("options", "ours", "foreign"),
    [
        ({}, "part-00007.jsonl", "part-00007-00000.jsonl"),
        ({"compression": "gzip"}, "part-00007.jsonl.gz", "part-00007.jsonl"),
        ({"max_shard_rows": 9}, "part-00007-00001.jsonl", "part-00007.jsonl"),
        ({"partition_by": "k"}, "k=x%20y/part-00007-00001.jsonl", "j=x/part-00007-00001.jsonl"),
        ({"partition_by": ("k", "j")}, "k=x/j=/part-00007-00000.jsonl", "k=x/part-00007-00000.jsonl"),
    ],
)
def test_a_shard_without_a_record_is_known_by_its_name(options, ours, foreign, overwrite, tmp_path):
    schema = pa.schema({"n": pa.int64(), "k": pa.string(), "j": pa.string()})
    made = [Destination("out", JsonDatasetWriter(tmp_path / "out", **options), schema)]
    prepare(made, "f").release()
    (tmp_path / "out" / ours).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "out" / ours).write_text("the machine stopped, and its record was not on the disk")
    prepare(made, "f", overwrite).release()
    assert not (tmp_path / "out" / ours).exists()
    (tmp_path / "out" / foreign).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "out" / foreign).write_text("mine")
    with pytest.raises(InputError, match=f"holds other files: {re.escape(foreign)}\n"):
        prepare(made, "f", overwrite)
    assert (tmp_path / "out" / foreign).read_text() == "mine"


def test_an_output_that_is_a_file(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        prepare(outputs(tmp_path), "f", "replace")


@pytest.mark.parametrize(("one", "other"), [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_outputs_do_not_share_folders(tmp_path, one, other):
    made = [
        Destination("x", JsonDatasetWriter(tmp_path / one), SCHEMA),
        Destination("y", JsonDatasetWriter(tmp_path / other), SCHEMA),
    ]
    with pytest.raises(InputError, match="'x' and 'y' share the folder"):
        prepare(made, "f")
    assert visible(tmp_path) == []


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    prepare(outputs(tmp_path), "f")


# ---------------------------------------------------------------------------------------------- resuming


def test_an_earlier_output_is_refused_unless_told_otherwise(tmp_path):
    made = outputs(tmp_path)
    made = prepare(made, "f").destinations
    with pytest.raises(InputError, match="holds the unfinished output"):
        prepare(made, "f")
    finish(made, [do(made, 0, 1)])
    with pytest.raises(InputError, match=r"holds the output .*\n.*replace.*resume"):
        prepare(made, "f")
    with pytest.raises(DefinitionError, match="did you mean 'replace'"):
        prepare(made, "f", "replac")


def test_replacing_begins_anew(tmp_path):
    made = outputs(tmp_path)
    made = prepare(made, "f").destinations
    finish(made, [do(made, number, 1) for number in range(3)])
    made = prepare(made, "g", "replace").destinations
    assert visible(tmp_path) == [
        "out/__hyped_beam__/fingerprint.json",
        "out/__hyped_beam__/generations/000002.json",
        "out/__hyped_beam__/owner.lock",
        "out/__hyped_beam__/publishing.lock",
    ]
    assert done_ranges(made) == {}
    assert finish(made, [do(made, 0, 5)])[0].rows == 1


def test_resuming_does_what_is_missing_and_ends_as_if_undisturbed(tmp_path):
    undisturbed = outputs(tmp_path / "x", names=("a", "b"))
    claim = prepare(undisturbed, "f")
    undisturbed = claim.destinations
    finish(undisturbed, [do(undisturbed, number, number, states=b"s") for number in range(4)])
    claim.release()

    disturbed = outputs(tmp_path / "y", names=("a", "b"))
    disturbed = prepare(disturbed, "f").destinations
    do(disturbed, 1, 1, states=b"s")
    abandoned = RangeCommit(disturbed, 2)
    abandoned.write("a", batch_of(2))
    claim = prepare(disturbed, "f", "resume")
    disturbed = claim.destinations
    done = done_ranges(disturbed)
    assert list(done) == [1]
    assert read_states(disturbed, done[1]) == b"s"
    finish(disturbed, [*done.values(), *(do(disturbed, number, number, states=b"s") for number in (0, 2, 3))])
    claim.release()
    assert contents(tmp_path / "x") == contents(tmp_path / "y")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"program": "q", "source": "s"}, "another program"),
        ({"program": "p", "source": "t"}, "another source"),
    ],
)
def test_another_job_does_not_resume(tmp_path, changed, named):
    made = outputs(tmp_path)
    made = prepare(made, {"program": "p", "source": "s"}).destinations
    do(made, 0, 1)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=f"cannot be resumed: {named}"):
        prepare(made, changed, "resume")
    with pytest.raises(InputError, match="another writer"):
        prepare(
            [Destination("out", JsonDatasetWriter(tmp_path / "out", compression="gzip"), SCHEMA)],
            {"program": "p", "source": "s"},
            "resume",
        )
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "damage", ["shard gone", "shard short", "record short", "states gone", "states changed"]
)
def test_a_range_that_lost_something_is_done_again(tmp_path, damage):
    made = outputs(tmp_path, names=("a", "b"))
    made = prepare(made, "f").destinations
    do(made, 0, 1, states=b"states")
    shard = tmp_path / "b" / "part-00000.jsonl"
    ranges = tmp_path / "a" / "__hyped_beam__" / "ranges" / "000001"
    (states,) = ranges.glob("00000-*.arrow")
    assert set(done_ranges(made)) == {0}
    match damage:
        case "shard gone":
            shard.unlink()
        case "shard short":
            shard.write_bytes(shard.read_bytes()[:-1])
        case "record short":
            (ranges / "00000.json").write_bytes((ranges / "00000.json").read_bytes()[:20])
        case "states gone":
            states.unlink()
        case "states changed":
            states.write_bytes(b"other!")
    assert done_ranges(made) == {}


# ----------------------------------------------------------------------------------------------- killing

WRITE_UNTIL_KILLED = """
import array
import sys
import pyarrow as pa
from hyped_beam.io import commit
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter

folder = sys.argv[1]
features = b'{"info": {"features": {"n": {"dtype": "int64", "_type": "Value"}}}}'
schema = pa.schema({"n": pa.int64()}, {"huggingface": features})
# pa.array would import pandas, which takes a second
numbers = pa.py_buffer(array.array("q", range(50_000)))
column = pa.Array.from_buffers(pa.int64(), 50_000, [None, numbers])
batch = pa.RecordBatch.from_arrays([column], schema=schema)
made = [
    commit.Destination("a", JsonDatasetWriter(folder + "/a"), batch.schema),
    commit.Destination("b", ParquetDatasetWriter(folder + "/b"), batch.schema),
]
claim = commit.prepare(made, "f", "resume")
made = claim.destinations
done = commit.done_ranges(made)
print(len(done), flush=True)
for number in range(6):
    if number not in done:
        begun = commit.RangeCommit(made, number)
        for output in ("a", "b"):
            for _ in range(3):
                begun.write(output, batch.slice(number))
        print("written", flush=True)
        begun.commit(b"states")
        print("done", flush=True)
commit.finish(made, commit.done_ranges(made).values())
claim.release()
"""


def run_until(folder, lines):
    """Run the writer above and kill it when it has printed so many lines; True where it came to its end."""
    command = [sys.executable, "-c", WRITE_UNTIL_KILLED, str(folder)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYTHONPYCACHEPREFIX": str(folder.parent / "bytecode"),  # or each of them compiles what it imports
        "PYTHONDONTWRITEBYTECODE": "",
    }
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        for _ in range(lines):
            if not process.stdout.readline():
                return process.wait() == 0
        process.send_signal(signal.SIGKILL)
        return False


def test_killed_again_and_again_it_ends_as_if_undisturbed(tmp_path):
    assert run_until(tmp_path / "x", 1_000)
    for lines in (2, 4, 2):
        assert not run_until(tmp_path / "y", lines)
        for path in (tmp_path / "y" / "a").glob("part-*"):
            rows = path.read_text().splitlines()
            assert len(rows) % 3 == 0
            assert all(json.loads(row) for row in (rows[0], rows[-1]))
        assert not (tmp_path / "y" / "a" / "__hyped_beam__" / "manifest.json").exists()
    assert run_until(tmp_path / "y", 1_000)
    assert contents(tmp_path / "x") == contents(tmp_path / "y")


# ---------------------------------------------------------------------------------- before a manifest


def test_a_check_that_fails_leaves_no_manifest(tmp_path):
    made = outputs(tmp_path, names=("a", "b"))
    made = prepare(made, "f").destinations
    record = do(made, 0, 1)

    def changed():
        raise InputError("the source has changed")

    with pytest.raises(InputError, match="the source has changed"):
        finish(made, [record], [lambda: None, changed])
    assert not list(tmp_path.rglob("manifest.json"))
    assert len(finish(made, [record], [lambda: None])) == 2
