"""CSV files: what is read, and what is refused with file and line."""

from __future__ import annotations

import gzip

import datasets
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError, InputError
from hyped_beam.io.readers import csv_text, lines
from hyped_beam.io.readers.csv import CsvReader
from hyped_beam.io.writers.csv import CsvDatasetWriter


def rows_of(reader, read_all, columns=None):
    return [row for batch in read_all(reader, columns) for row in batch.to_pylist()]


@pytest.fixture
def write(tmp_path):
    def write(data, name="x.csv"):
        (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        return tmp_path / name

    return write


both = pytest.mark.parametrize("newlines", [True, False])


@both
@pytest.mark.parametrize(
    ("text", "options", "rows"),
    [
        ("a,b\n1,x\n2,y\n", {}, [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        ("a,b\r\n1,2\r\n\r\n3,4.5", {}, [{"a": 1, "b": 2.0}, {"a": 3, "b": 4.5}]),
        ("\ufeffa,b\n1,ä\n", {}, [{"a": 1, "b": "ä"}]),
        ('a,b\n1,"x, ""y"""\n', {}, [{"a": 1, "b": 'x, "y"'}]),
        ('a,b\n1,""\n2,\n', {}, [{"a": 1, "b": ""}, {"a": 2, "b": None}]),
        ("a;b\n007;true\n;\n", {"delimiter": ";"}, [{"a": "007", "b": True}, {"a": None, "b": None}]),
        ("1,2\n", {"header": False, "names": ["x", "y"]}, [{"x": 1, "y": 2}]),
        ("a\nNA\n1\n", {"null_values": ["NA"]}, [{"a": None}, {"a": 1}]),
        ("a\n2024-01-01\n", {}, [{"a": "2024-01-01"}]),
        ("a,b\n,\n", {}, [{"a": None, "b": None}]),
        ("a,b\n", {}, []),
        ("a,b", {}, []),
        ("", {"header": False, "names": ["x"]}, []),
        ("a\n'x'\n", {"quote": "'"}, [{"a": "x"}]),
        ('a,b\n",x\n', {"quote": None}, [{"a": '"', "b": "x"}]),
    ],
)
def test_what_is_read(write, read_all, text, options, rows, newlines):
    source = CsvReader(write(text), newlines_in_values=newlines, **options)
    assert rows_of(source, read_all) == rows
    assert rows_of(CsvReader.from_json(source.to_json()), read_all) == rows


def test_values_may_hold_line_ends(write, read_all):
    assert rows_of(CsvReader(write('a,b\n1,"x\n\ny"\n2,z\n')), read_all) == [
        {"a": 1, "b": "x\n\ny"},
        {"a": 2, "b": "z"},
    ]


def test_tabs_and_compression_are_told_by_the_name(tmp_path, read_all):
    (tmp_path / "x.tsv.gz").write_bytes(gzip.compress(b"a\tb\n1,5\tx\n"))
    assert rows_of(CsvReader(tmp_path), read_all) == [{"a": "1,5", "b": "x"}]


def test_types_are_found_over_all_files(write, tmp_path, read_all):
    write("a,b,c\n1,1,\n", "0.csv")
    write("b,a,c\nx,0.5,\n", "1.csv")
    source = CsvReader(tmp_path)
    assert {name: kind.dtype for name, kind in source.features.items()} == {
        "a": "float64",
        "b": "string",
        "c": "string",
    }
    assert rows_of(source, read_all, ["b", "a"]) == [{"b": "1", "a": 1.0}, {"b": "x", "a": 0.5}]
    write("a,b\n1,1\n", "2.csv")
    with pytest.raises(InputError, match=r"0.csv has a column 'c', .*2.csv has none"):
        _ = CsvReader(tmp_path).features
    assert len(rows_of(CsvReader(tmp_path, features={"a": "float32"}), read_all)) == 3


@both
def test_declared_features(write, read_all, newlines):
    features = datasets.Features(
        {
            "t": datasets.Value("timestamp[us]"),
            "b": datasets.Value("binary"),
            "d": datasets.Value("duration[s]"),
            "l": datasets.ClassLabel(names=["x", "y"]),
            "h": datasets.Value("float16"),
            "c": datasets.Value("decimal128(5, 2)"),
        }
    )
    path = write("t,b,d,l,h,c,unused\n2024-02-29T12:00:00.5,YQ==,60,1,0.5,1.10,zzz\n,,,,,,\n")
    source = CsvReader(path, features=features, newlines_in_values=newlines)
    (first, second) = rows_of(source, read_all)
    assert (first["b"], first["d"].total_seconds(), first["l"], float(first["h"])) == (b"a", 60, 1, 0.5)
    assert (first["t"].microsecond, str(first["c"])) == (500_000, "1.10")
    assert set(second.values()) == {None}
    assert read_all(source)[0].schema.types == features.arrow_schema.types


@both
@pytest.mark.parametrize(
    ("text", "features", "message"),
    [
        ("a,b\n1,x\n\n2,y,z\n", None, r"x.csv:4: 3 values, where there are 2 columns"),
        ("a,b\n1,x\n2\n", None, r"x.csv:3: 1 value, where there are 2 columns"),
        (
            "a,b\n1,x\nq,y\n",
            {"a": "int64"},
            r"x.csv:3: .* as int64, which 'q' is not\n  hint: declare",
        ),
        ('a,b\n1,x\n2,"y\n', None, r"x.csv:3: the quotes that open here are never closed"),
        (b"a,b\n1,x\n2,\xe4\n", None, r"x.csv:3: byte 3 of the line, 0xe4, is not UTF-8"),
        (b"\xe4,b\n1,x\n", None, r"x.csv:1: byte 1 of the line"),
        ("", None, r"x.csv is empty\n  hint: the first line must name"),
        ("a,a\n1,2\n", None, r"several columns of the name 'a'"),
        ("text,n\n1,2\n", {"txt": "string"}, r"no column 'txt', .*\n  hint: did you mean 'text'"),
        ("a\n1\n", {"a": {"x": "int64"}}, r"CSV cannot hold column 'a'"),
    ],
)
def test_wrong_files_are_told_with_the_line(write, read_all, text, features, message, newlines):
    with pytest.raises(InputError, match=message):
        read_all(CsvReader(write(text), features=features, newlines_in_values=newlines))


def test_a_line_number_counts_line_ends_within_values(write, read_all):
    with pytest.raises(InputError, match=r"x.csv:5: column 'a' .* which 'q' is not"):
        read_all(CsvReader(write('a,b\n1,"x\ny"\n2,z\nq,r\n'), features={"a": "int64"}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delimiter": ",,"}, "option 'delimiter': it is one ASCII character"),
        ({"header": False}, "names= are given for files without a header"),
        ({"names": ["a"]}, "names= are given for files without a header"),
        ({"header": False, "names": ["a", "a"]}, "names= holds a name twice"),
        ({"quote": ","}, None),
        ({"delimiter": "'", "quote": "'"}, "the same character"),
        ({"delimeter": ","}, "did you mean 'delimiter'"),
    ],
)
def test_wrong_options(options, message):
    if message is None:
        assert CsvReader("x.csv", **options).quote == ","
        return
    with pytest.raises(DefinitionError, match=message):
        CsvReader("x.csv", **options)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(0, 60), block=st.integers(1, 50), chunk=st.integers(8, 60), last=st.booleans())
def test_files_without_line_ends_in_values_are_cut(write, monkeypatch, count, block, chunk, last):
    monkeypatch.setattr(lines, "LARGEST_BLOCK", block)
    monkeypatch.setattr(lines, "SMALLEST_BLOCK", block)
    monkeypatch.setattr(lines, "CHUNK_BYTES", chunk)
    text = "n,t\n" + "\n".join(f"{row},{'x' * (row % 7)}" for row in range(count)) + ("\n" if last else "")
    source = CsvReader(write(text), features={"n": "int64"}, newlines_in_values=False, origin="from")
    found = [
        row
        for part in source.ranges()
        for batch in source.read(part, ["n", "from"])
        for row in batch.to_pylist()
    ]
    assert [row["n"] for row in found] == list(range(count))
    assert [row["from"]["row"] for row in found] == list(range(count))


def test_cuts_do_not_depend_on_columns(write, read_all, monkeypatch):
    monkeypatch.setattr(csv_text, "BLOCK_BYTES", 20_000)
    path = write("n,text\n" + "".join(f"{row},{'x' * (row % 50)}\n" for row in range(20_000)))
    source = CsvReader(path)
    sizes = [[batch.num_rows for batch in read_all(source, columns)] for columns in (None, ["n"], [])]
    assert sizes[0] == sizes[1] == sizes[2]
    assert len(sizes[0]) > 4
    assert sum(sizes[0]) == 20_000


@pytest.mark.parametrize("options", [{}, {"delimiter": "\t", "compression": "gzip"}, {"null": "NA"}])
def test_what_our_writer_wrote_comes_back(cases, write_table, tmp_path, read_all, options):
    plain = {
        name: case
        for name, case in cases.BINARY_CASES.items()
        if not isinstance(case[0], dict) and not pa.types.is_nested(case_type(case[0]))
    }
    table = cases.table_of(plain)
    write_table(CsvDatasetWriter(str(tmp_path / "out"), **options), table)
    features = datasets.Features.from_arrow_schema(table.schema)
    source = CsvReader(tmp_path / "out", features=features, null_values=[options.get("null", "")])
    assert pa.Table.from_batches(read_all(source)).combine_chunks().to_pylist() == table.to_pylist()


def case_type(feature):
    found = datasets.features.features.get_nested_type(feature)
    return found.storage_type if isinstance(found, pa.BaseExtensionType) else found
