"""A source may be a path whose files tell their format."""

from __future__ import annotations

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam.dsl.sources import as_source
from hyped_beam.errors import DefinitionError, InputError
from hyped_beam.io.readers.csv import CsvReader
from hyped_beam.io.readers.text import TextReader


@pytest.fixture
def folder(tmp_path):
    for kind, files in {
        "lines": {"a.jsonl": b'{"n":1}\n', "b.jsonl.gz": gzip.compress(b'{"n":2}\n')},
        "table": {"a.csv": b"n\n1\n", "README.md": b"about"},
        "text": {"a.txt": b"1\n"},
        "mixed": {"a.csv": b"n\n1\n", "b.jsonl": b'{"n":1}\n'},
        "other": {"a.xml": b"<n>1</n>"},
    }.items():
        (tmp_path / kind).mkdir()
        for name, data in files.items():
            (tmp_path / kind / name).write_bytes(data)
    (tmp_path / "columns").mkdir()
    pq.write_table(pa.table({"n": [1]}), tmp_path / "columns" / "a.parquet")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "reader"),
    [
        ("lines", "JsonReader"),
        ("lines/*.jsonl", "JsonReader"),
        ("lines/b.jsonl.gz", "JsonReader"),
        ("lines/*", "JsonReader"),
        ("table", "CsvReader"),
        ("text", "TextReader"),
        ("columns", "ParquetReader"),
        ("columns/a.parquet", "ParquetReader"),
        ("mixed/*.csv", "CsvReader"),
    ],
)
def test_the_reader_follows_from_the_names_of_the_files(folder, path, reader):
    for given in (folder / path, f"file://{folder / path}"):
        source = as_source(given)
        assert type(source).__name__ == reader
        assert len(source.features) == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "mixed",
            r"several formats: .*a.csv for CsvReader and .*b.jsonl for JsonReader\n  hint: .* as '\*.jsonl'",
        ),
        ("other", "there are no files of a known format in the folder"),
        ("other/a.xml", "a.xml' does not tell its format\n  hint: give a reader; known are .arrow"),
        ("lnes", "there is no file or folder .*\n  hint: did you mean .*/lines"),
        ("lines/*.csv", None),
    ],
)
def test_what_tells_nothing_is_told_at_the_line(folder, path, message):
    if message is None:
        with pytest.raises(InputError, match="no file matches"):
            _ = as_source(folder / path).features
        return
    with pytest.raises(InputError, match=message) as caught:
        as_source(folder / path)
    assert caught.value.site.file == __file__


def test_a_pattern_of_one_reader_holds_no_files_of_another(folder):
    with pytest.raises(InputError, match=r"mixed/\*' holds files of several formats: .*a.csv for CsvReader"):
        _ = CsvReader(folder / "mixed" / "*").features
    assert list(CsvReader(folder / "mixed").features) == ["n"]
    (folder / "text" / "b.xml").write_bytes(b"2\n")  # no other reader's
    assert len(TextReader(folder / "text" / "*").files()) == 2
    assert len(TextReader(folder / "mixed" / "*").files()) == 2  # whatever they are, they are read as text


def test_wrong_uris_are_told_at_the_line():
    with pytest.raises(DefinitionError, match=r"test_sources.py:\d+: there is no file system for 'nope'"):
        as_source("nope://x/y.csv")


def test_a_dataset_of_the_hub_and_files_in_one():
    assert type(as_source("hf://datasets/user/mail")).__name__ == "HubReader"
    assert type(as_source("hf://datasets/user/mail/data/*.parquet")).__name__ == "ParquetReader"
