"""Casts: what they give, and what does not fit."""

from __future__ import annotations

import datetime
import decimal
import math

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError, NodeError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.processors.casts import Cast
from hyped_beam.testing import evaluate, flow_of

LABELS = datasets.ClassLabel(names=["ham", "spam"])
OTHER_LABELS = datasets.ClassLabel(names=["spam", "eggs", "ham"])
NOON = datetime.datetime(2024, 3, 1, 12, 30)  # noqa: DTZ001 - without a time zone
DAY = datetime.date(2024, 3, 1)


def cast(values, kind, to, feature=None, **options):
    table = pa.table({"x": pa.array(values, kind)})
    src = flow_of(table.schema if feature is None else {"x": feature})
    return evaluate(src.x.cast(to, **options), table).to_pylist()


CASTS = [
    (pa.int64(), [1, None, -3], "int8", [1, None, -3]),
    (pa.int64(), [1, 0, None], "bool", [True, False, None]),
    (pa.int64(), [2**53 + 1], "float64", [float(2**53 + 1)]),
    (pa.int32(), [7], "float16", [7.0]),
    (pa.int64(), [-7, None], "string", ["-7", None]),
    (pa.int64(), [7], "decimal128(4, 2)", [decimal.Decimal("7.00")]),
    (pa.float64(), [2.0, None], "int64", [2, None]),
    (pa.float64(), [0.1, 1e300, math.inf], "float32", [float(np.float32(0.1)), math.inf, math.inf]),
    (pa.float64(), [math.nan, 0.0, -0.5], "bool", [True, False, True]),
    (pa.float16(), [0.5, 0.0], "bool", [True, False]),
    (pa.float16(), [2.0, None], "uint8", [2, None]),
    (pa.bool_(), [True, False, None], "int64", [1, 0, None]),
    (pa.bool_(), [True, None], "float16", [1.0, None]),
    (pa.bool_(), [True], "decimal128(3, 0)", [decimal.Decimal(1)]),
    (pa.bool_(), [True, False, None], "string", ["true", "false", None]),
    (pa.string(), ["-1", "007", None], "int32", [-1, 7, None]),
    (pa.large_string(), ["1", None], "int64", [1, None]),
    (pa.string(), ["1.5", "1e3", "-inf", None], "float64", [1.5, 1000.0, -math.inf, None]),
    (pa.string(), ["true", "False", "1", "0", None], "bool", [True, False, True, False, None]),
    (pa.string(), ["1.25"], "decimal128(4, 2)", [decimal.Decimal("1.25")]),
    (pa.string(), ["é", None], "binary", ["é".encode(), None]),
    (pa.binary(), [b"\xc3\xa9", None], "string", ["é", None]),
    (pa.string(), ["a"], "large_string", ["a"]),
    (pa.string(), ["2024-03-01T12:30:00", "2024-03-01 12:30", None], "timestamp[us]", [NOON, NOON, None]),
    (pa.string(), ["2024-03-01", None], "date32", [DAY, None]),
    (pa.timestamp("us"), [NOON, None], "date32", [DAY, None]),
    (pa.timestamp("us"), [NOON], "timestamp[s]", [NOON]),
    (pa.timestamp("s"), [NOON], "string", ["2024-03-01 12:30:00"]),
    (pa.timestamp("s"), [NOON], "int64", [1709296200]),
    (pa.timestamp("us"), [NOON], "time64[us]", [NOON.time()]),
    (pa.date32(), [DAY, None], "int64", [19783, None]),
    (pa.date32(), [DAY], "string", ["2024-03-01"]),
    (pa.date32(), [DAY], "timestamp[us]", [datetime.datetime(2024, 3, 1)]),  # noqa: DTZ001 - without a time zone
    (pa.int64(), [19783, None], "date32", [DAY, None]),
    (pa.int64(), [1709296200], "timestamp[s]", [NOON]),
    (pa.duration("s"), [datetime.timedelta(1)], "int64", [86400]),
    (pa.int8(), [1], "duration[s]", [datetime.timedelta(seconds=1)]),
    (pa.time32("s"), [datetime.time(0, 1)], "string", ["00:01:00"]),
    (pa.decimal128(4, 2), [decimal.Decimal("2.00"), None], "int64", [2, None]),
    (pa.decimal128(4, 2), [decimal.Decimal("2.50")], "string", ["2.50"]),
    (pa.decimal128(4, 2), [decimal.Decimal("2.50"), decimal.Decimal(0)], "bool", [True, False]),
    (pa.null(), [None], "int64", [None]),
]


