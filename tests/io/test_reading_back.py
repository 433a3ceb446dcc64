"""What writers wrote, `datasets`, polars, duckdb and Arrow read back: the same features and the same rows."""

from __future__ import annotations

import datetime
import math
from pathlib import Path

import datasets
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from datasets import ClassLabel, LargeList, List, Value

from hyped_beam.io.writers.arrow import ArrowDatasetWriter
from hyped_beam.io.writers.csv import CsvDatasetWriter
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter

MOMENT = datetime.datetime(2024, 2, 29, 23, 59, 58, 123_000)  # noqa: DTZ001 - a time without a zone
UTC = MOMENT.replace(tzinfo=datetime.timezone.utc)

FEATURES = {
    "strings": (Value("string"), ["a", None, 'q"u\\o,\nte\té😀', ""]),
    "integers": (Value("int64"), [2**53 + 1, None, -1, 0]),
    "small integers": (Value("int8"), [127, None, -128, 0]),
    "floats": (Value("float64"), [0.1, None, 1e300, -2.0]),
    "floats that are no numbers": (Value("float64"), [math.nan, math.inf, -math.inf, None]),
    "single floats": (Value("float32"), [0.5, None, 3.0, -1.5]),
    "booleans": (Value("bool"), [True, None, False, True]),
    "timestamps": (Value("timestamp[us]"), [MOMENT, None, MOMENT, MOMENT]),
    "timestamps with a zone": (Value("timestamp[ms, tz=UTC]"), [UTC, None, UTC, UTC]),
    "timestamps of a city": (Value("timestamp[us, tz=Europe/Berlin]"), [UTC, None, UTC, UTC]),
    "dates": (Value("date32"), [MOMENT.date(), None, datetime.date(1969, 12, 31), MOMENT.date()]),
    "binary": (Value("binary"), [b"\x00\xff", None, b"", b"text"]),
    "lists": (List(Value("int32")), [[1, None, 3], None, [], [4]]),
    "large lists": (LargeList(Value("string")), [["a", None], None, [], ["b"]]),
    "lists of structs": (List({"a": Value("string")}), [[{"a": "x"}, {"a": None}], None, [], [{"a": ""}]]),
    "structs": (
        {"x": Value("int64"), "y": {"z": Value("string")}},
        [
            {"x": 1, "y": {"z": "q"}},
            {"x": None, "y": {"z": None}},
            {"x": 2, "y": {"z": ""}},
            {"x": 3, "y": {"z": "r"}},
        ],
    ),
    "labels": (ClassLabel(names=["ham", "spam"]), [1, None, 0, 1]),
    "nulls": (Value("string"), [None, None, None, None]),
}
PLAIN = [
    name for name, (_, values) in FEATURES.items() if not any(isinstance(one, list | dict) for one in values)
]

PARQUET: list[tuple[str, dict[str, object]]] = [
    (codec, {"compression": codec}) for codec in ("snappy", "zstd", "gzip", "brotli", "lz4", "none")
]
PARQUET.append(("zstd 9", {"compression": "zstd", "compression_level": 9}))
ARROW = [("plain", {}), ("lz4", {"compression": "lz4"}), ("zstd", {"compression": "zstd"})]
TEXT = [("plain", {}), *((codec, {"compression": codec}) for codec in ("gzip", "zstd", "bz2"))]

NOT_BZ2 = TEXT[:-1]  # which neither polars nor duckdb reads


def table_of(names):
    """Four rows of the features, and a number of each row, so that no row is nothing but null."""
    features = datasets.Features({"row": Value("int64")} | {name: FEATURES[name][0] for name in names})
    schema = features.arrow_schema
    columns = [pa.array(range(4)), *(pa.array(FEATURES[name][1], schema.field(name).type) for name in names)]
    return pa.table(columns, schema=schema)


def rows_of(table):
    """Rows that compare: NaN is a text."""
    return [{name: _comparable(value) for name, value in row.items()} for row in table.to_pylist()]


def _comparable(value):
    return "nan" if isinstance(value, float) and math.isnan(value) else value


