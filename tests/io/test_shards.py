"""How the rows of a range are cut into files: by size, and by partition."""

from __future__ import annotations

import datetime
from pathlib import Path
from random import Random

import datasets
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from hyped_beam.errors import DefinitionError, UnknownNameError
from hyped_beam.io import shards
from hyped_beam.io.commit import Destination, RangeCommit, finish, prepare, read_record
from hyped_beam.io.readers.arrow import ArrowReader
from hyped_beam.io.readers.csv import CsvReader
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.arrow import ArrowDatasetWriter
from hyped_beam.io.writers.csv import CsvDatasetWriter
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter

WRITERS = [JsonDatasetWriter, ParquetDatasetWriter, ArrowDatasetWriter, CsvDatasetWriter]
KINDS = {JsonDatasetWriter: "json", ParquetDatasetWriter: "parquet", ArrowDatasetWriter: "arrow"}


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def groups(rows=1_000):
    names = ["ham", "spam", None, "a/b", "50%", "é=ü", "x y", ""]
    return pa.table(
        {
            "group": [names[row * 5 % len(names)] for row in range(rows)],
            "n": range(rows),
            "text": [f"row {row}" for row in range(rows)],
        }
    )


# ------------------------------------------------------------------------------------------------ by size


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_holds_at_most_so_many_rows(writer, tmp_path, write_table, words):
    table = pa.Table.from_batches([*words.to_batches(max_chunksize=7_000)])
    manifest = write_table(writer(tmp_path / "out", max_shard_rows=3_000), table)
    suffix = writer(tmp_path).suffix
    assert [(shard.file, shard.rows) for shard in manifest.shards] == [
        (f"part-{number:05d}-{index:05d}{suffix}", rows)
        for number, counts in enumerate([[3_000, 3_000, 1_000], [3_000, 3_000, 1_000], [3_000, 3_000]])
        for index, rows in enumerate(counts)
    ]
    assert [Path(path).stat().st_size for path in manifest.paths] == [s.size for s in manifest.shards]


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_a_file_is_ended_after_so_many_bytes(writer, compression, tmp_path, write_table):
    random = Random(0)  # noqa: S311 - a seed, no secret
    table = pa.table({"text": [random.randbytes(40).hex() for _ in range(20_000)]})
    options = {} if compression is None else {"compression": compression}
    manifest = write_table(writer(tmp_path / "out", shard_bytes=300_000, **options), table)
    assert len(manifest.shards) > 2
    for shard in manifest.shards[:-1]:
        assert shard.size < 300_000 * 1.5  # compressions gather some 100 kB before they write
        assert compression or writer is ParquetDatasetWriter or shard.size >= 300_000
    again = write_table(writer(tmp_path / "again", shard_bytes=300_000, **options), table)
    assert again.shards == manifest.shards


def test_files_of_a_range_come_in_the_order_of_its_rows(tmp_path, write_table, words):
    write_table(ParquetDatasetWriter(tmp_path / "out", max_shard_rows=1_111), words)
    back = datasets.load_dataset(str(tmp_path / "out"), split="train")
    assert back.data.table.combine_chunks().equals(words)


def test_the_record_of_a_range_tells_all_its_files_and_needs_them(tmp_path, words):
    made = [Destination("out", JsonDatasetWriter(tmp_path / "out", max_shard_rows=8_000), words.schema)]
    made = prepare(made, "f").destinations
    commit = RangeCommit(made, 0)
    commit.write("out", words.to_batches()[0])
    record = commit.commit()
    assert [shard.rows for shard in record.outputs["out"]] == [8_000, 8_000, 4_000]
    assert read_record(made, 0) == record
    (tmp_path / "out" / "part-00000-00002.jsonl").unlink()
    assert read_record(made, 0) is None


