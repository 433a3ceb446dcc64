"""What the names of files tell: the format of another reader, and what a saved dataset does not list."""

from __future__ import annotations

import json

import datasets
import pytest

from hyped_beam.errors import InputError
from hyped_beam.io.readers.arrow import ArrowReader
from hyped_beam.io.readers.csv import CsvReader
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.readers.text import TextReader

# --------------------------------------------------------------------------------------- another format


@pytest.mark.parametrize(
    ("reader", "name", "other"),
    [
        (CsvReader, "a.jsonl", "JsonReader"),
        (CsvReader, "a.JSON", "JsonReader"),
        (CsvReader, "a.jsonl.gz", "JsonReader"),
        (JsonReader, "a.csv", "CsvReader"),
        (JsonReader, "a.tsv.zst", "CsvReader"),
        (JsonReader, "a.parquet", "ParquetReader"),
        (ParquetReader, "a.arrow", "ArrowReader"),
        (ArrowReader, "a.parquet", "ParquetReader"),
        (TextReader, "a.parquet", "ParquetReader"),
    ],
)
@pytest.mark.parametrize("glob", [False, True])
def test_a_file_of_another_format_is_refused_with_the_right_reader(tmp_path, reader, name, other, glob):
    (tmp_path / name).write_text('{"id": 1}\n')
    path = tmp_path / f"*{name[1:]}" if glob else tmp_path / name
    with pytest.raises(
        InputError, match=rf"{name}: its name tells .* of {other}\n  hint: use {other}, or rename"
    ):
        _ = reader(path).features


@pytest.mark.parametrize(
    ("reader", "name"),
    [
        (CsvReader, "a.txt"),
        (CsvReader, "a.data"),
        (CsvReader, "a"),
        (CsvReader, "a.csv.1"),
        (JsonReader, "a.log"),
        (JsonReader, "a.txt.gz.part"),
        (TextReader, "a.jsonl"),
        (TextReader, "a.csv"),
        (TextReader, "a.py"),
    ],
)
def test_names_that_tell_no_format_are_read_and_lines_of_all_text(tmp_path, read_all, reader, name):
    (tmp_path / name).write_text('{"id": 1}\n')
    assert list(reader(tmp_path / name).features)


def test_a_reader_of_ones_own_reads_what_it_likes(tmp_path):
    class OwnReader(CsvReader):
        suffixes = (".json",)

    (tmp_path / "a.json").write_text("id\n1\n")
    with pytest.raises(InputError, match="its name tells the format of JsonReader"):
        _ = CsvReader(tmp_path / "a.json").features
    assert list(OwnReader(tmp_path / "a.json").features) == ["id"]


# ----------------------------------------------------------------------------------------- saved datasets


@pytest.fixture
def saved(tmp_path):
    """The folder of a dataset with results of `map` next to its files."""
    datasets.Dataset.from_dict({"n": range(10)}).save_to_disk(tmp_path / "ds", num_shards=2)
    data = datasets.load_from_disk(tmp_path / "ds")
    data.map(lambda row: {"n": row["n"] + 100}, cache_file_name=str(tmp_path / "ds" / "cache-1a2b.arrow"))
    return tmp_path / "ds"


def rows(path, read_all):
    return [row["n"] for batch in read_all(ArrowReader(path)) for row in batch.to_pylist()]


@pytest.mark.parametrize("pattern", ["", "*.arrow", "*", "**/*.arrow", "[a-z]*.arrow"])
def test_results_that_datasets_keeps_are_not_mixed_in(saved, read_all, pattern):
    if pattern == "*":
        (saved / "dataset_info.json").rename(saved.parent / "info")
        (saved / "state.json").rename(saved.parent / "state")
    assert rows(saved / pattern, read_all) == list(range(10))
    assert rows(saved / "cache-*.arrow", read_all) == list(range(100, 110))
    assert rows(next(saved.glob("cache-*.arrow")), read_all) == list(range(100, 110))


@pytest.mark.parametrize("pattern", ["", "*.arrow", "../**/*.arrow"])
def test_files_that_a_saved_dataset_does_not_list_are_not_read(saved, read_all, pattern):
    (saved / "data-00007-of-00008.arrow").write_bytes((saved / "data-00000-of-00002.arrow").read_bytes())
    wanted = datasets.load_from_disk(saved)["n"]
    assert rows(saved / pattern, read_all) == list(wanted) == list(range(10))
    assert rows(saved / "data-00007-of-00008.arrow", read_all) == list(range(5))


@pytest.mark.parametrize("state", ["{", "[]", '{"_data_files": 1}', '{"other": true}', "{" * 100_000])
def test_another_file_of_that_name_says_nothing(tmp_path, read_all, state):
    source = datasets.Dataset.from_dict({"n": range(3)})
    source.save_to_disk(tmp_path / "ds")
    (tmp_path / "ds" / "state.json").write_text(state)
    assert rows(tmp_path / "ds", read_all) == [0, 1, 2]


def test_where_nothing_else_is_there_it_is_said(saved):
    for file in saved.glob("data-*"):
        file.unlink()
    for path in (saved, saved / "*.arrow"):
        with pytest.raises(
            InputError, match=r"only files of the cache of datasets.*\n.*name the files to read"
        ):
            _ = ArrowReader(path).features
    state = json.loads((saved / "state.json").read_text())
    assert state["_data_files"]
