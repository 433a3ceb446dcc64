"""Ranges and scan batches of files."""

from __future__ import annotations

import os
import pickle
from itertools import pairwise

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError, InputError, UnknownNameError
from hyped_beam.io.readers import base, packing
from hyped_beam.io.readers.arrow import ArrowReader
from hyped_beam.io.readers.base import (
    BATCH_BYTES,
    BATCH_ROWS,
    FINEST_BLOCKS,
    RANGES_OF_SMALL_SOURCE,
    SMALLEST_RANGE_ROWS,
    Range,
    blocks_of_batches,
    recut,
    scan_cuts,
)
from hyped_beam.io.readers.files import FileReader
from hyped_beam.io.readers.parquet import ParquetReader


def write_parquet(table, path, rows=5_000):
    pq.write_table(table, path, row_group_size=rows)


def write_stream(table, path, rows=1_000):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)


def write_file(table, path, rows=1_000):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)


def write_compressed(table, path, rows=1_000):
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows)


FORMATS = [
    pytest.param(ParquetReader, write_parquet, "x.parquet", id="parquet"),
    pytest.param(ArrowReader, write_stream, "x.arrow", id="stream"),
    pytest.param(ArrowReader, write_file, "x.arrow", id="file"),
    pytest.param(ArrowReader, write_compressed, "x.arrow", id="compressed"),
]
formats = pytest.mark.parametrize(("reader", "write", "name"), FORMATS)


# -------------------------------------------------------------------------------------------------- rows


@formats
def test_all_rows_come_in_order_with_the_columns_asked_for_in_their_order(
    reader, write, name, words, tmp_path, read_all
):
    write(words, tmp_path / name)
    batches = read_all(reader(tmp_path / name), ["half", "text"])
    assert all(batch.schema.names == ["half", "text"] for batch in batches)
    assert pa.Table.from_batches(batches).combine_chunks().equals(words.select(["half", "text"]))


@formats
def test_without_columns_only_rows_are_counted(reader, write, name, words, tmp_path, read_all):
    write(words, tmp_path / name)
    batches = read_all(reader(tmp_path / name), [])
    assert all(batch.num_columns == 0 for batch in batches)
    assert sum(batch.num_rows for batch in batches) == words.num_rows


@formats
def test_cuts_do_not_depend_on_columns(reader, write, name, words, tmp_path, read_all, monkeypatch):
    monkeypatch.setattr(base, "BATCH_BYTES", 40_000)
    for module in (base, packing):
        monkeypatch.setattr(module, "SMALLEST_RANGE_ROWS", 1)
    write(words, tmp_path / name)
    rows = [
        [batch.num_rows for batch in read_all(reader(tmp_path / name), columns)]
        for columns in (None, ["n"], [])
    ]
    assert rows[0] == rows[1] == rows[2]
    assert len(rows[0]) > 10


@formats
def test_all_features_come_unharmed(reader, write, name, cases, tmp_path, read_all):
    table = cases.table_of(cases.BINARY_CASES)
    write(table, tmp_path / name)
    source = reader(tmp_path / name)
    assert source.features == datasets.Features.from_arrow_schema(table.schema)
    assert pa.Table.from_batches(read_all(source)).combine_chunks().equals(table)


@formats
@pytest.mark.parametrize("rows", [0, 1])
def test_the_smallest_sources(reader, write, name, rows, words, tmp_path, read_all):
    write(words.slice(0, rows), tmp_path / name)
    source = reader(tmp_path / name)
    assert sum(batch.num_rows for batch in read_all(source)) == rows
    assert len(source.ranges()) == 1
    assert source.features == datasets.Features.from_arrow_schema(words.schema)


def test_a_table_saved_by_datasets_is_read(tmp_path, read_all):
    made = datasets.Dataset.from_dict({"label": [1, 0, None]}).cast_column(
        "label", datasets.ClassLabel(names=["a", "b"])
    )
    made.save_to_disk(tmp_path / "saved")
    reader = ArrowReader(tmp_path / "saved")
    assert reader.features == made.features
    assert [row for batch in read_all(reader) for row in batch["label"].to_pylist()] == [1, 0, None]


# ------------------------------------------------------------------------------------------------ ranges


@formats
def test_ranges_hold_every_row_once_and_know_where_they_begin(
    reader, write, name, words, tmp_path, monkeypatch
):
    for module in (base, packing):
        monkeypatch.setattr(module, "SMALLEST_RANGE_ROWS", 1)
    for part in range(3):
        write(words.slice(part * 5_000, 5_000), tmp_path / f"{part}{name}")
    source = reader(tmp_path)
    ranges = source.ranges()
    read = [[n for batch in source.read(part, ["n"]) for n in batch["n"].to_pylist()] for part in ranges]
    assert [n for rows in read for n in rows] == list(range(15_000))
    for part, rows in zip(ranges, read, strict=True):
        assert part.rows in (None, len(rows))
        assert part.first_row in (None, rows[0])
    assert [part.number for part in ranges] == list(range(len(ranges)))
    assert len(ranges) >= 3


