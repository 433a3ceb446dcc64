"""The folder of the cache of aggregates: damage, several at once, age, and where it may be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import Max, Mean, Std
from hyped_beam.errors import DefinitionError, DefinitionTypeError, FlowError, InputError
from hyped_beam.io import contents, entries
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from tests.dsl.cached_runs import (
    FEATURES,
    entry_files,
    same,
    table,
)


@pytest.mark.parametrize("how", ["cut", "flipped", "empty", "other", "swapped", "folder", "unreadable form"])
def test_damaged_entries_are_not_used_and_replaced(source, how):
    source.write(1, 2, 3)
    first = source.run()
    files = entry_files(source)
    assert len(files) == 3
    source.seen()
    data = files[0].read_bytes()
    if how == "swapped":
        files[0].rename(files[0].with_suffix(".x"))
        files[1].rename(files[0])
        files[0].with_suffix(".x").rename(files[1])
    elif how == "folder":
        files[0].unlink()
        files[0].mkdir()
    elif how == "unreadable form":
        entry = entries.Entries(str(source.cache / "states-1"))
        key = data[len(entries.MAGIC) + 20 :].partition(b'{"batches"')[0].decode()
        assert entry.read(key) is not None
        entry.write(key, b'{"batches": 1, "rows_in": 1, "rows": 1}\nnothing of Arrow')
    else:
        flipped = bytes([*data[:-1], data[-1] ^ 1])
        files[0].write_bytes({"cut": data[:-5], "flipped": flipped, "empty": b"", "other": b"mine\n"}[how])
    second = source.run()
    damaged = 2 if how == "swapped" else 1
    assert same(first, second)
    assert (second.cache.reused, source.seen()) == (3 - damaged, 100 * damaged)
    if how != "folder":
        assert source.run().cache.reused == 3


def test_each_byte_of_an_entry_counts(source):
    source.write(1)
    first = source.run()
    (file,) = entry_files(source)
    data = file.read_bytes()
    entry = entries.Entries(str(source.cache / "states-1"))
    key = data[len(entries.MAGIC) + 20 :].partition(b'{"batches"')[0].decode()
    for place in range(0, len(data), 7):
        file.write_bytes(bytes([*data[:place], data[place] ^ 0x55, *data[place + 1 :]]))
        assert entry.read(key) is None, place
    file.write_bytes(data)
    assert entry.read(key) is not None
    assert same(first, source.run())


def test_two_programs_at_once_keep_what_a_third_uses(source, tmp_path):
    source.write(*range(8))
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from hyped_beam import DataFlow, ops\n"
        "from hyped_beam.aggregators import Max, Mean, Std\n"
        "flow = DataFlow(features={'x': 'float64', 'k': 'string'})\n"
        "src = flow.src_features\n"
        "some = ops.filter(src, src.k.is_in(['k1', 'k2', 'k3']))\n"
        "most = Max().call(Mean().call(some.x * 3, by=some.k))\n"
        "job = flow.job(source=sys.argv[1]).aggregate({'most': most, 'std': Std().call(some.x)})\n"
        "print(job.run(cache=sys.argv[2]).aggregates)\n"
    )
    command = [sys.executable, str(script), str(source.files), str(source.cache)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = {process.communicate()[0] for process in both}

    def asked(src):
        some = ops.filter(src, src.k.is_in(["k1", "k2", "k3"]))
        return {"most": Max().call(Mean().call(some.x * 3, by=some.k)), "std": Std().call(some.x)}

    third = source.run(aggregators=asked)
    assert told == {f"{third.aggregates}\n"}
    assert third.cache.reused == 8
    assert not [path for path in source.cache.rglob("*") if path.name.endswith(".tmp")]


def test_a_file_that_changes_between_being_told_and_being_read_leaves_no_entry(source, tmp_path, monkeypatch):
    source.write(1, 2)
    path, other = source.files / "002.parquet", tmp_path / "other.parquet"
    original = path.read_bytes()
    pq.write_table(table(99), other)
    real = ParquetReader.read_piece

    def replacing(reader, piece, *arguments):
        if piece.path == str(path) and other.exists():
            other.replace(path)
        return real(reader, piece, *arguments)

    monkeypatch.setattr(ParquetReader, "read_piece", replacing)
    with pytest.raises(FlowError, match="has changed while it was read"):
        source.run()
    assert not other.exists()
    path.write_bytes(original)
    found = source.run()
    assert found.cache.reused <= 1
    assert same(found, source.run(cache=None))


def test_files_are_not_read_to_be_told_while_they_stay_as_they_are(source, monkeypatch):
    hashed = []
    real = contents.fingerprint_of
    monkeypatch.setattr(contents, "fingerprint_of", lambda uri: hashed.append(uri) or real(uri))
    monkeypatch.setattr(contents, "SETTLED_SECONDS", 0)
    source.write(*range(4))
    source.run()
    assert len(hashed) == 4
    source.run()
    assert len(hashed) == 4
    source.write(2)
    assert source.run().cache.reused == 4
    assert hashed[4:] == [str(source.files / "002.parquet")]
    for file in (source.cache / "files-1").iterdir():
        if file.is_file() and file.suffix == entries.SUFFIX:
            file.write_text(file.read_text().replace("xxh128:", "xxh128:0"))
    assert source.run().cache.reused == 4
    assert len(hashed) == 9


def test_files_that_were_changed_just_now_are_read_each_time(source, monkeypatch):
    hashed = []
    real = contents.fingerprint_of
    monkeypatch.setattr(contents, "fingerprint_of", lambda uri: hashed.append(uri) or real(uri))
    source.write(1)
    source.run()
    source.run()
    assert len(hashed) >= 2


def test_what_was_not_used_for_long_is_removed_and_nothing_else(source):
    source.write(1, 2)
    source.cache.mkdir()
    (source.cache / "mine.json").write_text("{}")
    (source.cache / f"mine{entries.SUFFIX}").write_text("mine")
    source.run()
    old = time.time() - 40 * 86_400
    first, second = entry_files(source)
    for path in (first, source.cache / "mine.json", source.cache / f"mine{entries.SUFFIX}"):
        os.utime(path, (old, old))
    os.utime(source.cache / "states-1" / "swept", (old, old))
    source.run()
    assert (source.cache / "mine.json").exists()
    assert (source.cache / f"mine{entries.SUFFIX}").exists()
    assert second.exists()
    assert source.run().cache.reused == 2


def test_the_folder_may_be_removed_at_any_time(source):
    source.write(1, 2)
    first = source.run()
    shutil.rmtree(source.cache)
    assert same(first, source.run())
    assert source.run().cache.reused == 2


def test_true_is_a_folder_in_the_cache_of_datasets(source):
    source.write(1)
    assert source.run(cache=None).cache is None
    flow = DataFlow(features=FEATURES)
    x = flow.src_features.x
    flow.fit(str(source.files), collect={"x": x - Mean().call(x)}, cache=True)
    assert (Path(datasets.config.HF_DATASETS_CACHE) / "hyped_beam" / "aggregates" / "states-1").is_dir()


@pytest.mark.parametrize(
    ("cache", "error", "message"),
    [
        (1, DefinitionTypeError, "cache= takes a folder, True or None, got 1"),
        ("", DefinitionTypeError, "cache= takes a folder"),
        ("s3://bucket/cache", DefinitionError, "cache= takes a folder of this machine"),
        ("in/cache", InputError, "lies in the input"),
        ("in/001.parquet", InputError, "lies in the input"),
        ("file.txt", InputError, "cannot be written to"),
    ],
)
def test_what_is_no_folder_of_its_own_is_refused(source, tmp_path, monkeypatch, cache, error, message):
    monkeypatch.chdir(tmp_path)
    source.write(1)
    (tmp_path / "file.txt").write_text("mine")
    with pytest.raises(error, match=message):
        source.run(cache=cache)
    assert (tmp_path / "file.txt").read_text() == "mine"


def test_a_cache_in_an_output_is_refused(source, tmp_path):
    source.write(1)
    reader = ParquetReader(source.files)
    flow = DataFlow(features=reader)
    x = flow.src_features.x
    job = flow.job(source=reader).write(
        collect={"x": x - Mean().call(x)}, to=JsonDatasetWriter(str(tmp_path / "out"))
    )
    with pytest.raises(InputError, match="lies in the output"):
        job.run(cache=tmp_path / "out" / "cache")
    assert not (tmp_path / "out").exists()