def test_what_a_later_attempt_makes_more_of_is_removed(tmp_path, words):
    made = [Destination("out", JsonDatasetWriter(tmp_path / "out", partition_by="n"), words.schema)]
    made = prepare(made, "f").destinations
    for rows in (3, 10):  # a node that gives something else each time it is asked
        commit = RangeCommit(made, 0)
        commit.write("out", words.to_batches()[0].slice(0, rows))
        record = commit.commit()
        assert len(list((tmp_path / "out").glob("n=*"))) == 3
    manifest = finish(made, [record])[0]
    assert [path.name for path in sorted((tmp_path / "out").glob("n=*"))] == ["n=0", "n=1", "n=2"]
    assert [shard.file for shard in manifest.shards] == [f"n={n}/part-00000-00000.jsonl" for n in range(3)]


def test_what_was_never_recorded_is_removed_before_a_job_is_resumed(tmp_path, words):
    made = [
        Destination(name, JsonDatasetWriter(tmp_path / name, partition_by="n"), words.schema) for name in "ab"
    ]
    made = prepare(made, "f").destinations
    for number, rows in enumerate((5, 2)):
        commit = RangeCommit(made, number)
        for name in "ab":
            commit.write(name, words.to_batches()[0].slice(0, rows))
        commit.commit()
    (tmp_path / "a" / "__hyped_beam__" / "ranges" / "000001" / "00000.json").unlink()
    made = prepare(made, "f", "resume").destinations
    for name in "ab":
        left = sorted(str(path.relative_to(tmp_path / name)) for path in (tmp_path / name).rglob("n=*/*"))
        assert left == ["n=0/part-00001-00000.jsonl", "n=1/part-00001-00000.jsonl"]
        assert len(list((tmp_path / name).glob("n=*"))) == 2
    made = prepare(made, "f", "replace").destinations
    assert not list(tmp_path.rglob("n=*"))


# ------------------------------------------------------------------------------------------- by partition


@pytest.mark.parametrize("writer", WRITERS)
def test_partitions_are_folders_and_their_columns_are_not_in_the_files(writer, tmp_path, write_table):
    table = groups()
    manifest = write_table(writer(tmp_path / "out", partition_by=["group"]), table)
    assert {str(Path(shard.file).parent) for shard in manifest.shards} == {
        "group=ham",
        "group=spam",
        "group=__HIVE_DEFAULT_PARTITION__",
        "group=a%2Fb",
        "group=50%25",
        "group=%C3%A9%3D%C3%BC",
        "group=x%20y",
        "group=",
    }
    by_value = {shard.partition["group"]: shard.rows for shard in manifest.shards}
    expected = table.group_by("group").aggregate([("n", "count")]).to_pylist()
    assert by_value == {row["group"]: row["n_count"] for row in expected}
    assert manifest.partition_by == ("group",)
    assert list(manifest.columns) == list(manifest.features) == ["group", "n", "text"]
    if writer in KINDS:
        # `datasets` knows no partitions: it reads the other columns.
        back = datasets.load_dataset(KINDS[writer], data_dir=str(tmp_path / "out"), split="train")
        assert back.column_names == ["n", "text"]
        assert sorted(back["n"]) == list(range(1_000))


@pytest.mark.parametrize("compression", ["snappy", "zstd"])
def test_polars_duckdb_and_arrow_read_partitions_back(compression, tmp_path, write_table):
    table = groups()
    write_table(ParquetDatasetWriter(tmp_path / "out", partition_by="group", compression=compression), table)
    pattern = f"{tmp_path}/out/**/*.parquet"
    expected = table.to_pylist()
    for back in (
        pl.read_parquet(pattern, hive_partitioning=True).to_dicts(),
        duckdb.read_parquet(pattern, hive_partitioning=True).to_arrow_table().to_pylist(),
        pads.dataset(tmp_path / "out", partitioning="hive").to_table().to_pylist(),
    ):
        assert sorted(back, key=lambda row: row["n"]) == expected