def cases(options, names):
    return [pytest.param(chosen, name, id=f"{codec}-{name}") for codec, chosen in options for name in names]


# ------------------------------------------------------------------------------------ Parquet and Arrow


@pytest.mark.parametrize("options", [pytest.param(chosen, id=codec) for codec, chosen in PARQUET])
def test_parquet(options, tmp_path, write_table):
    table = table_of(FEATURES)
    (path,) = write_table(ParquetDatasetWriter(tmp_path / "out", **options), table).paths
    back = datasets.load_dataset("parquet", data_dir=str(tmp_path / "out"), split="train")
    assert back.features == datasets.Features.from_arrow_schema(table.schema)
    assert rows_of(back.data.table) == rows_of(table)
    assert rows_of(pads.dataset(path).to_table()) == rows_of(table)
    assert rows_of(pl.read_parquet(path).to_arrow()) == rows_of(table)
    duck = duckdb.read_parquet(path).to_arrow_table()
    assert rows_of(duck.select(table.column_names)) == rows_of(table)


@pytest.mark.parametrize("options", [pytest.param(chosen, id=codec) for codec, chosen in ARROW])
def test_arrow(options, tmp_path, write_table):
    table = table_of(FEATURES)
    (path,) = write_table(ArrowDatasetWriter(tmp_path / "out", **options), table).paths
    back = datasets.load_dataset("arrow", data_dir=str(tmp_path / "out"), split="train")
    assert back.features == datasets.Features.from_arrow_schema(table.schema)
    assert rows_of(back.data.table) == rows_of(table)
    assert rows_of(pl.read_ipc_stream(path).to_arrow()) == rows_of(table)
    with pa.ipc.open_stream(path) as stream:
        assert rows_of(duckdb.from_arrow(stream).to_arrow_table()) == rows_of(table)


# --------------------------------------------------------------------------------------------- JSON lines


def as_json_has_it(table):
    """What JSON keeps of it: no NaN or infinities."""
    rows = rows_of(table)
    for row in rows:
        row.update({name: None for name, value in row.items() if value in ("nan", math.inf, -math.inf)})
    return rows


@pytest.mark.parametrize("options", [pytest.param(chosen, id=codec) for codec, chosen in TEXT])
def test_json_lines(options, tmp_path, write_table):
    table = table_of([name for name in FEATURES if name != "binary"])
    (path,) = write_table(JsonDatasetWriter(tmp_path / "out", **options), table).paths
    features = datasets.Features.from_arrow_schema(table.schema)
    back = datasets.load_dataset("json", data_files=path, split="train", features=features)
    assert back.features == features
    assert rows_of(back.data.table) == as_json_has_it(table)


@pytest.mark.parametrize(("options", "name"), cases(NOT_BZ2, [name for name in FEATURES if name != "nulls"]))
def test_json_lines_of_one_feature(options, name, tmp_path, write_table):
    table = table_of([name])
    (path,) = write_table(JsonDatasetWriter(tmp_path / "out", **options), table).paths
    # Times and binary values are text in JSON, unless a reader is told or guesses.
    texts = name in ("timestamps", "timestamps with a zone", "timestamps of a city", "dates", "binary")
    schema = pl.from_arrow(table.slice(0, 0)).schema
    if texts or name == "small integers":  # which polars does not take from JSON
        schema = {**schema, name: pl.String if texts else pl.Int64}
    back = pl.read_ndjson(path, schema=schema).to_arrow()
    duck = duckdb.read_json(path, format="newline_delimited").order("row").to_arrow_table()
    assert duck.column_names == back.column_names == ["row", name]
    assert back["row"].to_pylist() == duck["row"].to_pylist() == [0, 1, 2, 3]
    if not texts:
        assert rows_of(back) == as_json_has_it(table)
        assert rows_of(duck) == as_json_has_it(table)
    elif name == "dates":
        assert rows_of(duck) == rows_of(table)


# ---------------------------------------------------------------------------------------------------- CSV


