"""Two attempts at one range, interleaved in any way, and jobs that die between any two operations."""

from __future__ import annotations

import gc
import importlib.util
import json
import re
import tempfile
import time
from pathlib import Path

import hypothesis.strategies as st
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given

from hyped_beam.io.commit import (
    Destination,
    RangeCommit,
    done_ranges,
    finish,
    prepare,
    read_record,
    read_states,
)
from hyped_beam.io.locks import lock
from hyped_beam.io.writers.json import JsonDatasetWriter

_spec = importlib.util.spec_from_file_location("io_stepped", Path(__file__).with_name("stepped.py"))
stepped = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(stepped)

SCHEMA = pa.schema({"n": pa.int64(), "k": pa.string()})


def outputs(folder):
    """Two outputs; the ranges of one become several files."""
    return [
        Destination("a", JsonDatasetWriter(folder / "a"), SCHEMA),
        Destination("b", JsonDatasetWriter(folder / "b", partition_by="k"), SCHEMA),
    ]


def do(destinations, number, values):
    """Do a range, as an attempt that finds some values; what it reports."""
    commit = RangeCommit(destinations, number)
    keys = ["even" if value % 2 == 0 else "odd" for value in values]
    batch = pa.record_batch([pa.array(values, pa.int64()), pa.array(keys)], schema=SCHEMA)
    try:
        for destination in destinations:
            commit.write(destination.name, batch)
        return commit.commit(json.dumps(values).encode(), len(values))
    finally:
        commit.abort()


def rows(folder, output, number):
    """The rows of a range that are in their places, sorted."""
    files = (folder / output).rglob(f"part-{number:05d}*.jsonl")
    lines = [line for file in sorted(files) for line in file.read_text().splitlines()]
    return sorted(json.loads(line)["n"] for line in lines)


def check_range(folder, destinations, record, candidates):
    """One of some attempts counts, with all of its files and its states."""
    values = json.loads(read_states(destinations, record))
    assert values in candidates
    assert rows(folder, "a", record.number) == rows(folder, "b", record.number) == sorted(values)
    for name, shards in record.outputs.items():
        for shard in shards:
            data = (folder / name / shard.file).read_bytes()
            assert shard.checksum == "xxh128:" + xxhash.xxh3_128(data).hexdigest()


