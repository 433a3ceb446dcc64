"""What a writer wrote, other tools read back."""

from __future__ import annotations

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam.errors import DefinitionError, DefinitionTypeError, UnknownNameError
from hyped_beam.io.readers.arrow import ArrowReader
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.arrow import ArrowDatasetWriter
from hyped_beam.io.writers.base import Writer
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter

WRITERS = [JsonDatasetWriter, ParquetDatasetWriter, ArrowDatasetWriter]


def load(kind, folder, features=None):
    return datasets.load_dataset(kind, data_dir=str(folder), split="train", features=features)


@pytest.mark.parametrize(
    ("kind", "writer"), [("parquet", ParquetDatasetWriter), ("arrow", ArrowDatasetWriter)]
)
def test_all_features_come_back(kind, writer, cases, tmp_path, write_table):
    table = cases.table_of(cases.BINARY_CASES)
    manifest = write_table(writer(tmp_path / "out"), table)
    back = load(kind, tmp_path / "out")
    assert back.features == datasets.Features.from_arrow_schema(table.schema)
    assert back.data.table.combine_chunks().equals(table)
    assert manifest.rows == 3


def test_json_comes_back_given_its_features(cases, tmp_path, write_table):
    table = cases.table_of(cases.JSON_CASES)
    write_table(JsonDatasetWriter(tmp_path / "out"), table)
    features = datasets.Features.from_arrow_schema(table.schema)
    back = load("json", tmp_path / "out", features)
    assert back.features == features
    assert back.data.table.combine_chunks().equals(table)


def test_json_of_plain_types_needs_no_features(tmp_path, write_table, words):
    write_table(JsonDatasetWriter(tmp_path / "out"), words)
    back = load("json", tmp_path / "out")
    assert back.data.table.combine_chunks().equals(words)


@pytest.mark.parametrize("compression", ["gzip", "zstd", "bz2"])
def test_compressed_json_is_read_by_its_ending(compression, tmp_path, write_table, words):
    manifest = write_table(JsonDatasetWriter(tmp_path / "out", compression=compression), words)
    plain = write_table(JsonDatasetWriter(tmp_path / "plain"), words)
    assert manifest.size < plain.size / 2
    back = datasets.load_dataset("json", data_files=manifest.paths, split="train")
    assert back.data.table.combine_chunks().equals(words)


@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
def test_parquet_compression(compression, tmp_path, write_table, words):
    (path,) = write_table(ParquetDatasetWriter(tmp_path / "out", compression=compression), words).paths
    found = pq.read_metadata(path).row_group(0).column(0).compression
    assert found == {"none": "UNCOMPRESSED"}.get(compression, compression.upper())


def test_an_arrow_shard_is_a_dataset_of_its_own(tmp_path, write_table, words):
    (path,) = write_table(ArrowDatasetWriter(tmp_path / "out"), words).paths
    assert datasets.Dataset.from_file(path).data.table.combine_chunks().equals(words)


def test_small_batches_share_a_row_group(tmp_path, write_table, words):
    writer = ParquetDatasetWriter(tmp_path / "out")
    from hyped_beam.io.commit import Destination, RangeCommit, finish, prepare

    destination = Destination("rows", writer, words.schema)
    destinations = prepare([destination], "test").destinations
    commit = RangeCommit(destinations, 0)
    for batch in words.to_batches(max_chunksize=100):
        commit.write("rows", batch)
    (manifest,) = finish(destinations, [commit.commit()])
    assert pq.read_metadata(manifest.paths[0]).num_row_groups == 1
    assert pq.read_table(manifest.paths[0]).equals(words)


@pytest.mark.parametrize("writer", WRITERS)
def test_sliced_batches_write_their_own_rows_only(writer, tmp_path, write_table, words):
    part = pa.Table.from_batches([words.to_batches()[0].slice(100, 50)])
    sliced = write_table(writer(tmp_path / "a"), part)
    copied = write_table(writer(tmp_path / "b"), pa.table(part.to_pydict(), schema=part.schema))
    assert sliced.rows == 50
    assert abs(sliced.size - copied.size) < 100


@pytest.mark.parametrize(
    ("reader", "writer"), [(ParquetReader, ParquetDatasetWriter), (ArrowReader, ArrowDatasetWriter)]
)
def test_an_output_without_rows_still_tells_its_features(reader, writer, cases, tmp_path, write_table):
    table = cases.table_of(cases.BINARY_CASES).slice(0, 0)
    manifest = write_table(writer(tmp_path / "out"), table)
    assert (manifest.rows, len(manifest.shards)) == (0, 1)
    assert reader(tmp_path / "out").features == datasets.Features.from_arrow_schema(table.schema)


def test_json_without_rows_has_no_file(tmp_path, write_table, words):
    assert write_table(JsonDatasetWriter(tmp_path / "out"), words.slice(0, 0)).shards == ()


@pytest.mark.parametrize("writer", WRITERS)
def test_a_folder_is_a_dataset_without_its_bookkeeping(writer, tmp_path, write_table, words):
    write_table(writer(tmp_path / "out"), words)
    assert datasets.load_dataset(str(tmp_path / "out"), split="train").num_rows == words.num_rows


def test_options_are_refused_where_they_are_written(tmp_path):
    with pytest.raises(
        DefinitionError, match=r"test_writers.py:\d+: JsonDatasetWriter option 'compression'.*'rar'"
    ):
        JsonDatasetWriter(tmp_path, compression="rar")
    with pytest.raises(UnknownNameError, match="did you mean 'compression'"):
        JsonDatasetWriter(tmp_path, compresion="gzip")
    with pytest.raises(DefinitionError, match="option 'path': not a path, got 3"):
        ArrowDatasetWriter(3)
    with pytest.raises(DefinitionError, match=r"test_writers.py:\d+: there is no file system for 'nope'"):
        ArrowDatasetWriter("nope://host/out")


def test_a_writer_is_configuration(tmp_path):
    writer = JsonDatasetWriter(str(tmp_path), compression="gzip")
    assert writer.to_json() == {"path": str(tmp_path), "compression": "gzip"}
    assert JsonDatasetWriter.from_json(writer.to_json()) == writer
    assert isinstance(writer, Writer)


def test_types_that_a_format_lacks_are_refused_before_anything_is_written(tmp_path, write_table):
    for writer, kind in [
        (ParquetDatasetWriter, pa.struct([])),
        (JsonDatasetWriter, pa.map_(pa.string(), pa.string())),
    ]:
        with pytest.raises(DefinitionTypeError, match="column 'x'"):
            write_table(writer(tmp_path / "out"), pa.table({"x": pa.array([], kind)}))
        assert not (tmp_path / "out").exists()