@pytest.mark.parametrize(
    ("kind", "values", "to", "expected"), CASTS, ids=[f"{row[0]}-{row[2]}" for row in CASTS]
)
@pytest.mark.parametrize("strict", [True, False])
def test_values_that_fit(kind, values, to, expected, strict):
    result = cast(values, kind, to, strict=strict)
    assert result == expected
    assert [type(value) for value in result] == [type(value) for value in expected]
    assert cast([None, *values], kind, to, strict=strict) == [None, *expected]


MISFITS = [
    (pa.int64(), [1, 128], "int8", "not in range: -128 to 127"),
    (pa.int64(), [1, -1], "uint64", "not in range"),
    (pa.float64(), [1.0, 1.5], "int64", "truncated"),
    (pa.float64(), [1.0, math.nan], "int64", "truncated"),
    (pa.float64(), [1.0, 2.0**63], "int64", "out of the range of int64"),
    (pa.float32(), [1.0, 256.0], "uint8", "out of the range of uint8"),
    (pa.string(), ["1", "1.0"], "int64", "Failed to parse string: '1.0'"),
    (pa.string(), ["1", "0x1F"], "int64", "Failed to parse string: '0x1F'"),
    (pa.string(), ["1", " 1"], "int64", "Failed to parse string: ' 1'"),
    (pa.string(), ["1", "99999999999999999999"], "int64", "Failed to parse"),
    (pa.string(), ["1", "300"], "int8", "Failed to parse"),
    (pa.string(), ["1", ""], "float64", "Failed to parse string: ''"),
    (pa.string(), ["1", "one"], "float32", "Failed to parse string: 'one'"),
    (pa.string(), ["1", "yes"], "bool", "Failed to parse"),
    (pa.string(), ["2024-03-01", "March"], "date32", "Failed to parse string: 'March'"),
    (pa.string(), ["2024-03-01", "2024-03-01T00:00Z"], "timestamp[us]", "expected no zone offset"),
    (pa.binary(), [b"a", b"\xff"], "string", "UTF8"),
    (pa.timestamp("us"), [NOON, NOON.replace(microsecond=1)], "timestamp[s]", "lose data"),
    (pa.decimal128(4, 2), [decimal.Decimal("1.00"), decimal.Decimal("1.50")], "int64", "data loss"),
    (pa.string(), ["1.25", "1.255"], "decimal128(4, 2)", "data loss"),
    (pa.string(), ["1", "1" * 50], "decimal128(38, 0)", "does not fit"),
    (pa.large_string(), ["1", "99e37"], "decimal128(38, 0)", "does not fit"),
    (pa.string(), ["1", "1" * 80], "decimal256(76, 0)", "does not fit"),
    (pa.int64(), [1, 1000], "decimal128(4, 2)", "does not fit"),
    (pa.int64(), [1, 2**40], "date32", "not in range"),
]
MISFIT_IDS = [str(number) for number in range(len(MISFITS))]


@pytest.mark.parametrize(("kind", "values", "to", "message"), MISFITS, ids=MISFIT_IDS)
def test_a_value_that_does_not_fit_is_an_error_with_its_row(kind, values, to, message):
    with pytest.raises(NodeError, match=message) as raised:
        cast(values, kind, to)
    assert raised.value.row == 1
    assert raised.value.node == "cast"
    assert "strict=False" in raised.value.hint


@pytest.mark.parametrize(("kind", "values", "to", "message"), MISFITS, ids=MISFIT_IDS)
def test_a_value_that_does_not_fit_is_null_where_not_strict(kind, values, to, message):
    fits = cast(values[:1], kind, to)
    assert cast([*values, None, *values], kind, to, strict=False) == [*fits, None, None, *fits, None]


def test_a_fraction_gets_the_hint_to_round():
    with pytest.raises(NodeError) as raised:
        cast([1.5], pa.float64(), int)
    assert ".round()" in raised.value.hint


@given(st.lists(st.none() | st.floats()))
@example(
    [1.0, -1.0, -0.0, 0.0, 1e15, 1e16, 123456789012.5, 1e-4, 1e-5, 1e22, 5e-324, math.nan, -math.inf, None]
)
def test_floats_are_written_as_in_python(values):
    assert cast(values, pa.float64(), str) == [None if value is None else repr(value) for value in values]


@given(st.lists(st.floats(width=32)))
def test_narrow_floats_are_written_as_short_as_they_are(values):
    texts = cast(values, pa.float32(), str)
    assert cast(texts, pa.string(), "float32") == pytest.approx(values, nan_ok=True, rel=0, abs=0)
    shortest = [float(np.format_float_scientific(np.float32(value), unique=True)) for value in values]
    assert texts == [repr(value) for value in shortest]