def contents(folder):
    """The files, without what says how many jobs it took."""
    generation = re.compile(rb'"generation": \d+')
    return {
        re.sub(r"/ranges/\d+/", "/ranges/", str(path.relative_to(folder))): generation.sub(
            b"", path.read_bytes()
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


def without_staged(folder):
    assert not [path for path in folder.rglob("*") if "staged" in path.parts and path.is_file()]


FIRST, SECOND, THIRD = [1, 2, 3], [4, 6, 7, 9], [5]


@given(data=st.data())
def test_attempts_in_any_order_leave_what_one_of_them_made(data):
    same = data.draw(st.booleans(), label="both find the same")
    values = [FIRST, FIRST if same else SECOND]
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        folder = Path(scratch)
        stepped.use(patch, stepped.SteppedFileSystem())
        claim = prepare(outputs(folder), "f")
        made = claim.destinations
        attempts = [stepped.Attempt(lambda found=found: do(made, 0, found)) for found in values]
        dying = data.draw(st.sampled_from([None, 0, 1]), label="which dies")
        dies_after = data.draw(st.integers(0, 40), label="after so many steps of both")
        steps = 0
        while running := [each for each in attempts if not each.is_over]:
            if dying is not None and steps >= dies_after and not attempts[dying].is_over:
                attempts[dying].die()
                continue
            chosen = running[0] if len(running) == 1 else data.draw(st.sampled_from(running))
            chosen.step()
            steps += 1
        assert [each.error for each in attempts] == [None, None]
        (record,) = {each.result.to_json(): each.result for each in attempts if each.result}.values()
        assert read_record(made, 0) == record
        check_range(folder, made, record, values)
        for manifest in finish(made, [record]):
            assert sum(shard.rows for shard in manifest.shards) == manifest.rows
        check_range(folder, made, record, values)
        without_staged(folder)
        claim.release()


def test_an_attempt_that_fails_anywhere_takes_nothing_from_one_that_made_the_same(tmp_path, monkeypatch):
    stepped.use(monkeypatch, stepped.SteppedFileSystem())
    fails_at = 0
    while True:
        folder = tmp_path / str(fails_at)
        claim = prepare(outputs(folder), "f")
        made = claim.destinations
        first = stepped.Attempt(lambda made=made: do(made, 0, FIRST))
        staged = folder / "b" / "__hyped_beam__" / "staged" / "000001"
        while len([path for path in staged.iterdir() if not path.name.startswith(".")]) < 2:
            first.step()
        second = stepped.Attempt(lambda made=made: do(made, 0, FIRST), fails_at)
        while not second.is_over:
            second.step()
        while not first.is_over:
            first.step()
        assert first.error is None
        finish(made, [first.result])
        check_range(folder, made, first.result, [FIRST])
        without_staged(folder)
        claim.release()
        if second.error is None and second.steps <= fails_at:
            break
        fails_at += 1
    assert fails_at > 20


def test_states_of_an_attempt_that_failed_do_not_stay(tmp_path, monkeypatch):
    stepped.use(monkeypatch, stepped.SteppedFileSystem())
    claim = prepare(outputs(tmp_path), "f")
    failed = stepped.Attempt(lambda: do(claim.destinations, 0, SECOND))
    ranges = tmp_path / "a" / "__hyped_beam__" / "ranges"
    while not list(ranges.rglob("*.arrow")):
        failed.step()
    failed.die()
    finish(claim.destinations, [do(claim.destinations, 0, FIRST)])
    assert len(list(ranges.rglob("*.arrow"))) == 1
    claim.release()


@given(data=st.data())
def test_after_attempts_that_died_a_job_is_resumed(data):
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        folder = Path(scratch)
        filesystem = stepped.SteppedFileSystem()
        stepped.use(patch, filesystem)
        claim = prepare(outputs(folder), "f")
        made = claim.destinations
        attempts = [stepped.Attempt(lambda found=found: do(made, 0, found)) for found in (FIRST, SECOND)]
        for chosen in data.draw(st.lists(st.sampled_from(attempts), max_size=60)):
            if not chosen.is_over:
                chosen.step()
        for each in attempts:
            if not each.is_over:
                each.die()
        if data.draw(st.booleans(), label="the machine stops"):
            filesystem.lose()
        del claim
        gc.collect()  # and with it the lock, as when the process ends
        verify = data.draw(st.booleans(), label="verify")
        claim = prepare(outputs(folder), "f", "resume", verify=verify)
        made = claim.destinations
        done = done_ranges(made)
        if not done:
            done = {0: do(made, 0, THIRD)}
        finish(made, done.values())
        check_range(folder, made, done[0], [FIRST, SECOND, THIRD])
        without_staged(folder)
        claim.release()


# ------------------------------------------------------------------------------------------ jobs that die


def job(folder, overwrite, verify=True):
    """A job of three ranges, one of which has no rows."""
    claim = prepare(outputs(folder), "f", overwrite, verify=verify)
    made = claim.destinations
    records = {number: read_record(made, number) for number in range(3)}
    for number, values in enumerate((FIRST, [], SECOND)):
        records[number] = records[number] or do(made, number, values)
    finish(made, records.values())
    claim.release()


def until_free(folder):
    """Wait until the locks of a job that died are free, which its threads may hold on to for a moment."""
    deadline = time.monotonic() + 120
    for destination in outputs(folder):
        path = destination.folder.owner_lock
        while Path(path).exists():
            gc.collect()
            held = lock(path, creates=False)
            if held is not None:
                held.release()
                break
            assert time.monotonic() < deadline, path


@pytest.mark.parametrize("stops", [False, True], ids=["process", "machine"])
@pytest.mark.parametrize("earlier", [None, "done", "half"])
def test_a_job_that_dies_between_any_two_operations_is_resumed(stops, earlier, tmp_path, monkeypatch):
    job(tmp_path / "undisturbed", "error")
    wanted = contents(tmp_path / "undisturbed")
    filesystem = stepped.SteppedFileSystem()
    stepped.use(monkeypatch, filesystem)
    dies_at = 0
    died = True
    while died:
        folder = tmp_path / str(dies_at)
        filesystem.dies_at = None
        if earlier is not None:
            job(folder, "error")
        if earlier == "half":
            (folder / "a" / "__hyped_beam__" / "manifest.json").unlink()
            (folder / "b" / "k=odd" / "part-00000-00000.jsonl").unlink()
        filesystem.operations, filesystem.dies_at = 0, dies_at
        try:
            job(folder, "error" if earlier is None else "resume")
        except stepped.Died:
            if stops:
                filesystem.lose()
        else:
            died = False
        filesystem.dies_at = None
        until_free(folder)
        job(folder, "resume", verify=dies_at % 2 == 0)
        assert contents(folder) == wanted
        dies_at += 2 if earlier is None else 5
    assert dies_at > 60
