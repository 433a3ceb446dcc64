"""On stores a job that was overtaken may do one more thing, at any later time: no other job counts on it."""

from __future__ import annotations

import contextlib
import json
import uuid

import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from hyped_beam.errors import JobError
from hyped_beam.io import conditional
from hyped_beam.io.commit import (
    Destination,
    OvertakenError,
    RangeCommit,
    RangeRecord,
    done_ranges,
    finish,
    prepare,
    read_manifest,
)
from hyped_beam.io.filesystem import locate
from hyped_beam.io.writers.json import JsonDatasetWriter

SCHEMA = pa.schema({"n": pa.int64()})


@pytest.fixture(params=["s3", "memory"])
def store(request):
    """The URI of an empty place that has no locks."""
    if request.param == "s3":
        return request.getfixturevalue("s3").uri("place")
    return f"memory://store-{uuid.uuid4().hex}"


@pytest.fixture
def before(store, monkeypatch):
    """Have something happen before the first operation of a kind on files of which a path has a part."""

    def wait(operation, part, happens, when=lambda: True):
        kind = type(locate(store)[0])
        original = getattr(kind, operation)
        waiting = [happens]

        def interrupted(self, path, *args, **kwargs):
            if waiting and part in path and when():
                waiting.pop()()
            return original(self, path, *args, **kwargs)

        monkeypatch.setattr(kind, operation, interrupted)

    return wait


def outputs(store):
    return [Destination(name, JsonDatasetWriter(f"{store}/{name}"), SCHEMA) for name in "ab"]


def attempt(claim, number, *values):
    commit = RangeCommit(claim.destinations, number)
    for destination in claim.destinations:
        commit.write(destination.name, pa.record_batch([pa.array(values, pa.int64())], schema=SCHEMA))
    return commit


def rows(claim):
    told = []
    for destination in claim.destinations:
        paths = [locate(path) for path in read_manifest(destination).paths]
        lines = b"".join(there.read(path) for there, path in paths).splitlines()
        told.append([json.loads(line)["n"] for line in lines])
    return told


@pytest.mark.parametrize("values", [(), (1, 2)])
def test_a_record_that_comes_after_a_job_that_was_withdrawn(values, store, before):
    zombie = prepare(outputs(store), "old")
    late = attempt(zombie, 0, *values)
    begun = []

    def others():
        prepare(outputs(store), "other", "replace").withdraw()
        begun.append(prepare(outputs(store), "new"))

    before("put_once", "/ranges/", others)
    if values:
        with pytest.raises(OvertakenError, match="has taken over the output folder"):
            late.commit()
    else:
        late.commit()
    (claim,) = begun
    assert claim.destinations[0].claimed.generation == 1
    assert done_ranges(claim.destinations) == {}
    finish(claim.destinations, [attempt(claim, 0, 7, 8).commit()])
    claim.release()
    assert rows(claim) == [[7, 8]] * 2


def test_a_record_that_comes_after_the_folder_was_cleared_is_not_resumed(store, before):
    zombie = prepare(outputs(store), "old")
    late = attempt(zombie, 1)
    begun = []

    def another():
        begun.append(prepare(outputs(store), "new", "replace"))
        attempt(begun[0], 0, 7).commit()

    before("put_once", "/ranges/", another)
    late.commit()
    claim = prepare(outputs(store), "new", "resume")  # the one before has died
    done = done_ranges(claim.destinations)
    assert list(done) == [0]
    finish(claim.destinations, [done[0], attempt(claim, 1, 8).commit()])
    claim.release()
    assert rows(claim) == [[7, 8]] * 2


def test_a_job_that_is_overtaken_before_it_begins_removes_nothing(store, before):
    claim = prepare(outputs(store), "f")
    finish(claim.destinations, [attempt(claim, 0, 1).commit()])
    claim.release()
    there, path = locate(f"{store}/b/__hyped_beam__/generations/000002.json")
    begun = []

    def another():
        begun.append(prepare(outputs(store), "new", "replace"))
        finish(begun[0].destinations, [attempt(begun[0], 0, 7).commit()])

    before("children", "/a", another, when=lambda: there.info(path) is not None)
    with pytest.raises(OvertakenError, match="has taken over the output folder"):
        prepare(outputs(store), "old", "replace")
    assert rows(begun[0]) == [[7]] * 2


