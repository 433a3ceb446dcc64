"""The commit on a store without renames: the same promises as on a local disk."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest

from hyped_beam.errors import InputError
from hyped_beam.io.commit import (
    Destination,
    RangeCommit,
    check_outputs,
    done_ranges,
    finish,
    prepare,
    read_manifest,
)
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.arrow import ArrowDatasetWriter
from hyped_beam.io.writers.csv import CsvDatasetWriter
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter

SCHEMA = pa.schema({"n": pa.int64(), "group": pa.string()})
WRITERS = [JsonDatasetWriter, ParquetDatasetWriter, ArrowDatasetWriter, CsvDatasetWriter]


def outputs(s3, *names, writer=JsonDatasetWriter, **options):
    return [Destination(name, writer(s3.uri(name), **options), SCHEMA) for name in names]


def do(made, number, *values, states=None):
    commit = RangeCommit(made, number)
    groups = ["a b" if value % 2 else None for value in values]
    batch = pa.record_batch([pa.array(values, pa.int64()), pa.array(groups, pa.string())], schema=SCHEMA)
    for destination in made:
        commit.write(destination.name, batch)
    return commit.commit(states)


def one(keys):
    """The only one of some keys."""
    (key,) = keys
    return key


def held(s3):
    """The files; Arrow leaves empty keys behind that stand for folders."""
    return [key for key in s3.held() if not key.endswith("/")]


def contents(s3):
    """The files, without what says how many jobs it took."""
    generation = re.compile(rb'"generation": \d+')
    return {
        re.sub(r"/ranges/\d+-[0-9a-f]{8}/", "/ranges/", key): generation.sub(
            b"", s3.client.get_object(Bucket=s3.bucket, Key=key)["Body"].read()
        )
        for key in held(s3)
        if not key.endswith("/begun")
    }


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("options", [{}, {"partition_by": "group"}, {"max_shard_rows": 2}])
def test_the_same_bytes_as_on_a_local_disk(writer, options, s3, tmp_path):
    made = outputs(s3, "out", writer=writer, **options)
    local = [Destination("out", writer(tmp_path / "out", **options), SCHEMA)]
    for claim in (prepare(made, "f"), prepare(local, "f")):
        own = claim.destinations
        finish(own, [do(own, 0, 1, 2, 3, states=b"s"), do(own, 1, 4, 6)])
        claim.release()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    generation = b'"generation": 1'
    assert contents(s3) == {
        str(path.relative_to(tmp_path)).replace("/ranges/000001/", "/ranges/"): path.read_bytes().replace(
            generation, b""
        )
        for path in files
    }
    assert read_manifest(made[0]).paths[0].startswith(s3.uri("out/"))


def test_partitions_have_escaped_keys(s3):
    made = outputs(s3, "out", partition_by="group")
    made = prepare(made, "f").destinations
    finish(made, [do(made, 0, 1, 2)])
    assert [key for key in held(s3) if "part-" in key] == [
        "out/group=__HIVE_DEFAULT_PARTITION__/part-00000-00000.jsonl",
        "out/group=a%20b/part-00000-00000.jsonl",
    ]


def test_what_was_written_is_read(s3):
    made = outputs(s3, "out", writer=ParquetDatasetWriter)
    made = prepare(made, "f").destinations
    manifest = finish(made, [do(made, 0, 1, 2), do(made, 1, 3)])[0]
    source = ParquetReader(s3.uri("out"))
    batches = [batch for part in source.ranges() for batch in source.read(part, ["n"])]
    assert pa.Table.from_batches(batches)["n"].to_pylist() == [1, 2, 3]
    assert len(ParquetReader(manifest.paths).files()) == 2


def test_nothing_is_seen_before_the_commit(s3):
    made = outputs(s3, "out")
    made = prepare(made, "f").destinations
    before = s3.held()
    commit = RangeCommit(made, 0)
    commit.write("out", pa.record_batch([pa.array([1]), pa.array(["x"])], schema=SCHEMA))
    assert s3.held() == before
    commit.abort()
    assert s3.held() == before
    assert not s3.client.list_multipart_uploads(Bucket=s3.bucket).get("Uploads")


def test_resuming_does_what_is_missing_and_removes_what_is_left(s3):
    undisturbed = outputs(s3, "x/a", "x/b", partition_by="group")
    claim = prepare(undisturbed, "f")
    undisturbed = claim.destinations
    finish(undisturbed, [do(undisturbed, number, number, number + 1, states=b"s") for number in range(3)])
    claim.release()
    disturbed = [
        Destination(
            destination.name,
            JsonDatasetWriter(s3.uri("y/" + destination.name[2:]), partition_by="group"),
            SCHEMA,
        )
        for destination in undisturbed
    ]
    disturbed = prepare(disturbed, "f").destinations
    do(disturbed, 1, 1, 2, states=b"s")
    do(disturbed, 0, 1, 2, 3, 4)  # died before its record, with other rows than it has now
    record = one(key for key in held(s3) if key.startswith("y/a/") and key.endswith("/00000.json"))
    s3.client.delete_object(Bucket=s3.bucket, Key=record)
    with pytest.raises(InputError, match=r"'s3://.*/y/a' holds the unfinished output"):
        prepare(disturbed, "f")
    claim = prepare(disturbed, "f", "resume")
    disturbed = claim.destinations
    assert not [key for key in held(s3) if key.startswith("y/") and "part-00000" in key]
    done = done_ranges(disturbed)
    assert list(done) == [1]
    made = [do(disturbed, number, number, number + 1, states=b"s") for number in (0, 2)]
    finish(disturbed, [*done.values(), *made])
    claim.release()
    made = contents(s3)
    assert {key[1:]: data for key, data in made.items() if key[0] == "x"} == {
        key[1:]: data for key, data in made.items() if key[0] == "y"
    }


def test_replacing_removes_what_jobs_wrote(s3):
    made = outputs(s3, "out", partition_by="group")
    made = prepare(made, "f").destinations
    finish(made, [do(made, 0, 1, 2)])
    made = prepare(made, "g", "replace").destinations
    assert [re.sub("-[0-9a-f]{8}", "-MARK", key) for key in held(s3)] == [
        "out/__hyped_beam__/fingerprint.json",
        "out/__hyped_beam__/generations/000002.json",
        "out/__hyped_beam__/ranges/000002-MARK/begun",
    ]
    finish(made, [do(made, 0, 1)])
    assert len([key for key in held(s3) if "part-" in key]) == 1


def test_keys_of_somebody_else_are_left_alone(s3):
    s3.client.put_object(Bucket=s3.bucket, Key="out/thesis.txt", Body=b"mine")
    for overwrite in ("error", "replace", "resume"):
        with pytest.raises(InputError, match=r"'s3://.*/out' holds other files: thesis.txt"):
            prepare(outputs(s3, "out"), "f", overwrite)
    s3.client.put_object(Bucket=s3.bucket, Key="file", Body=b"mine")
    with pytest.raises(InputError, match="is a file"):
        prepare(outputs(s3, "file"), "f")
    assert s3.held() == ["file", "out/thesis.txt"]


def test_an_output_inside_the_input(s3):
    with pytest.raises(InputError, match="lies inside the input"):
        check_outputs(outputs(s3, "in/out"), inputs=[s3.uri("in")])


def test_a_bucket_that_is_not_there(s3):
    made = [Destination("out", JsonDatasetWriter("s3://no-such-bucket-here/out"), SCHEMA)]
    with pytest.raises(InputError, match=r"there is no bucket 'no-such-bucket-here'") as error:
        prepare([*outputs(s3, "first"), *made], "f")
    assert len(str(error.value).splitlines()) == 2
    assert s3.held() == []


def test_credentials_that_are_wrong_are_told_and_not_shown(s3, monkeypatch):
    s3.demand_credentials(True)
    try:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        with pytest.raises(InputError, match=r"access to 's3://.*' was refused") as error:
            prepare(outputs(s3, "out"), "f")
    finally:
        s3.demand_credentials(False)
    assert "nobody" not in str(error.value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    assert s3.held() == []