def test_the_narrowest_floats_are_written_as_short_as_they_are():
    values = [0.1, 1.0, 65504.0, 6e-8, -0.0, math.nan, math.inf, 2049.0, None]
    texts = ["0.1", "1.0", "65500.0", "6e-08", "-0.0", "nan", "inf", "2048.0", None]
    assert cast(values, pa.float16(), str) == texts


@given(st.lists(st.floats()))
def test_written_floats_are_read_back(values):
    table = pa.table({"x": values}, pa.schema({"x": pa.float64()}))
    back = evaluate(flow_of(table.schema).x.cast(str).cast(float), table)
    assert back.equals(table.column("x").combine_chunks()) or any(math.isnan(value) for value in values)
    assert [repr(value) for value in back.to_pylist()] == [repr(value) for value in values]


PYTHON_TYPES = [
    (int, "int64"),
    (float, "float64"),
    (str, "string"),
    (bool, "bool"),
    (pa.int8(), "int8"),
    ("int", "int64"),
    (datasets.Value("int16"), "int16"),
    (datetime.date, "date32"),
    (datetime.datetime, "timestamp[us]"),
]


@pytest.mark.parametrize(
    ("to", "dtype"), PYTHON_TYPES, ids=[str(number) for number in range(len(PYTHON_TYPES))]
)
def test_types_may_be_given_in_python(to, dtype):
    src = flow_of({"x": datasets.Value("int64")})
    assert feature_of(src.x.cast(to)).dtype == dtype


def test_labels_are_numbers_with_names():
    assert cast([0, 1, None, -1], pa.int64(), str, LABELS) == ["ham", "spam", None, None]
    assert cast([0, 1, None], pa.int64(), "large_string", LABELS) == ["ham", "spam", None]
    assert cast([0, 1, None], pa.int64(), "int8", LABELS) == [0, 1, None]
    assert cast([0, 1, None], pa.int64(), float, LABELS) == [0.0, 1.0, None]
    assert cast([0, 1, None], pa.int64(), OTHER_LABELS, LABELS) == [2, 0, None]
    assert cast(["spam", None, "ham"], pa.string(), LABELS) == [1, None, 0]
    assert cast(["spam"], pa.large_string(), LABELS) == [1]
    assert cast([1, -1, None], pa.int8(), LABELS) == [1, -1, None]


def test_labels_that_do_not_exist():
    with pytest.raises(NodeError, match="'spamm' is none of the labels") as raised:
        cast(["ham", "spamm"], pa.string(), LABELS)
    assert raised.value.row == 1
    assert "did you mean 'spam'?" in raised.value.hint
    with pytest.raises(NodeError, match="'eggs' is none of the labels"):
        cast([1], pa.int64(), LABELS, OTHER_LABELS)
    with pytest.raises(NodeError, match="2 is the number of none of the 2 labels"):
        cast([0, 2], pa.int64(), LABELS)
    assert cast(["spamm", "ham", "eggs"], pa.string(), LABELS, strict=False) == [None, 0, None]
    assert cast([2, 0, -5], pa.int64(), LABELS, strict=False) == [None, 0, None]


def test_lists_and_structs_are_cast_inside():
    assert cast([["1", None], None, []], pa.list_(pa.string()), datasets.List(datasets.Value("int64"))) == [
        [1, None],
        None,
        [],
    ]
    assert cast([[1.0], None], pa.list_(pa.float64()), datasets.LargeList(datasets.Value("string"))) == [
        ["1.0"],
        None,
    ]
    assert cast([[1, 2], None], pa.list_(pa.int64(), 2), datasets.List(datasets.Value("float32"))) == [
        [1.0, 2.0],
        None,
    ]
    assert cast([[1, 2], None], pa.list_(pa.int64()), datasets.List(datasets.Value("int8"), length=2)) == [
        [1, 2],
        None,
    ]
    struct = {"b": datasets.Value("string"), "a": datasets.Value("float64")}
    kind = pa.struct({"a": pa.int64(), "b": pa.bool_()})
    table = pa.table({"x": pa.array([{"a": 1, "b": True}, None], kind)})
    result = evaluate(Cast(to=struct).call(flow_of(table.schema).x), table)
    assert result.to_pylist() == [{"b": "true", "a": 1.0}, None]
    labels = datasets.List(LABELS)
    assert cast([[0, 1]], pa.list_(pa.int64()), datasets.List(datasets.Value("string")), labels) == [
        ["ham", "spam"]
    ]


def test_lists_that_are_sliced():
    table = pa.table({"x": [["1"], ["2", "3"], None, ["4"]]})
    ref = flow_of(table.schema).x.cast(datasets.List(datasets.Value("int64")))
    assert evaluate(ref, table.slice(1)).to_pylist() == [[2, 3], None, [4]]
    assert evaluate(ref, table.slice(4)).to_pylist() == []


