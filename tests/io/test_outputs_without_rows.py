"""Outputs of jobs without rows: whatever was written is read back, with the columns that rows would have."""

from __future__ import annotations

import datasets
import pyarrow as pa
import pytest

from hyped_beam import DataFlow, ops
from hyped_beam.errors import InputError
from hyped_beam.io.readers.arrow import ArrowReader
from hyped_beam.io.readers.csv import CsvReader
from hyped_beam.io.readers.formats import reader_of
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.arrow import ArrowDatasetWriter
from hyped_beam.io.writers.csv import CsvDatasetWriter
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter
from hyped_beam.types.arrays import storage_type

FORMATS = [
    (ParquetDatasetWriter, ParquetReader, {}, {}),
    (ArrowDatasetWriter, ArrowReader, {}, {}),
    (JsonDatasetWriter, JsonReader, {}, {}),
    (JsonDatasetWriter, JsonReader, {"compression": "gzip"}, {}),
    (CsvDatasetWriter, CsvReader, {}, {}),
    (CsvDatasetWriter, CsvReader, {"delimiter": "\t", "compression": "zstd"}, {}),
    (CsvDatasetWriter, CsvReader, {"header": False}, {"header": False}),
]
EVERY = pytest.mark.parametrize(("writer", "reader", "written", "read"), FORMATS)
ROWS = datasets.Dataset.from_dict({"a": [1, 2], "b": ["x", "y"], "c": [1, 2]})


def job(out, writer, *, least, **options):
    """A job that keeps the rows from `least` on."""
    flow = DataFlow(features=ROWS.features)
    src = flow.src_features
    return flow.job(source=ROWS).write(
        collect=ops.filter(src, src.a >= least), to=writer(str(out), **options)
    )


def kept(reader, read_all):
    return [row for batch in read_all(reader) for row in batch.to_pylist()]


@EVERY
@pytest.mark.parametrize("by", [(), ("b",), ("c", "b")])
def test_they_are_read_with_the_features_that_rows_have(
    tmp_path, read_all, writer, reader, written, read, by
):
    found = []
    for name, least in (("none", 100), ("all", 1)):
        result = job(tmp_path / name, writer, least=least, partition_by=by, **written).run(runner="local")
        columns = [column for column in ("a", "b", "c") if column not in by]
        options = {**read, "names": columns} if read else {}
        source = reader(tmp_path / name, **options)
        found.append(source.features)
        assert len(kept(source, read_all)) == result.rows["rows"] == (0 if least > 2 else 2)
    assert found[0] == found[1]


@EVERY
def test_they_are_a_source_by_their_path_and_of_declared_columns(
    tmp_path, read_all, writer, reader, written, read
):
    job(tmp_path / "out", writer, least=100, **written).run(runner="local")
    if not read:
        flow = DataFlow(features=ROWS.features)
        again = flow.job(source=str(tmp_path / "out")).write(
            collect=flow.src_features, to=ParquetDatasetWriter(tmp_path / "again")
        )
        assert again.run(runner="local").rows == {"rows": 0}
    options = {**read, "names": list(ROWS.features)} if read else {}
    declared = reader(tmp_path / "out", features={"a": "int64"}, **options)
    assert list(declared.features) == ["a"]
    assert kept(declared, read_all) == []


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_types_are_those_that_values_have(tmp_path, write_table, cases, kind):
    table = cases.table_of(cases.BINARY_CASES)
    if kind == "csv":
        table = table.select(
            [field.name for field in table.schema if not pa.types.is_nested(storage_type(field.type))]
        )
    writer, reader = (JsonDatasetWriter, JsonReader) if kind == "json" else (CsvDatasetWriter, CsvReader)
    write_table(writer(str(tmp_path / "all")), table)
    write_table(writer(str(tmp_path / "none")), table.slice(0, 0))
    assert reader(tmp_path / "none").features == reader(tmp_path / "all").features


def test_with_others_only_the_others_are_read(tmp_path, read_all):
    for name, least in (("0", 100), ("1", 2), ("2", 100)):
        job(tmp_path / name, JsonDatasetWriter, least=least).run(runner="local")
    reader = JsonReader([tmp_path / name for name in "012"])
    assert kept(reader, read_all) == [{"a": 2, "b": "y", "c": 2}]
    assert kept(JsonReader([tmp_path / "0", tmp_path / "2"]), read_all) == []


def test_a_pinned_reader_reads_no_rows_that_come_later(tmp_path, read_all):
    job(tmp_path / "out", JsonDatasetWriter, least=100).run(runner="local")
    pinned = JsonReader(tmp_path / "out").pinned()
    job(tmp_path / "out", JsonDatasetWriter, least=1, overwrite="replace").run(runner="local")
    assert kept(pinned, read_all) == []
    assert len(kept(JsonReader(tmp_path / "out"), read_all)) == 2


def test_other_formats_unfinished_outputs_and_files_of_others_are_not_taken_for_them(tmp_path, read_all):
    job(tmp_path / "out", JsonDatasetWriter, least=100).run(runner="local")
    with pytest.raises(InputError, match=r"there are no \.csv files in the folder"):
        _ = CsvReader(tmp_path / "out").features
    job(tmp_path / "csv", CsvDatasetWriter, least=1).run(runner="local")
    with pytest.raises(InputError, match="holds files of several formats"):
        reader_of([str(tmp_path / "out"), str(tmp_path / "csv")])
    (tmp_path / "out" / "added.jsonl").write_text('{"z": 1}\n')
    assert kept(JsonReader(tmp_path / "out"), read_all) == [{"z": 1}]
    (tmp_path / "out" / "added.jsonl").unlink()

    (tmp_path / "out" / "__hyped_beam__" / "manifest.json").write_text('{"rows": 0}')
    with pytest.raises(InputError, match=r"there are no \.jsonl files in the folder"):
        _ = JsonReader(tmp_path / "out").features
    (tmp_path / "out" / "__hyped_beam__" / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"there are no \.jsonl files in the folder"):
        _ = JsonReader(tmp_path / "out").features


def test_outputs_of_other_columns_disagree(tmp_path):
    job(tmp_path / "0", JsonDatasetWriter, least=100).run(runner="local")
    flow = DataFlow(features=ROWS.features)
    src = flow.src_features
    collect = {"b": ops.filter(src, src.a > 100).a}
    flow.job(source=ROWS).write(collect=collect, to=JsonDatasetWriter(tmp_path / "1")).run(runner="local")
    with pytest.raises(InputError, match="the files disagree"):
        _ = JsonReader([tmp_path / "0", tmp_path / "1"]).features