def test_csv_and_json_partitions_are_read_back_by_duckdb(tmp_path, write_table):
    table = groups()
    write_table(CsvDatasetWriter(tmp_path / "c", partition_by="group"), table)
    write_table(JsonDatasetWriter(tmp_path / "j", partition_by="group"), table)
    for back in (
        duckdb.read_csv(f"{tmp_path}/c/*/*.csv", hive_partitioning=True),
        duckdb.read_json(f"{tmp_path}/j/*/*.jsonl", hive_partitioning=True),
    ):
        told = back.order("n").select("group", "n", "text").to_arrow_table()
        assert told.to_pylist() == table.to_pylist()


def test_values_of_all_types_that_can_name_folders(tmp_path, write_table):
    moment = datetime.datetime(2024, 2, 29, 23, 59, 58, tzinfo=datetime.timezone.utc)
    columns = {
        "day": pa.array([moment.date(), None]),
        "at": pa.array([moment.replace(tzinfo=None), None], pa.timestamp("s")),
        "zoned": pa.array([moment, None], pa.timestamp("ms", "UTC")),
        "flag": pa.array([True, None]),
        "label": pa.array([1, None], pa.int8()),
        "word": pa.array(["a", None]).dictionary_encode(),
    }
    table = pa.table({**columns, "n": [0, 1]})
    manifest = write_table(ParquetDatasetWriter(tmp_path / "out", partition_by=list(columns)), table)
    nulls = "/".join(f"{name}=__HIVE_DEFAULT_PARTITION__" for name in columns)
    one = "day=2024-02-29/at=2024-02-29%2023%3A59%3A58/zoned=2024-02-29%2023%3A59%3A58.000Z"
    assert [shard.file for shard in manifest.shards] == [
        f"{one}/flag=true/label=1/word=a/part-00000-00000.parquet",
        f"{nulls}/part-00000-00000.parquet",
    ]
    schema = pa.schema([field for field in table.schema if field.name not in ("n", "word")])
    partitioning = pads.HivePartitioning(schema.append(pa.field("word", pa.string())))
    back = pads.dataset(tmp_path / "out", partitioning=partitioning).to_table()
    assert sorted(back.to_pylist(), key=lambda row: row["n"]) == table.select(["n", *columns]).to_pylist()


@pytest.mark.parametrize("writer", [ParquetDatasetWriter, ArrowDatasetWriter])
def test_rows_of_all_features_are_taken_apart(writer, cases, tmp_path, write_table):
    table = cases.table_of(cases.BINARY_CASES).append_column("key", pa.array(["a", "b", "a"]))
    made = write_table(writer(tmp_path / "out", partition_by="key"), table)
    data = [datasets.load_dataset(KINDS[writer], data_files=path, split="train") for path in made.paths]
    for back, rows in zip(data, ([0, 2], [1]), strict=True):
        expected = table.drop_columns(["key"]).to_pylist()
        assert back.data.table.to_pylist() == [expected[row] for row in rows]


def test_several_keys_nest(tmp_path, write_table):
    table = pa.table({"n": range(12), "a": [0, 1] * 6, "b": ["x", "y", "z"] * 4})
    manifest = write_table(JsonDatasetWriter(tmp_path / "out", partition_by=["b", "a"]), table)
    assert [shard.file for shard in manifest.shards] == [
        f"b={b}/a={a}/part-00000-00000.jsonl" for b in "xyz" for a in (0, 1)
    ]
    assert (tmp_path / "out" / "b=y" / "a=0" / "part-00000-00000.jsonl").read_text() == '{"n":4}\n{"n":10}\n'


def test_features_of_files_lack_partition_columns(tmp_path, write_table):
    features = datasets.Features(
        {"group": datasets.Value("string"), "label": datasets.ClassLabel(names=["a", "b"])}
    )
    table = pa.table({"group": ["x"], "label": [1]}, schema=features.arrow_schema)
    (path,) = write_table(ParquetDatasetWriter(tmp_path / "out", partition_by="group"), table).paths
    assert datasets.Dataset.from_parquet(path).features == {"label": features["label"]}


