"""JSON lines: what is read, and what is refused with file and line."""

from __future__ import annotations

import gzip
import json

import datasets
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyped_beam.errors import InputError
from hyped_beam.io.readers import lines
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.io.writers.json import JsonDatasetWriter


def rows_of(reader, read_all, columns=None):
    return [row for batch in read_all(reader, columns) for row in batch.to_pylist()]


@pytest.fixture
def write(tmp_path):
    def write(data, name="x.jsonl"):
        (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        return tmp_path / name

    return write


@pytest.mark.parametrize("compression", [None, "gzip", "zstd", "bz2"])
def test_what_our_writer_wrote_comes_back_with_the_same_features(
    cases, write_table, tmp_path, read_all, compression
):
    table = cases.table_of(cases.BINARY_CASES)
    write_table(JsonDatasetWriter(str(tmp_path / "out"), compression=compression), table)
    source = JsonReader(tmp_path / "out", features=datasets.Features.from_arrow_schema(table.schema))
    assert pa.Table.from_batches(read_all(source)).combine_chunks().to_pylist() == table.to_pylist()
    assert read_all(source)[0].schema.types == table.schema.types


@pytest.mark.parametrize(
    ("text", "features", "rows"),
    [
        ('{"a":1}\n{"a":2.5}\n', {"a": "float64"}, [{"a": 1.0}, {"a": 2.5}]),
        (
            '{"a":1}\n\n  \n{"b":"x"}',
            {"a": "int64", "b": "string"},
            [{"a": 1, "b": None}, {"a": None, "b": "x"}],
        ),
        ('{"a":null}\n', {"a": "string"}, [{"a": None}]),
        ('{"a":"2024-01-01"}\n', {"a": "string"}, [{"a": "2024-01-01"}]),
        ('\ufeff{"a":"ä"}\r\n {"a":null} \r\n', {"a": "string"}, [{"a": "ä"}, {"a": None}]),
        ('{"a":{"x":1}}\n{"a":{"y":[]}}\n', None, [{"a": {"x": 1, "y": None}}, {"a": {"x": None, "y": []}}]),
        ("", {}, []),
        ("\n\n", {}, []),
    ],
)
def test_types_are_found_over_all_rows(write, read_all, text, features, rows):
    source = JsonReader(write(text))
    if features is not None:
        assert source.features == datasets.Features({k: datasets.Value(v) for k, v in features.items()})
    assert rows_of(source, read_all) == rows
    assert len(source.ranges()) == 1


def test_types_are_found_over_all_files(write, tmp_path, read_all):
    write('{"a":1,"b":null}\n', "0.jsonl")
    write('{"a":0.5,"b":[1]}\n', "1.ndjson")
    (tmp_path / "2.json.gz").write_bytes(gzip.compress(b'{"c":true}\n'))
    source = JsonReader(tmp_path)
    assert {
        name: datasets.features.features.get_nested_type(kind) for name, kind in source.features.items()
    } == {
        "a": pa.float64(),
        "b": pa.list_(pa.int64()),
        "c": pa.bool_(),
    }
    assert rows_of(source, read_all, ["c", "a"]) == [
        {"c": None, "a": 1.0},
        {"c": None, "a": 0.5},
        {"c": True, "a": None},
    ]


def test_files_that_disagree(write, tmp_path):
    write('{"a":1}\n', "0.jsonl")
    write('{"a":"x"}\n', "1.jsonl")
    with pytest.raises(InputError, match=r"disagree on column 'a': int64 in .*0.jsonl, string in .*1.jsonl"):
        _ = JsonReader(tmp_path).features


def test_a_column_that_changes_far_into_a_file(write, monkeypatch):
    monkeypatch.setattr(lines, "CHUNK_BYTES", 100)
    path = write('{"a":1}\n' * 100 + '{"a":"x"}\n')
    with pytest.raises(InputError, match=r"column 'a' is int64 before line \d+ and string from there on"):
        _ = JsonReader(path).features


@pytest.mark.parametrize(
    ("text", "features", "message"),
    [
        ('{"a":1}\n{"a":}\n', None, r"x.jsonl:2: not a line of JSON: Expecting value"),
        ('{"a":}\n{"a":1}{"a":2}\n', {"a": "int64"}, r"x.jsonl:1: not a line of JSON"),
        ('{"a":1}\n\n{"a":2}{"a":3}\n', {"a": "int64"}, r"x.jsonl:3: not a line of JSON: Extra data"),
        ('{"a":1}\nnull\n', {"a": "int64"}, r"x.jsonl:2: null, not an object"),
        ('{"a":\n1}\n', None, r"x.jsonl:1: not a line of JSON"),
        ('[{"a":1}]\n', None, r"x.jsonl:1: an array, not an object"),
        ('[\n{"a":1}\n]\n', None, r"x.jsonl:1: not a line of JSON.*\n.*jq -c"),
        ('{"a":1}\n{"a":tru\n', None, r"x.jsonl:2: not a line of JSON"),
        ('{"a":1}\n{"a":"x"}\n', None, r"x.jsonl:2: column 'a' changed from number to string\n  hint: mend"),
        ('{"a":1}\n{"a":1.5}\n', {"a": "int64"}, r"x.jsonl:2: .*int64, which does not hold 1.5"),
        ('{"a":"YQ=="}\n{"a":"?"}\n', {"a": "binary"}, r"x.jsonl:2: not base64"),
        ('{"a":1,"a":2}\n', None, r"x.jsonl:1: column 'a' was specified twice"),
        (b'{"a":1}\n{"a":"\xe4"}\n', None, r"x.jsonl:2: byte 7 of the line, 0xe4, is not UTF-8"),
        (b"PAR1\x00\x01\xff", None, r"x.jsonl:1: "),
    ],
)
def test_wrong_lines_are_told_with_their_number(write, read_all, text, features, message):
    with pytest.raises(InputError, match=message):
        read_all(JsonReader(write(text), features=features))


@pytest.mark.parametrize("codec", ["gzip", "bz2", "zstd"])
def test_compressed_files_that_are_cut_short(write, read_all, codec):
    suffix = {"gzip": ".gz", "bz2": ".bz2", "zstd": ".zst"}[codec]
    whole = b"".join(b'{"a":%d}\n' % row for row in range(10_000))
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as file:
        file.write(whole)
    path = write(sink.getvalue().to_pybytes(), "x.jsonl" + suffix)
    source = JsonReader(path)
    assert len(rows_of(source, read_all)) == 10_000
    assert [len(part.pieces) for part in source.ranges()] == [1]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="cannot be read as JSON lines: Truncated compressed stream"):
        read_all(JsonReader(path))
    path.write_bytes(whole)
    with pytest.raises(InputError, match=f"x.jsonl{suffix} cannot be read as JSON lines"):
        read_all(JsonReader(path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.one_of(st.text(max_size=30), st.just("")), max_size=40),
    block=st.integers(1, 60),
    chunk=st.integers(1, 60),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
)
def test_each_line_is_in_exactly_one_range_wherever_files_are_cut(
    write, monkeypatch, texts, block, chunk, end, last
):
    monkeypatch.setattr(lines, "LARGEST_BLOCK", block)
    monkeypatch.setattr(lines, "SMALLEST_BLOCK", block)
    monkeypatch.setattr(lines, "CHUNK_BYTES", chunk)
    rows = [json.dumps({"t": text}, ensure_ascii=False) if text else "" for text in texts]
    path = write(end.join(rows) + (end if last else ""))
    source = JsonReader(path, features={"t": "string"}, origin="from")
    read = [
        [row for batch in source.read(part, ["t", "from"]) for row in batch.to_pylist()]
        for part in source.ranges()
    ]
    found = [row for part in read for row in part]
    assert [row["t"] for row in found] == [text for text in texts if text]
    assert [row["from"]["row"] for row in found] == list(range(len(found)))


def test_batches_and_ranges_do_not_depend_on_columns(write, read_all, monkeypatch):
    monkeypatch.setattr(lines, "CHUNK_BYTES", 10_000)
    path = write("".join(f'{{"n":{row},"text":"{"x" * (row % 50)}"}}\n' for row in range(20_000)))
    source = JsonReader(path)
    sizes = [[batch.num_rows for batch in read_all(source, columns)] for columns in (None, ["n"], [])]
    assert sizes[0] == sizes[1] == sizes[2]
    assert len(source.ranges()) > 4
    assert max(sizes[0]) <= 65_536
