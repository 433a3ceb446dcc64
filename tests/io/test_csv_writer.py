"""CSV: what is written, and what others make of it."""

from __future__ import annotations

import csv
import io

import datasets
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError, DefinitionTypeError, InputError
from hyped_beam.io.readers.csv import CsvReader
from hyped_beam.io.writers.csv import CsvDatasetWriter
from hyped_beam.io.writers.csv_text import header, rows

TRICKY = ["a", "", None, 'say "x"', "a,b", "a;b\tc", "two\nlines", "cr\r", " spaced ", "NA", "é😀", "1"]


def text_of(table, delimiter=",", null=""):
    lines = [piece.to_pybytes() for batch in table.to_batches() for piece in rows(batch, delimiter, null)]
    return header(table.column_names, delimiter) + b"".join(lines)


def test_strings_are_quoted_where_they_need_it():
    told = text_of(pa.table({"t": TRICKY, "n": range(12)})).decode()
    assert told.split("\n")[:4] == ["t,n", "a,0", '"",1', ",2"]
    assert '"say ""x""",3\n"a,b",4\na;b\tc,5\n"two\nlines",6\n"cr\r",7\n spaced ,8\nNA,9\n' in told


@pytest.mark.parametrize(
    ("delimiter", "null"), [(",", ""), (";", "NA"), ("\t", "\\N"), ("-", "null"), ("1", "")]
)
def test_arrow_reads_the_same_values_back(delimiter, null):
    table = pa.table(
        {
            "text": TRICKY,
            "n": [1, -2, None] * 4,
            "x": [0.5, float("inf"), None, -1e300] * 3,
            "flag": [True, None, False] * 4,
        }
    )
    options = pacsv.ConvertOptions(
        column_types=table.schema,
        null_values=[null],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        true_values=["true"],
        false_values=["false"],
    )
    parsing = pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    told = pa.py_buffer(text_of(table, delimiter, null))
    back = pacsv.read_csv(pa.BufferReader(told), convert_options=options, parse_options=parsing)
    assert back.equals(table)


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1))
def test_the_module_csv_reads_the_same_text_back(pairs):
    table = pa.table({"a": [one for one, _ in pairs], "b": [other for _, other in pairs]})
    back = list(csv.reader(io.StringIO(text_of(table).decode(), newline="")))
    assert back[1:] == [list(pair) for pair in pairs]


@pytest.mark.parametrize("kind", [pa.string(), pa.int64(), pa.binary()])
def test_a_null_in_the_only_column_is_refused_without_a_text_for_null(tmp_path, write_table, kind):
    table = pa.table({"a": pa.array([None], kind)})
    with pytest.raises(InputError, match=r"only column 'a' holds a null.*\n  hint: .*null=\"NA\""):
        write_table(CsvDatasetWriter(tmp_path / "out"), table)
    assert text_of(table, null="NA") == b"a\nNA\n"


@pytest.mark.parametrize("null", ["NA", "x", "\\N"])
def test_an_only_column_comes_back_with_a_text_for_null(tmp_path, write_table, null):
    table = pa.table({"a": ["x", None, "", null, f"{null} ", '"']})
    (path,) = write_table(CsvDatasetWriter(tmp_path / "out", null=null), table).paths
    reader = CsvReader(path, null_values=(null,))
    back = [batch for part in reader.ranges() for batch in reader.read(part, ["a"])]
    assert [row["a"] for batch in back for row in batch.to_pylist()] == table["a"].to_pylist()


def test_numbers_that_read_like_null_or_hold_the_delimiter_are_quoted():
    assert text_of(pa.table({"n": [0, None, 10]}), null="0") == b'n\n"0"\n0\n10\n'
    assert text_of(pa.table({"x": [1.5, 2.0]}), delimiter=".") == b'x\n"1.5"\n"2.0"\n'


def test_names_of_columns_are_quoted():
    assert text_of(pa.table({'a"b': [1], "c,d": [2]})) == b'"a""b","c,d"\n1,2\n'


def test_nested_columns_are_refused_with_a_hint(tmp_path, write_table):
    for kind in (pa.list_(pa.int64()), pa.struct({"a": pa.int64()})):
        with pytest.raises(DefinitionTypeError, match=r"CSV cannot hold column 'x'.*\n  hint: make columns"):
            write_table(CsvDatasetWriter(tmp_path / "out"), pa.table({"x": pa.array([], kind)}))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delimiter": ",,"}, "one ASCII character"),
        ({"delimiter": '"'}, "one ASCII character"),
        ({"null": "a,b"}, "holds no quotes, line ends or delimiters"),
        ({"compression": "lzma"}, "compression"),
        ({"max_shard_rows": 0}, "greater than 0"),
        ({"partition_by": ["a", "a"]}, "named twice"),
    ],
)
def test_options_that_make_no_csv(options, message, tmp_path):
    with pytest.raises(DefinitionError, match=rf"test_csv_writer.py:\d+: CsvDatasetWriter.*{message}"):
        CsvDatasetWriter(tmp_path, **options)


def test_without_a_header_and_with_tabs(tmp_path, write_table, words):
    manifest = write_table(CsvDatasetWriter(tmp_path / "out", header=False, delimiter="\t"), words)
    assert manifest.shards[0].file == "part-00000.tsv"
    back = pl.read_csv(manifest.paths[0], has_header=False, separator="\t", new_columns=words.column_names)
    assert back.to_dict(as_series=False) == words.to_pydict()


def test_an_output_without_rows_has_its_header(tmp_path, write_table, words):
    (path,) = write_table(CsvDatasetWriter(tmp_path / "a"), words.slice(0, 0)).paths
    assert (tmp_path / "a" / "part-00000.csv").read_text() == "text,n,half\n"
    assert path.endswith("part-00000.csv")
    assert write_table(CsvDatasetWriter(tmp_path / "b", header=False), words.slice(0, 0)).paths == []


def test_datasets_polars_and_duckdb_read_it(tmp_path, write_table, words):
    (path,) = write_table(CsvDatasetWriter(tmp_path / "out"), words).paths
    # Texts that are empty are null to `datasets`, which reads by pandas, unless it is told.
    back = datasets.load_dataset("csv", data_dir=str(tmp_path / "out"), split="train", keep_default_na=False)
    assert back.to_dict() == words.to_pydict()
    assert pl.read_csv(path).to_dict(as_series=False) == words.to_pydict()
    told = duckdb.read_csv(path, allow_quoted_nulls=False).to_arrow_table()
    assert told.to_pydict() == words.to_pydict()
