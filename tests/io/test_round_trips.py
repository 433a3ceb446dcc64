"""Every feature with nulls anywhere, written by every writer and read back by all that read its format."""

from __future__ import annotations

import os
import string

import datasets
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from datasets import LargeList, List, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyped_beam import DataFlow
from hyped_beam.errors import FlowError, InputError
from hyped_beam.io.readers.arrow import ArrowReader
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.arrow import ArrowDatasetWriter
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter
from hyped_beam.types.arrays import from_values

NULL = "__HIVE_DEFAULT_PARTITION__"
SLOW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

leaves = st.sampled_from(
    [
        (Value("int64"), st.integers(-(2**63), 2**63 - 1)),
        (Value("uint8"), st.integers(0, 255)),
        (Value("float64"), st.floats(allow_nan=False, allow_infinity=False)),
        (Value("bool"), st.booleans()),
        (Value("string"), st.text(st.characters(codec="utf-8"), max_size=5)),
    ]
)


def lists_of(inner):
    feature, values = inner
    held = st.none() | values
    return st.one_of(
        st.just((List(feature), st.lists(held, max_size=3))),
        st.just((LargeList(feature), st.lists(held, max_size=3))),
        st.integers(1, 3).map(
            lambda length: (List(feature, length=length), st.lists(held, min_size=length, max_size=length))
        ),
    )


def struct_of(inner):
    feature, values = inner
    return st.just(
        (
            {"a": feature, "b": Value("int32")},
            st.fixed_dictionaries({"a": st.none() | values, "b": st.none()}),
        )
    )


typed = st.recursive(leaves, lambda inner: inner.flatmap(lists_of) | inner.flatmap(struct_of), max_leaves=3)
columns = typed.flatmap(
    lambda pair: st.tuples(st.just(pair[0]), st.lists(st.none() | pair[1], min_size=1, max_size=6))
)


def table_of(feature, values):
    features = datasets.Features({"row": Value("int64"), "v": feature})
    schema = features.arrow_schema
    held = from_values([None, *values], schema.field("v").type).slice(1)  # as a slice of something longer
    return pa.table([pa.array(range(len(values))), held], schema=schema), features


def lacks_list(feature, values):
    """Whether there is a null where Parquet needs a list of a fixed length."""
    if isinstance(feature, dict):
        return any(
            lacks_list(inner, [None if value is None else value[name] for value in values])
            for name, inner in feature.items()
        )
    if not isinstance(feature, List | LargeList):
        return False
    if getattr(feature, "length", -1) != -1 and None in values:
        return True
    return lacks_list(feature.feature, [one for value in values if value is not None for one in value])


def rows_in(batches):
    return [value for batch in batches for value in batch["v"].to_pylist()]


@SLOW
@given(column=columns)
def test_parquet(column, tmp_path_factory, write_table, read_all):
    folder = tmp_path_factory.mktemp("parquet")
    table, features = table_of(*column)
    wanted = table["v"].to_pylist()
    if lacks_list(column[0], wanted):
        with pytest.raises(
            InputError, match="column 'v' has a null in the place of a list of a fixed length"
        ):
            write_table(ParquetDatasetWriter(folder / "out"), table)
        return
    (path,) = write_table(ParquetDatasetWriter(folder / "out"), table).paths
    reader = ParquetReader(folder / "out")
    assert reader.features == features
    assert rows_in(read_all(reader)) == wanted
    assert pq.read_table(path)["v"].to_pylist() == wanted
    assert pads.dataset(path).to_table()["v"].to_pylist() == wanted
    assert pl.read_parquet(path)["v"].to_arrow().to_pylist() == wanted


@settings(SLOW, max_examples=15)
@given(column=columns)
def test_datasets_read_parquet_back(column, tmp_path_factory, write_table):
    folder = tmp_path_factory.mktemp("parquet")
    table, features = table_of(*column)
    if lacks_list(column[0], table["v"].to_pylist()):
        return
    write_table(ParquetDatasetWriter(folder / "out"), table)
    back = datasets.load_dataset(
        "parquet", data_dir=str(folder / "out"), split="train", cache_dir=str(folder / "cache")
    )
    assert back.features == features
    assert back.data.table["v"].to_pylist() == table["v"].to_pylist()


@SLOW
@given(column=columns)
def test_arrow_and_json(column, tmp_path_factory, write_table, read_all):
    folder = tmp_path_factory.mktemp("others")
    table, features = table_of(*column)
    wanted = table["v"].to_pylist()
    (path,) = write_table(ArrowDatasetWriter(folder / "arrow"), table).paths
    assert rows_in(read_all(ArrowReader(folder / "arrow"))) == wanted
    with pa.ipc.open_stream(path) as stream:
        assert stream.read_all()["v"].to_pylist() == wanted
    write_table(JsonDatasetWriter(folder / "json"), table)
    assert rows_in(read_all(JsonReader(folder / "json", features=features))) == wanted


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        (List(Value("int64"), length=2), [[1, 2], None]),
        (List(List(Value("int64"), length=2)), [[[1, 2], None]]),
        ({"a": List(Value("int64"), length=2)}, [{"a": [1, 2]}, None]),
    ],
)
def test_a_null_in_the_place_of_a_list_of_fixed_length_is_refused(tmp_path, feature, values):
    data = datasets.Dataset.from_dict({"v": values}, features=datasets.Features({"v": feature}))
    flow = DataFlow(features=data.features)
    v = flow.src_features.v
    job = flow.job(source=data)
    with pytest.raises(InputError, match="column 'v' has a null in the place of a list") as raised:
        job.write(collect={"v": v}, to=ParquetDatasetWriter(tmp_path / "out")).run(runner="local")
    assert ".cast(" in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_cast_to_lists_of_any_length_they_are_written(tmp_path):
    features = datasets.Features({"v": List(Value("int64"), length=2)})
    data = datasets.Dataset.from_dict({"v": [[1, 2], None]}, features=features)
    flow = DataFlow(features=data.features)
    rows = {"v": flow.src_features.v.cast(["int64"])}
    flow.job(source=data).write(collect=rows, to=ParquetDatasetWriter(tmp_path / "out")).run(runner="local")
    assert pq.read_table(tmp_path / "out" / "part-00000.parquet")["v"].to_pylist() == [[1, 2], None]