def test_ranges_travel_as_json(words, tmp_path):
    write_parquet(words, tmp_path / "x.parquet")
    part = ParquetReader(tmp_path).ranges()[0]
    assert Range.from_json(part.to_json()) == part
    assert part.rows == 5000


# ------------------------------------------------------------------------------------------ scan batches


def test_scan_batches_are_cut_by_rows_and_bytes():
    assert list(scan_cuts([1000] * 131, [10_000] * 131)) == [
        (0, 65, 65_000),
        (65, 130, 65_000),
        (130, 131, 1000),
    ]
    assert list(scan_cuts([200_000], [1])) == [(0, 1, 50_000)]
    assert list(scan_cuts([100], [2 * BATCH_BYTES + 1])) == [(0, 1, 34)]
    assert list(scan_cuts([3], [100 * BATCH_BYTES])) == [(0, 1, 1)]
    assert list(scan_cuts([10, BATCH_ROWS + 1, 10, 0], [1, 1, 1, 0])) == [
        (0, 1, 10),
        (1, 2, 32_769),
        (2, 4, 10),
    ]
    assert list(scan_cuts([], [])) == []
    assert list(scan_cuts([0], [0])) == []


@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 3 * BATCH_BYTES)), max_size=60))
def test_blocks_hold_all_rows_in_order(stored: list[tuple[int, int]]):
    counts, sizes = [rows for rows, _ in stored], [size for _, size in stored]
    blocks = blocks_of_batches(counts, sizes)
    assert sum(block.rows for block in blocks) == sum(counts)
    assert all(block.stop - block.start == block.rows > 0 for block in blocks)
    assert all(one.stop == after.start for one, after in pairwise(blocks))
    assert len(blocks) <= 2 * (FINEST_BLOCKS + 1) + len(stored) + sum(sizes) // BATCH_BYTES
    most = max(sum(counts) // RANGES_OF_SMALL_SOURCE, SMALLEST_RANGE_ROWS)
    assert all(block.rows <= min(most, BATCH_ROWS) for block in blocks)


def test_recut_gives_exact_rows():
    batches = [
        pa.record_batch({"n": list(range(start, stop))})
        for start, stop in [(0, 3), (3, 3), (3, 11), (11, 12)]
    ]
    cut = list(recut(batches, 4))
    assert [batch.num_rows for batch in cut] == [4, 4, 4]
    assert [n for batch in cut for n in batch["n"].to_pylist()] == list(range(12))


def test_large_stored_batches_are_not_copied(words, tmp_path, read_all):
    write_stream(words, tmp_path / "x.arrow", rows=20_000)
    before = pa.total_allocated_bytes()
    batches = read_all(ArrowReader(tmp_path / "x.arrow"))
    assert sum(batch.num_rows for batch in batches) == 20_000
    assert pa.total_allocated_bytes() - before < 10_000


def test_batches_stay_right_after_their_range_was_given_back(words, tmp_path):
    write_stream(words, tmp_path / "x.arrow", rows=20_000)
    reader = ArrowReader(tmp_path / "x.arrow")
    kept = [batch for part in reader.ranges() for batch in reader.read(part, ["text"])]
    again = [batch for part in reader.ranges() for batch in reader.read(part, ["text"])]
    assert pa.Table.from_batches(kept).equals(pa.Table.from_batches(again))
    assert pa.Table.from_batches(kept).combine_chunks().equals(words.select(["text"]))


# ----------------------------------------------------------------------------------------- configuration


def test_a_reader_is_configuration(words, tmp_path):
    write_parquet(words, tmp_path / "x.parquet")
    features = datasets.Features({"n": datasets.Value("int32"), "text": datasets.Value("large_string")})
    reader = ParquetReader([tmp_path / "x.parquet"], features=features)
    for again in (ParquetReader.from_json(reader.to_json()), pickle.loads(pickle.dumps(reader))):  # noqa: S301
        assert again == reader
        assert again.features == features
    batch = next(iter(reader.read(reader.ranges()[0], ["text", "n"])))
    assert batch.schema.types == [pa.large_string(), pa.int32()]


def test_declared_features_may_be_labels_of_stored_numbers(tmp_path, read_all):
    write_stream(pa.table({"y": pa.array([0, 1], pa.int8())}), tmp_path / "x.arrow")
    reader = ArrowReader(tmp_path / "x.arrow", features={"y": datasets.ClassLabel(names=["a", "b"])})
    assert read_all(reader)[0]["y"].type == pa.int64()
    assert reader.features["y"].names == ["a", "b"]


def test_a_changed_file_has_another_fingerprint(words, tmp_path):
    path = tmp_path / "x.parquet"
    write_parquet(words, path)
    first = ParquetReader(path).fingerprint()
    assert ParquetReader(path).fingerprint() == first
    os.utime(path, ns=(1, 1))
    assert ParquetReader(path).fingerprint() != first
    assert (
        ParquetReader(path, features={"n": datasets.Value("int64")}).fingerprint()
        != ParquetReader(path).fingerprint()
    )


def test_a_file_that_was_written_anew_is_read_anew(words, tmp_path, read_all):
    for write, reader, name in [
        (write_parquet, ParquetReader, "x.parquet"),
        (write_stream, ArrowReader, "x.arrow"),
    ]:
        write(words, tmp_path / name)
        assert sum(batch.num_rows for batch in read_all(reader(tmp_path / name))) == 20_000
        (tmp_path / name).unlink()
        write(words.slice(0, 7), tmp_path / name)
        assert sum(batch.num_rows for batch in read_all(reader(tmp_path / name))) == 7


def test_wrong_options_are_refused_where_they_are_written():
    with pytest.raises(UnknownNameError, match=r"test_readers.py:\d+: ParquetReader has no option 'feature'"):
        ParquetReader("x.parquet", feature=1)
    with pytest.raises(DefinitionError, match=r"test_readers.py:\d+: .*'features': not a mapping"):
        ParquetReader("x.parquet", features=[1])
    with pytest.raises(DefinitionError, match="option 'paths'"):
        ParquetReader([])


# --------------------------------------------------------------------------------------------- bad files


@formats
def test_files_that_disagree_are_named_with_the_column(reader, write, name, words, tmp_path, read_all):
    write(words, tmp_path / f"a{name}")
    write(words.set_column(1, "n", words["n"].cast(pa.string())), tmp_path / f"b{name}")
    with pytest.raises(InputError, match=rf"column 'n': int64 in .*a{name}, string in .*b{name}"):
        reader(tmp_path).ranges()
    write(words.drop_columns(["half"]), tmp_path / f"b{name}")
    with pytest.raises(InputError, match=rf"a{name} has a column 'half', .*b{name} has none"):
        reader(tmp_path).ranges()
    declared = reader(tmp_path, features={"text": datasets.Value("string"), "n": datasets.Value("int64")})
    assert list(declared.features) == ["text", "n"]
    assert pa.Table.from_batches(read_all(declared, ["n"])).num_rows == 40_000


@formats
def test_columns_may_stand_in_another_order(reader, write, name, words, tmp_path, read_all):
    write(words, tmp_path / f"a{name}")
    write(words.select(["half", "n", "text"]), tmp_path / f"b{name}")
    assert pa.Table.from_batches(read_all(reader(tmp_path))).num_rows == 40_000


@formats
def test_declared_features_that_a_file_does_not_hold(reader, write, name, words, tmp_path):
    write(words, tmp_path / name)
    with pytest.raises(
        InputError, match="no column 'txt', which features= declares\n  hint: did you mean 'text'"
    ):
        reader(tmp_path / name, features={"txt": datasets.Value("string")}).ranges()
    with pytest.raises(InputError, match=r"column 'text' of .* is string, not int64"):
        reader(tmp_path / name, features={"text": datasets.Value("int64")}).ranges()


@formats
@pytest.mark.parametrize("kept", [0, 100, -100])
def test_a_file_cut_short(reader, write, name, kept, words, tmp_path, read_all):
    write(words, tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:kept])
    with pytest.raises(InputError, match=f"{name} (is empty|cannot be read as)"):
        read_all(reader(tmp_path / name))