def test_what_is_stored_alike_is_only_named_anew():
    array = datasets.Array2D((1, 2), "int32")
    nested = datasets.List(datasets.List(datasets.Value("int32")))
    image = datasets.Image()
    struct = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    table = pa.table({"x": pa.array([[[1, 2]], None], pa.list_(pa.list_(pa.int32())))})
    src = flow_of(table.schema)
    there = src.x.cast(array)
    assert feature_of(there) == array
    assert evaluate(there.cast(nested), table).to_pylist() == [[[1, 2]], None]
    assert feature_of(flow_of({"x": struct})["x"]) == struct
    assert feature_of(Cast(to=image).call(flow_of({"x": struct}).x)) == image


def test_instants_take_the_date_and_text_of_their_time_zone():
    kind = pa.timestamp("s", "America/New_York")
    late = datetime.datetime(2024, 3, 1, 2, tzinfo=datetime.timezone.utc)
    assert cast([late], kind, "date32") == [datetime.date(2024, 2, 29)]
    assert cast([late], kind, str) == ["2024-02-29 21:00:00-0500"]
    assert cast([late], kind, "timestamp[s]") == [late.replace(tzinfo=None)]


REFUSED = [
    ("string", "duration[s]", "string cannot be cast to duration", '"int64" first'),
    ("float64", "timestamp[s]", "float64 cannot be cast to timestamp", '"int64" first'),
    ("duration[s]", "string", "duration.* cannot be cast to string", '"int64"'),
    ("float64", LABELS, "cannot be cast to ClassLabel", "text and integers"),
    ("bool", LABELS, "cannot be cast to ClassLabel", "text and integers"),
    ("int64", datasets.List(datasets.Value("int64")), "cannot be cast to list", None),
    ("int64", {"a": datasets.Value("int64")}, "cannot be cast to {a: int64}", None),
    ("binary", "int64", "binary cannot be cast to int64", None),
]


@pytest.mark.parametrize(
    ("dtype", "to", "message", "hint"), REFUSED, ids=[str(number) for number in range(len(REFUSED))]
)
def test_casts_that_make_no_sense_are_refused(dtype, to, message, hint):
    src = flow_of({"x": datasets.Value(dtype)})
    with pytest.raises(DefinitionError, match=message) as raised:
        src.x.cast(to)
    assert hint is None or hint in raised.value.hint
    assert "test_casts.py:" in str(raised.value)


def test_structs_need_the_same_fields():
    src = flow_of({"x": {"a": datasets.Value("int64")}})
    with pytest.raises(DefinitionError, match="cannot be cast") as raised:
        Cast(to={"a": datasets.Value("int64"), "b": datasets.Value("int64")}).call(src.x)
    assert "only one has: b" in raised.value.hint


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("int63", "there is no dtype 'int63'\n  hint: did you mean 'int64'?"),
        ({"a": "int63"}, "there is no dtype 'int63'\n  hint: did you mean 'int64'?"),
        ("wat", "there are: bool, int8"),
        (decimal.Decimal, "Decimal says too little"),
        (list, "list says too little"),
        (7, 'give a dtype like "int64"'),
    ],
)
def test_what_is_no_type_is_refused(to, message):
    src = flow_of({"x": datasets.Value("int64")})
    with pytest.raises(DefinitionError) as raised:
        src.x.cast(to)
    assert message in str(raised.value)


def test_a_saved_cast_is_the_same():
    table = pa.table({"x": pa.array([0, 1], pa.int64())})
    node = Cast(to=str).specialise(LABELS)
    loaded = Cast.model_validate_json(node.model_dump_json())
    assert loaded.specialise(LABELS).identity() == node.identity()
    src = flow_of({"x": LABELS})
    assert evaluate(loaded.call(src.x), table).to_pylist() == ["ham", "spam"]


@pytest.mark.parametrize("to", [{"a": "int8"}, [datasets.Value("int8")], {"_type": datasets.Value("int8")}])
def test_a_saved_cast_to_parts_is_the_same(to):
    node = Cast(to=to)
    assert Cast.model_validate_json(node.model_dump_json()).to == node.to


def test_casts_of_two_inputs_with_one_configuration_differ():
    src = flow_of({"x": LABELS, "y": OTHER_LABELS})
    node = Cast(to=str)
    table = pa.table({"x": pa.array([0]), "y": pa.array([0])})
    assert evaluate(node.call(src.x), table).to_pylist() == ["ham"]
    assert evaluate(node.call(src.y), table).to_pylist() == ["spam"]