def test_lists_of_the_fixed_length_0_are_refused_before_anything_is_read(tmp_path):
    flow = DataFlow(features={"v": List(Value("int64"), length=0)})
    job = flow.job(source=tmp_path / "rows.parquet")
    with pytest.raises(FlowError, match="have the fixed length 0"):
        job.write(collect={"v": flow.src_features.v}, to=ParquetDatasetWriter(tmp_path / "out"))


# ------------------------------------------------------------------------------------------- partitions

ODD = [
    None,
    NULL,
    "",
    ".",
    "..",
    "a/b",
    "a=b",
    "%",
    "%5F",
    "50%25",
    "?x=1",
    "*",
    "[a]",
    "\n",
    "\x7f",
    " ",
    "ü",
    "😀",
    "_x",
    "~",
    "null",
    "None",
    "A",
    "a",
    "\\",
    "'\"",
    f"{NULL} ",
    f"%5F{NULL[1:]}",
]


def partitioned(values, folder, write_table):
    schema = datasets.Features({"g": Value("string"), "v": Value("int64")}).arrow_schema
    table = pa.table([pa.array(values, pa.string()), pa.array(range(len(values)))], schema=schema)
    return write_table(ParquetDatasetWriter(folder, partition_by="g"), table)


def read_back(folder, read_all):
    reader = ParquetReader(folder, features={"g": "string", "v": "int64"})
    table = pa.Table.from_batches(read_all(reader))
    return dict(zip(table["v"].to_pylist(), table["g"].to_pylist(), strict=True))


def test_odd_values_of_partitions_come_back(tmp_path, write_table, read_all):
    partitioned(ODD, tmp_path / "out", write_table)
    assert read_back(tmp_path / "out", read_all) == dict(enumerate(ODD))
    for name in (NULL, f"%5F{NULL[1:]}"):
        assert (tmp_path / "out" / f"g={name}").is_dir()
    others = pads.dataset(
        str(tmp_path / "out"), partitioning=pads.partitioning(pa.schema([("g", pa.string())]), flavor="hive")
    ).to_table()
    told = dict(zip(others["v"].to_pylist(), others["g"].to_pylist(), strict=True))
    # Arrow decodes before it compares: it has no way to tell that text from null
    same = [number for number, value in enumerate(ODD) if value not in ("", NULL)]
    assert [told[number] for number in same] == [ODD[number] for number in same]


@settings(SLOW, max_examples=25)
@given(
    values=st.lists(
        st.none() | st.sampled_from(ODD) | st.text(st.characters(codec="utf-8"), max_size=12),
        min_size=1,
        max_size=6,
    )
)
def test_any_values_of_partitions_come_back(values, tmp_path_factory, write_table, read_all):
    folder = tmp_path_factory.mktemp("partitions") / "out"
    partitioned(values, folder, write_table)
    assert read_back(folder, read_all) == dict(enumerate(values))


def test_a_value_too_long_for_the_name_of_a_folder_is_refused_with_its_column(tmp_path, write_table):
    with pytest.raises(FlowError, match="File name too long") as raised:
        partitioned(["x" * 300], tmp_path / "out", write_table)
    assert "a value of a partition column" in str(raised.value)
    assert not list(tmp_path.rglob("manifest.json"))


@pytest.mark.parametrize("name", ["_g", ".g", "a=b", "a/b", "a%b", "a?b", "a*b", "a[b", "a\nb"])
def test_names_of_columns_that_readers_pass_over_are_refused(tmp_path, name, write_table):
    table = pa.table({name: ["a"], "v": [1]})
    with pytest.raises(FlowError, match="partition_by= cannot use column"):
        write_table(ParquetDatasetWriter(tmp_path / "out", partition_by=name), table)


@pytest.mark.parametrize("folder", [b"g=\xff", b"g=%FF"])
def test_folders_that_are_not_utf_8_are_refused(tmp_path, folder, read_all):
    place = tmp_path / os.fsdecode(folder)
    place.mkdir()
    pq.write_table(pa.table({"v": [1]}), tmp_path / "x.parquet")
    (tmp_path / "x.parquet").rename(place / "x.parquet")
    with pytest.raises(InputError, match="tells no text: it is not UTF-8"):
        read_all(ParquetReader(tmp_path))


def test_a_question_mark_above_folders_that_tell_columns_hides_none(tmp_path, read_all):
    place = tmp_path / "what?" / f"g={string.ascii_lowercase}"
    place.mkdir(parents=True)
    pq.write_table(pa.table({"v": [1]}), place / "x.parquet")
    (batch,) = read_all(ParquetReader(tmp_path / "what?" / "g=abcdefghijklmnopqrstuvwxyz"))
    assert batch.to_pylist() == [{"v": 1, "g": string.ascii_lowercase}]