def test_a_shard_that_is_put_into_place_after_another_job_has_finished(store, before):
    zombie = prepare(outputs(store), "old")
    late = attempt(zombie, 0, 1, 2)
    begun = []

    def another():
        begun.append(prepare(outputs(store), "new", "replace"))
        finish(begun[0].destinations, [attempt(begun[0], 0, 7, 8).commit()])
        begun[0].release()

    before("move", "/staged/", another)
    with contextlib.suppress(JobError):  # where a shard of this name has as many bytes, it looks done
        late.commit()
    assert rows(begun[0]) == [[7, 8]] * 2
    with pytest.raises(OvertakenError, match="has taken over the output folder"):
        finish(zombie.destinations, [RangeRecord(0, {"a": (), "b": ()}, generation=1)])
    assert rows(begun[0]) == [[7, 8]] * 2


def test_a_job_that_is_overtaken_while_it_ends_removes_nothing(store):
    zombie = prepare(outputs(store), "old")
    record = attempt(zombie, 0, 1, 2).commit()
    begun = []

    def another():
        begun.append(prepare(outputs(store), "new", "replace"))
        records = [attempt(begun[0], number, 7, 8).commit() for number in range(2)]
        finish(begun[0].destinations, records)
        begun[0].release()

    with pytest.raises(OvertakenError, match="has taken over the output folder"):
        finish(zombie.destinations, [record], [another])
    assert rows(begun[0]) == [[7, 8, 7, 8]] * 2


def test_on_s3_a_job_removes_from_a_place_only_what_it_has_seen_there(s3, monkeypatch):
    store = s3.uri("place")
    zombie = prepare(outputs(store), "old")
    late = attempt(zombie, 0, 1, 2)
    s3.client.put_object(Bucket=s3.bucket, Key="place/a/part-00000.jsonl", Body=b"of an earlier job")
    begun = []
    delete = conditional.delete_from_s3

    def interrupted(*args):
        if not begun:
            begun.append(prepare(outputs(store), "new", "replace"))
            finish(begun[0].destinations, [attempt(begun[0], 0, 7, 8).commit()])
            begun[0].release()
        delete(*args)

    monkeypatch.setattr(conditional, "delete_from_s3", interrupted)
    with contextlib.suppress(JobError):
        late.commit()
    assert rows(begun[0]) == [[7, 8]] * 2


def test_a_copy_that_takes_longer_than_another_job_is_noticed_by_the_one_after_it(monkeypatch):
    """Files in memory are copied at once; here a copy lands late, as those of stores may."""
    store = f"memory://store-{uuid.uuid4().hex}"
    begun = []

    def copy(self, source, target, **_):
        data = self.cat_file(source)
        if not begun and target.endswith("/a/part-00000.jsonl"):
            begun.append(None)
            prepare(outputs(store), "other", "replace").withdraw()
            begun[0] = prepare(outputs(store), "new")
            begun.append(attempt(begun[0], 0, 7, 8).commit())
        self.pipe_file(target, data)

    zombie = prepare(outputs(store), "old")
    late = attempt(zombie, 0, 1, 2)
    monkeypatch.setattr(MemoryFileSystem, "cp_file", copy)
    with contextlib.suppress(JobError):
        late.commit()
    claim, record = begun
    message = r"the output 'a' in .* is not what was written: part-00000.jsonl does not hold what was written"
    with pytest.raises(JobError, match=message):
        finish(claim.destinations, [record])
    claim.release()
    claim = prepare(outputs(store), "new", "resume")
    assert done_ranges(claim.destinations) == {}
    finish(claim.destinations, [attempt(claim, 0, 7, 8).commit()])
    claim.release()
    assert rows(claim) == [[7, 8]] * 2


def test_the_names_of_shards_and_the_manifest_follow_from_what_was_written_alone(store):
    made = []
    for name in "xy":
        claim = prepare(outputs(f"{store}/{name}"), "f")
        finish(claim.destinations, [attempt(claim, 0, 1, 2).commit(), attempt(claim, 1).commit()])
        claim.release()
        folders = [destination.folder for destination in claim.destinations]
        made.append([folder.filesystem.read(folder.manifest) for folder in folders])
    assert made[0] == made[1]
