"""Values of CSV and JSON lines that are not what their columns are declared as, told with line and fix."""

from __future__ import annotations

import decimal
import math
import subprocess
import sys
import warnings

import pyarrow as pa
import pytest

from hyped_beam.errors import DefinitionError, InputError
from hyped_beam.io.readers.csv import CsvReader
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.io.writers.csv import CsvDatasetWriter
from hyped_beam.io.writers.json import JsonDatasetWriter

LONG = "90071992547409910001"


def written(tmp_path, kind, numbers, **options):
    """A reader of one column `id` with these numbers, from line 2 (CSV) or 1 (JSON) on."""
    if kind == "json":
        (tmp_path / "x.jsonl").write_text("".join(f'{{"id": {number}}}\n' for number in numbers))
        return JsonReader(tmp_path / "x.jsonl", **options)
    (tmp_path / "x.csv").write_text("id,other\n" + "".join(f"{number},\n" for number in numbers))
    return CsvReader(tmp_path / "x.csv", newlines_in_values=kind == "csv", **options)


def values(reader, read_all, column="id"):
    return [row[column] for batch in read_all(reader, [column]) for row in batch.to_pylist()]


KINDS = pytest.mark.parametrize("kind", ["csv", "csv by lines", "json"])


@KINDS
@pytest.mark.parametrize(
    ("dtype", "number", "hint"),
    [
        ("int64", LONG, r'declare "decimal128\(38, 0\)" for the number, or "string" for its 20 digits'),
        ("uint64", LONG, r'declare "decimal128\(38, 0\)" for the number, or "string" for its 20 digits'),
        ("decimal128(10, 0)", LONG, r'declare "decimal128\(38, 0\)" for the number, or "string"'),
        ("decimal128(38, 0)", "1" * 50, r'declare "decimal256\(76, 0\)" for the number, or "string"'),
        ("decimal256(76, 0)", "1" * 80, 'declare "string" for its 80 digits'),
        ("int64", str(2**63), 'declare "uint64" or "decimal128'),
        ("int8", "300", 'declare "int64"'),
        ("uint8", "-1", 'declare "int64"'),
        ("int64", "1.5", 'declare "float64", or "string" for what is written'),
        ("float64", "1e400", 'declare "string" for what is written'),
        ("float64", "-1e400", 'declare "string" for what is written'),
        ("float64", "1.8e308", 'declare "string" for what is written'),
        ("float32", "1e39", 'declare "float64", or "string" for what is written'),
        ("float16", "1e5", 'declare "float64", or "string" for what is written'),
    ],
)
def test_a_number_beyond_its_column_is_told_with_its_line_and_what_holds_it(
    tmp_path, read_all, kind, dtype, number, hint
):
    reader = written(tmp_path, kind, ["1", "2", number, "3"], features={"id": dtype})
    line = 3 if kind == "json" else 4
    shown = number if len(number) <= 60 else number[:60] + "..."
    with pytest.raises(InputError) as caught:
        read_all(reader)
    assert caught.value.message.endswith(
        f":{line}: column 'id' is declared as {dtype}, which does not hold {shown}"
    )
    with pytest.raises(InputError, match=hint):
        read_all(reader)


def test_wide_decimals_may_have_space_around_them(tmp_path, read_all):
    (tmp_path / "x.csv").write_text("id,other\n 15 ,\n")
    reader = CsvReader(tmp_path / "x.csv", features={"id": "decimal256(76, 0)"})
    assert values(reader, read_all) == [decimal.Decimal(15)]


@KINDS
def test_what_the_hint_says_reads_the_file(tmp_path, read_all, kind):
    for dtype, wanted in (("decimal128(38, 0)", decimal.Decimal(LONG)), ("string", LONG)):
        assert values(written(tmp_path, kind, [LONG], features={"id": dtype}), read_all) == [wanted]
    assert values(written(tmp_path, kind, ["1e400"], features={"id": "string"}), read_all) == ["1e400"]


@KINDS
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_infinity_that_is_written_is_infinite(tmp_path, read_all, kind, dtype):
    texts = ["Infinity", "-Infinity", "NaN"] if kind == "json" else ["inf", "-Infinity", "nan"]
    high, low, none = values(written(tmp_path, kind, texts, features={"id": dtype}), read_all)
    assert (high, low) == (math.inf, -math.inf)
    assert math.isnan(none)


