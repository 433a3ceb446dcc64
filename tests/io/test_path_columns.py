"""Columns that paths tell, of files of any format: folders named `key=value`, and where rows come from."""

from __future__ import annotations

import datetime
import pickle

import datasets
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from hyped_beam.errors import InputError
from hyped_beam.io.filesystem import locate
from hyped_beam.io.readers import base, packing
from hyped_beam.io.readers.csv import CsvReader
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.readers.text import TextReader
from hyped_beam.io.writers.parquet import ParquetDatasetWriter


def rows_of(reader, read_all, columns=None):
    return [row for batch in read_all(reader, columns) for row in batch.to_pylist()]


def put(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(data)
    return folder


@pytest.mark.parametrize(
    ("reader", "suffix", "text"),
    [(JsonReader, "jsonl", '{"text":"a"}\n'), (CsvReader, "csv", "text\na\n"), (TextReader, "txt", "a\n")],
)
def test_folders_are_columns_of_every_format(tmp_path, read_all, reader, suffix, text):
    put(tmp_path, {f"group={group}/year={2023 + year}/x.{suffix}": text for group in "ab" for year in (0, 1)})
    source = reader(tmp_path)
    assert {name: kind.dtype for name, kind in source.features.items()} == {
        "text": "string",
        "group": "string",
        "year": "int64",
    }
    assert rows_of(source, read_all) == [
        {"text": "a", "group": group, "year": year} for group in "ab" for year in (2023, 2024)
    ]
    assert rows_of(source, read_all, ["year"]) == [{"year": year} for year in (2023, 2024)] * 2
    assert list(reader(tmp_path, hive_partitioning=False).features) == ["text"]
    assert rows_of(reader(tmp_path / "group=a" / "year=2023" / f"x.{suffix}"), read_all)[0]["year"] == 2023


def test_types_of_folders_may_be_declared(tmp_path, read_all):
    put(tmp_path, {"day=2024-01-31/n=1/x.txt": "a", "day=__HIVE_DEFAULT_PARTITION__/n=2/x.txt": "b"})
    source = TextReader(tmp_path, features={"day": "date32", "n": "string", "text": "string"})
    assert rows_of(source, read_all) == [
        {"day": datetime.date(2024, 1, 31), "n": "1", "text": "a"},
        {"day": None, "n": "2", "text": "b"},
    ]
    assert list(TextReader(tmp_path, features={"text": "string"}).features) == ["text"]
    with pytest.raises(InputError, match=r"the folder day=2024-01-31 of .*x.txt does not tell a int64"):
        _ = TextReader(tmp_path, features={"day": "int64", "text": "string"}).features


def test_folders_tell_labels_by_name_or_number(tmp_path, read_all):
    names = {"label=spam": "a", "label=ham": "b", "label=1": "c", "label=-1": "d"}
    put(tmp_path, {f"{folder}/x.txt": text for folder, text in names.items()})
    put(tmp_path, {"label=__HIVE_DEFAULT_PARTITION__/x.txt": "e"})
    features = {"text": "string", "label": datasets.ClassLabel(names=["ham", "spam"])}
    source = TextReader(tmp_path, features=features)
    assert source.features["label"].names == ["ham", "spam"]
    found = {row["text"]: row["label"] for row in rows_of(source, read_all)}
    assert found == {"a": 1, "b": 0, "c": 1, "d": -1, "e": None}
    scan = source.scan(["text"], pc.field("label") == 1)
    chosen = {
        row["text"] for part in source.ranges() for batch in scan.read(part) for row in batch.to_pylist()
    }
    assert {"a", "c"} <= chosen < set(found)


@pytest.mark.parametrize(
    ("folder", "hint"),
    [
        ("label=spamm", "did you mean 'spam'? its names are ham, spam"),
        ("label=2", "its names are ham, spam"),
    ],
)
def test_folders_that_are_no_labels(tmp_path, folder, hint):
    put(tmp_path, {"label=ham/x.txt": "a", f"{folder}/x.txt": "b"})
    features = {"text": "string", "label": datasets.ClassLabel(names=["ham", "spam"])}
    with pytest.raises(InputError, match=f"the folder {folder} of .*x.txt is no label of 'label'") as caught:
        _ = TextReader(tmp_path, features=features).features
    assert caught.value.hint == hint


def test_values_are_unquoted_and_leading_zeros_kept(tmp_path, read_all):
    put(tmp_path, {"place=New%20York%2FUS/code=007/x.txt": "a"})
    assert rows_of(TextReader(tmp_path), read_all) == [{"text": "a", "place": "New York/US", "code": "007"}]


def test_folders_of_the_working_directory_tell_nothing(tmp_path, read_all, monkeypatch):
    put(tmp_path, {"run=3/group=a/x.txt": "a"})
    monkeypatch.chdir(tmp_path / "run=3")
    assert rows_of(TextReader("."), read_all) == [{"text": "a", "group": "a"}]


def test_files_in_different_folders_disagree(tmp_path):
    put(tmp_path, {"group=a/x.txt": "a", "y.txt": "b"})
    with pytest.raises(InputError, match=r"group=a/x.txt lies in a folder group=..., .*/y.txt in none"):
        _ = TextReader(tmp_path).features


def test_a_column_of_the_files_is_what_they_say(tmp_path, read_all):
    put(tmp_path, {"n=1/x.jsonl": '{"n":2}\n'})
    assert rows_of(JsonReader(tmp_path), read_all) == [{"n": 2}]


def test_folders_on_a_store(s3, read_all):
    for group in "ab":
        filesystem, path = locate(s3.uri(f"in/group={group}/x.jsonl"))
        filesystem.write(path, b'{"n":1}\n')
    assert rows_of(JsonReader(s3.uri("in")), read_all) == [{"n": 1, "group": "a"}, {"n": 1, "group": "b"}]


def test_what_our_writer_divided_comes_back(tmp_path, read_all, write_table):
    table = pa.table(
        {
            "n": range(6),
            "group": ["a/b", None, "", "ä=%", "a b", "__x"],
            "day": pa.array([0, 1, None, 0, 1, 2], pa.date32()),
        }
    )
    write_table(ParquetDatasetWriter(tmp_path / "out", partition_by=["group", "day"]), table)
    source = ParquetReader(tmp_path / "out", features=datasets.Features.from_arrow_schema(table.schema))
    assert sorted(rows_of(source, read_all), key=lambda row: row["n"]) == table.to_pylist()


# -------------------------------------------------------------------------------------------------- origin


def test_rows_know_where_they_come_from(tmp_path, read_all, monkeypatch):
    for module in (base, packing):
        monkeypatch.setattr(module, "SMALLEST_RANGE_ROWS", 1)
    paths = []
    for part in range(2):
        paths.append(str(tmp_path / f"{part}.parquet"))
        pq.write_table(
            pa.table({"n": range(part * 1_000, part * 1_000 + 1_000)}), paths[-1], row_group_size=100
        )
    source = ParquetReader(tmp_path, origin="from")
    assert source.features["from"] == {"path": datasets.Value("string"), "row": datasets.Value("int64")}
    assert len(source.ranges()) > 4
    for row in rows_of(source, read_all):
        assert row["from"] == {"path": paths[row["n"] // 1_000], "row": row["n"] % 1_000}
    assert list(ParquetReader(tmp_path).features) == ["n"]
    with pytest.raises(InputError, match="has a column 'n'\n  hint: give origin= another name"):
        _ = ParquetReader(tmp_path, origin="n").features


def test_origins_travel(tmp_path):
    put(tmp_path, {"g=1/x.txt": "a\nb\n"})
    source = TextReader(tmp_path, origin="from")
    scan = pickle.loads(pickle.dumps(source.scan(["g", "from"])))  # noqa: S301 - as it travels to the workers
    (part,) = source.ranges()
    part = base.Range.from_json(part.to_json())
    (batch,) = scan.read(part)
    assert batch.to_pylist() == [
        {"g": 1, "from": {"path": str(tmp_path / "g=1" / "x.txt"), "row": row}} for row in (0, 1)
    ]


def test_tiny_files_share_batches(tmp_path, read_all, monkeypatch):
    monkeypatch.setattr(packing, "BATCHES_OF_TINY_FILES", 20)
    for number in range(300):
        pq.write_table(pa.table({"n": [number, number]}), tmp_path / f"{number:03}.parquet")
    batches = read_all(ParquetReader(tmp_path))
    assert [n for batch in batches for n in batch["n"].to_pylist()] == [n // 2 for n in range(600)]
    assert 10 < len(batches) < 80