@formats
def test_a_column_that_is_not_there(reader, write, name, words, tmp_path, read_all):
    write(words, tmp_path / name)
    with pytest.raises(InputError, match="has no column 'txt'\n  hint: did you mean 'text'"):
        read_all(reader(tmp_path / name), ["txt"])


def test_two_columns_of_one_name(tmp_path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    write_stream(table, tmp_path / "x.arrow")
    with pytest.raises(InputError, match="several columns of the name 'a'"):
        ArrowReader(tmp_path / "x.arrow").ranges()


@pytest.mark.parametrize("write", [write_stream, write_file])
def test_stored_dictionaries_become_their_values(write, tmp_path, read_all):
    values = ["a", "b", None] * 1_000
    write(pa.table({"x": pa.array(values).dictionary_encode()}), tmp_path / "x.arrow", rows=100)
    batches = read_all(ArrowReader(tmp_path / "x.arrow"))
    assert [value for batch in batches for value in batch["x"].to_pylist()] == values


@pytest.mark.parametrize(
    ("uri", "told"),
    [("/a.b/x.kv", "kv"), ("s3://b/in/x.kv.gz?region=eu", "kv.gz"), ("/data/part", "")],
)
def test_what_a_name_ends_in_says_how_a_format_of_ones_own_is_read(uri, told):
    class OwnReader(ParquetReader):
        told_by_name = FileReader.told_by_name

    assert OwnReader("x.kv").told_by_name(uri) == told
    assert ParquetReader("x.kv").told_by_name(uri) == ""