@KINDS
@pytest.mark.parametrize(
    "numbers", [["1", "1e400"], ["-1e400"], ["1.8e308", "0.5"], ["2", "1" + "0" * 310 + ".5"]]
)
def test_numbers_beyond_float64_are_read_as_text_where_types_are_found(tmp_path, read_all, kind, numbers):
    reader = written(tmp_path, kind, numbers)
    with pytest.warns(
        UserWarning, match="column 'id' has numbers beyond those of float64, and is read as text"
    ) as told:
        assert reader.features["id"].dtype == "string"
    assert told[0].filename == __file__
    assert values(reader, read_all) == numbers


@KINDS
def test_numbers_near_the_ends_of_float64_stay_numbers(tmp_path, read_all, kind):
    numbers = ["1.7e308", "-1.7e308", "1e-400", "0.0e400"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert values(written(tmp_path, kind, numbers), read_all) == [1.7e308, -1.7e308, 0.0, 0.0]


def test_numbers_within_lists_and_structs_are_told_with_their_field(tmp_path, read_all):
    (tmp_path / "x.jsonl").write_text('{"a": [{"b": 1}]}\n{"a": [{"b": 2}, {"b": 1e39}]}\n')
    for dtype in ("float32", "int64"):
        reader = JsonReader(tmp_path / "x.jsonl", features={"a": [{"b": dtype}]})
        with pytest.raises(InputError, match=r"x.jsonl:2: column 'a\[\].b' is declared as .* not hold 1e39"):
            read_all(reader)


def test_numbers_of_columns_that_are_not_read_do_no_harm(tmp_path, read_all):
    (tmp_path / "x.jsonl").write_text('{"a": 1, "text": "9e999", "b": -1e999}\n')
    reader = JsonReader(tmp_path / "x.jsonl", features={"a": "int64", "text": "string"})
    assert [row for batch in read_all(reader) for row in batch.to_pylist()] == [{"a": 1, "text": "9e999"}]


@pytest.mark.parametrize("newlines", [True, False])
def test_the_line_is_right_behind_empty_lines_and_in_later_pieces(tmp_path, read_all, newlines):
    lines = ["1.5,x" if number % 7 else "" for number in range(40_000)]
    lines[38_990] = "1e39,x"
    (tmp_path / "x.csv").write_text("\n".join(["id,text", *lines]) + "\n")
    reader = CsvReader(tmp_path / "x.csv", newlines_in_values=newlines, features={"id": "float32"})
    with pytest.raises(InputError, match=r"x.csv:38992: column 'id' is declared as float32"):
        read_all(reader)


def test_values_that_are_no_numbers_are_told_with_their_line(tmp_path, read_all):
    (tmp_path / "x.csv").write_text("id,other\nYQ==,\n=a,\n")
    with pytest.raises(InputError, match=r"x.csv:3: column 'id' is declared as binary, which '=a' is not"):
        read_all(CsvReader(tmp_path / "x.csv", features={"id": "binary"}))


@pytest.mark.parametrize("kind", [pa.decimal128(38, 2), pa.decimal256(76, 2), pa.decimal256(40, 0)])
@pytest.mark.parametrize("writer", [CsvDatasetWriter, JsonDatasetWriter])
def test_wide_decimals_come_back(tmp_path, write_table, read_all, kind, writer):
    digits = "9" * (kind.precision - kind.scale)
    numbers = [decimal.Decimal(digits), decimal.Decimal(-1), None, decimal.Decimal(0)]
    table = pa.table({"id": pa.array(numbers, kind), "other": pa.array([1, 2, 3, 4])})
    write_table(writer(str(tmp_path / "out")), table)
    reader = (CsvReader if writer is CsvDatasetWriter else JsonReader)(
        tmp_path / "out", features={"id": str(kind), "other": "int64"}
    )
    assert pa.Table.from_batches(read_all(reader)).to_pylist() == table.to_pylist()
    assert read_all(reader)[0].schema.field("id").type == kind


@pytest.mark.parametrize("reader", [CsvReader, JsonReader])
@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"id": "inT64"}, "did you mean 'int64'"),
        ({"id": "int"}, "did you mean 'int64'"),
        ({"id": "str"}, "did you mean 'string'"),
        ({"id": "timestamp"}, r"did you mean 'timestamp\[us\]'"),
        ({"id": "decimal128(38)"}, "did you mean 'decimal128"),
        ({"id": "xyzzy"}, "there are: bool, int8, int16"),
        ({"id": "list<int64>"}, r'in brackets: \["int64"\]'),
        ({"id": [{"a": "inT64"}]}, "did you mean 'int64'"),
    ],
)
def test_a_type_that_does_not_exist_is_told_with_its_column(reader, given, hint):
    with pytest.raises(
        DefinitionError, match=rf"column 'id.*': there is no dtype .*\n  hint: .*{hint}"
    ) as caught:
        reader("x.jsonl" if reader is JsonReader else "x.csv", features=given)
    assert str(caught.value).startswith(str(caught.value.site))
    assert caught.value.site.file == __file__