@pytest.mark.parametrize(("options", "name"), cases(TEXT, [name for name in PLAIN if name != "nulls"]))
def test_csv(options, name, tmp_path, write_table):
    table = table_of([name])
    (path,) = write_table(CsvDatasetWriter(tmp_path / "out", **options), table).paths
    codec = options.get("compression")
    inferred = name not in ("binary", "timestamps with a zone", "timestamps of a city")
    if codec != "bz2":
        duck = duckdb.read_csv(path, allow_quoted_nulls=False).order("row").to_arrow_table()
        assert duck["row"].to_pylist() == [0, 1, 2, 3]
        if inferred:
            assert rows_of(duck) == rows_of(table)
    if codec != "bz2":
        overrides = {name: pl.from_arrow(table).schema[name]} if name not in ("binary", "booleans") else {}
        zoned = name.startswith("timestamps ")
        back = pl.read_csv(path, schema_overrides={} if zoned else overrides).to_arrow()
        assert back["row"].to_pylist() == [0, 1, 2, 3]
        if inferred:
            assert rows_of(back) == rows_of(table)
    told = datasets.load_dataset("csv", data_files=path, split="train")
    assert told["row"] == [0, 1, 2, 3]
    assert told.column_names == table.column_names


def test_datasets_reads_csv_in_the_features_it_is_told(tmp_path, write_table):
    """What pandas can hold: no null among integers and booleans, no times, no empty text."""
    names = ["strings", "floats", "single floats"]
    table = table_of(names)
    (path,) = write_table(CsvDatasetWriter(tmp_path / "out"), table).paths
    features = datasets.Features.from_arrow_schema(table.schema)
    back = datasets.load_dataset("csv", data_files=path, split="train", features=features)
    assert back.features == features
    expected = rows_of(table)
    expected[3]["strings"] = None
    assert rows_of(back.data.table) == expected


@pytest.mark.parametrize("name", ["integers", "labels", "booleans"])
def test_datasets_reads_csv_without_nulls(name, tmp_path, write_table):
    table = table_of([name]).filter(pa.array([True, False, True, True]))
    (path,) = write_table(CsvDatasetWriter(tmp_path / "out"), table).paths
    features = datasets.Features.from_arrow_schema(table.schema)
    back = datasets.load_dataset("csv", data_files=path, split="train", features=features)
    assert back.features == features
    assert rows_of(back.data.table) == rows_of(table)


# --------------------------------------------------------------------------------------------- in general


@pytest.mark.parametrize("writer", [ParquetDatasetWriter, ArrowDatasetWriter, CsvDatasetWriter])
def test_an_output_without_rows_is_read(writer, tmp_path, write_table):
    table = table_of(PLAIN).slice(0, 0)
    (path,) = write_table(writer(tmp_path / "out"), table).paths
    read = {"t": pl.read_parquet, "w": pl.read_ipc_stream, "v": pl.read_csv}[path[-1]]
    back = read(path)
    assert back.columns == table.column_names
    assert back.height == 0


@pytest.mark.parametrize(
    ("writer", "codecs"),
    [
        (JsonDatasetWriter, TEXT),
        (CsvDatasetWriter, TEXT),
        (ParquetDatasetWriter, PARQUET),
        (ArrowDatasetWriter, ARROW),
    ],
)
def test_the_same_rows_are_the_same_bytes_in_every_compression(writer, codecs, tmp_path, write_table):
    table = table_of(PLAIN)
    for number, (_, options) in enumerate(codecs):
        one = write_table(writer(tmp_path / f"{number}-a", **options), table)
        other = write_table(writer(tmp_path / f"{number}-b", **options), table)
        assert one.shards == other.shards


@pytest.mark.parametrize("compression", ["gzip", "zstd", "bz2"])
def test_compressed_text_says_nothing_of_when_it_was_made(compression, tmp_path, write_table, words):
    """The header of gzip has a place for the time, which holds none."""
    (path,) = write_table(JsonDatasetWriter(tmp_path / "out", compression=compression), words).paths
    head = Path(path).read_bytes()[:10]
    assert compression != "gzip" or head[4:8] == bytes(4)
    assert compression != "gzip" or not head[3]  # no name either