@pytest.mark.parametrize("writer", WRITERS)
def test_many_partitions_share_little_memory_and_keep_their_order(writer, tmp_path, write_table, monkeypatch):
    monkeypatch.setattr(shards, "HELD_BYTES", 20_000)
    monkeypatch.setattr(shards, "OPEN_SHARDS", 3)
    seen = []
    begin = shards.PendingShard.__init__

    def counting(self, *args, **options):
        begin(self, *args, **options)
        seen.append(self)

    def still_open():
        return sum(not shard.file._file.closed for shard in seen)

    most = []
    monkeypatch.setattr(shards.PendingShard, "__init__", counting)
    end = shards.PendingShard.end
    monkeypatch.setattr(shards.PendingShard, "end", lambda self: (most.append(still_open()), end(self)))
    rows = 5_000
    table = pa.table({"n": range(rows), "key": [row * 7919 % 10 for row in range(rows)]})
    batches = pa.table(
        {name: pa.chunked_array([table[name].combine_chunks()]) for name in table.column_names}
    )
    made = [Destination("rows", writer(tmp_path / "out", partition_by="key"), batches.schema)]
    made = prepare(made, "f").destinations
    commit = RangeCommit(made, 0)
    for batch in batches.to_batches(max_chunksize=500):
        commit.write("rows", batch)
    manifest = finish(made, [commit.commit()])[0]
    assert max(most) <= 4
    assert len(manifest.shards) > 10
    assert sum(shard.rows for shard in manifest.shards) == rows
    if writer is ParquetDatasetWriter:
        for key in range(10):
            paths = sorted((tmp_path / "out" / f"key={key}").iterdir())
            numbers = pa.concat_tables([pq.ParquetFile(path).read() for path in paths])["n"].to_pylist()
            assert numbers == [row for row in range(rows) if row * 7919 % 10 == key]


@pytest.mark.parametrize("writer", WRITERS)
def test_the_same_partitions_have_the_same_bytes(writer, tmp_path, write_table):
    options = {"partition_by": "group", "max_shard_rows": 50}
    for name in ("x", "y"):
        write_table(writer(tmp_path / name, **options), groups())
    assert contents(tmp_path / "x") == contents(tmp_path / "y")


def test_columns_that_cannot_name_folders_are_refused(tmp_path, write_table):
    table = pa.table({"x": [0.5], "text": ["a"], "list": [[1]], "a=b": ["a"]})

    def write(*keys):
        write_table(ParquetDatasetWriter(tmp_path / "out", partition_by=keys), table)

    with pytest.raises(UnknownNameError, match=r"no column 'txt'(.|\n)*did you mean 'text'"):
        write("txt")
    with pytest.raises(DefinitionError, match=r"'x', which is double\n  hint: strings, integers"):
        write("x")
    with pytest.raises(DefinitionError, match="'list', which is list"):
        write("list")
    with pytest.raises(DefinitionError, match="'a=b': folders are named"):
        write("a=b")
    with pytest.raises(DefinitionError, match="names all columns"):
        write_table(JsonDatasetWriter(tmp_path / "out", partition_by="text"), table.select(["text"]))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        (JsonDatasetWriter, JsonReader),
        (ParquetDatasetWriter, ParquetReader),
        (ArrowDatasetWriter, ArrowReader),
        (CsvDatasetWriter, CsvReader),
    ],
)
def test_our_readers_read_partitions_back(writer, reader, tmp_path, write_table, read_all):
    table = groups()
    write_table(writer(tmp_path / "out", partition_by="group", max_shard_rows=40), table)
    back = pa.Table.from_batches(read_all(reader(tmp_path / "out")))
    rows = back.select(table.column_names).to_pylist()
    assert sorted(rows, key=lambda row: row["n"]) == table.to_pylist()