@pytest.mark.parametrize(
    "line",
    [
        '{"y":"%s}' % ("a" * 2_000_000),
        '{"x":1%s}' % ("1" * 2_000_000),
        r'{"y":"%s' % (r"\"" * 1_000_001 + "\\"),
    ],
    ids=["a text that does not end", "a long number", "a text of escapes that does not end"],
)
def test_a_number_beyond_float64_beside_a_long_line_takes_linear_time(tmp_path, line):
    # The time of 2,000,000 characters, if it were their square, would be hours; the process ends long before.
    (tmp_path / "x.jsonl").write_text('{"x":1e999}\n' + line + "\n")
    script = (
        "from hyped_beam.errors import InputError\n"
        "from hyped_beam.io.readers.json import JsonReader\n"
        "try:\n    print(JsonReader('x.jsonl').features)\n"
        "except InputError as error:\n    print('refused:', str(error)[:200])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(("refused:", "{'x':"))


@pytest.mark.parametrize(
    ("values_of_column", "dtype"),
    [(["+5", "-3"], "float64"), (["+12345678901234567890", "1"], "string"), (["+1.5", "2"], "float64")],
)
def test_numbers_with_plus_signs_are_read_as_what_was_found(tmp_path, read_all, values_of_column, dtype):
    (tmp_path / "x.csv").write_text("id\n" + "\n".join(values_of_column) + "\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader = CsvReader(tmp_path / "x.csv")
        assert reader.features["id"].dtype == dtype
        wanted = values_of_column if dtype == "string" else [float(value) for value in values_of_column]
        assert values(reader, read_all) == wanted


def test_a_plus_sign_in_a_column_of_integers_is_told(tmp_path, read_all):
    (tmp_path / "x.csv").write_text("id\n3\n+5\n")
    with pytest.raises(
        InputError, match=r"x\.csv:3: column 'id' is declared as int64, which has no plus sign: \+5"
    ):
        values(CsvReader(tmp_path / "x.csv", features={"id": "int64"}), read_all)


@pytest.mark.parametrize("texts", [["0x0010", "0xAB"], ["12", "0XFFFFFFFFFFFFFFFF"]])
@pytest.mark.parametrize("options", [{}, {"newlines_in_values": True}])
def test_hexadecimal_numbers_are_text(tmp_path, read_all, texts, options):
    (tmp_path / "x.csv").write_text("id\n" + "\n".join(texts) + "\n")
    assert values(CsvReader(tmp_path / "x.csv", **options), read_all) == texts
    declared = CsvReader(tmp_path / "x.csv", features={"id": "int64"}, **options)
    with pytest.raises(
        InputError, match=r"x\.csv:\d: column 'id' is declared as int64, which '0[xX]\w+' is not"
    ):
        values(declared, read_all)


def test_integers_beside_text_with_0x_are_read(tmp_path, read_all):
    (tmp_path / "x.csv").write_text("id,text\n7,0x7\n")
    reader = CsvReader(tmp_path / "x.csv")
    assert (values(reader, read_all), values(reader, read_all, "text")) == ([7], ["0x7"])
