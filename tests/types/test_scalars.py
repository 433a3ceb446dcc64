"""Arrow scalars come back from JSON bit for bit."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import re

import datasets
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.types import features, scalars

MOMENT = datetime.datetime(2020, 2, 29, 12, 30, 1, 5, tzinfo=datetime.timezone.utc)


def back(scalar):
    saved = json.loads(json.dumps(scalars.to_json(scalar), allow_nan=False))
    return scalars.from_json(saved, scalar.type)


def bits(scalar):
    return scalars.to_ipc({"value": scalar})


plain = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(lambda value: pa.scalar(value, pa.int64())),
    st.integers(0, 2**64 - 1).map(lambda value: pa.scalar(value, pa.uint64())),
    st.floats(allow_nan=False).map(lambda value: pa.scalar(value, pa.float64())),
    st.floats(width=32, allow_nan=False).map(lambda value: pa.scalar(value, pa.float32())),
    st.floats(width=16, allow_nan=False).map(lambda value: pa.scalar(value, pa.float16())),
    st.text().map(lambda value: pa.scalar(value, pa.string())),
    st.booleans().map(pa.scalar),
    st.lists(st.none() | st.floats(allow_nan=False)).map(
        lambda value: pa.scalar(value, pa.list_(pa.float64()))
    ),
    st.none().map(lambda value: pa.scalar(value, pa.struct({"a": pa.int8()}))),
    st.fixed_dictionaries({"a": st.none() | st.text(), "": st.lists(st.booleans())}).map(
        lambda value: pa.scalar(value, pa.struct({"a": pa.large_string(), "": pa.large_list(pa.bool_())}))
    ),
)


@given(plain)
def test_plain_values_are_exact_and_readable(scalar):
    assert "value" in scalars.to_json(scalar)
    assert back(scalar).type == scalar.type
    assert bits(back(scalar)) == bits(scalar)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 5e-324])
@pytest.mark.parametrize("arrow_type", [pa.float64(), pa.float32(), pa.float16()])
def test_odd_floats(value, arrow_type):
    scalar = pa.scalar(value, arrow_type)
    assert bits(back(scalar)) == bits(scalar)
    listed = pa.scalar([value, None], pa.list_(arrow_type))
    assert bits(back(listed)) == bits(listed)


@pytest.mark.parametrize(
    "scalar",
    [
        pa.scalar(b"\x00\xff"),
        pa.scalar(b"ab", pa.binary(2)),
        pa.scalar(decimal.Decimal("1.50"), pa.decimal128(5, 2)),
        pa.scalar(MOMENT, pa.timestamp("ns", "Europe/Berlin")),
        pa.scalar(None, pa.timestamp("us")),
        pa.scalar(MOMENT.date()),
        pa.scalar(MOMENT.time()),
        pa.scalar(datetime.timedelta(days=-1, microseconds=1)),
        pa.scalar({"at": MOMENT, "n": 1}),
        pa.scalar([b"a", None]),
        pa.scalar([(1, b"a")], pa.map_(pa.int64(), pa.binary())),
    ],
    ids=lambda scalar: str(scalar.type),
)
def test_other_values_are_arrow(scalar):
    assert list(scalars.to_json(scalar)) == ["arrow"]
    assert back(scalar).equals(scalar)
    assert back(scalar).type == scalar.type


def test_text_that_is_no_utf_8_is_arrow():
    broken = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")]
    )
    assert list(scalars.to_json(broken[0])) == ["arrow"]


def test_extension_types_are_their_storage():
    arrow_type = features.to_arrow(datasets.Array2D((1, 2), "int32"))
    storage = pa.array([[[1, 2]]], arrow_type.storage_type)
    scalar = pa.ExtensionScalar.from_storage(arrow_type, storage[0])
    found = back(scalar)
    assert found.type == arrow_type
    assert found.value.as_py() == [[1, 2]]


@pytest.mark.parametrize("array", [pa.array([1, None, 3]), pa.array([], pa.string()), pa.array([b"a"])])
def test_arrays_come_back(array):
    assert scalars.to_array(back(scalars.of_array(array)[0])).equals(array)


@pytest.mark.parametrize(
    ("saved", "arrow_type", "message"),
    [
        (3, pa.int64(), 'a constant is {"value"'),
        ({"value": 1, "arrow": ""}, pa.int64(), 'a constant is {"value"'),
        ({"value": "3"}, pa.int64(), "'3' is no int64"),
        ({"value": True}, pa.int64(), "True is no int64"),
        ({"value": 1}, pa.bool_(), "1 is no bool"),
        ({"value": 300}, pa.int8(), "300"),
        ({"value": 1.5}, pa.int64(), "1.5 is no int64"),
        ({"value": {"b": 1}}, pa.struct({"a": pa.int64()}), "is no struct<a: int64>"),
        ({"value": "nan"}, pa.float64(), "'nan' is no double"),
        ({"value": 1}, pa.null(), "1 is no null"),
        ({"value": "2020-01-01"}, pa.date32(), "no type that JSON holds exactly"),
        ({"arrow": "%"}, pa.date32(), "base64"),
        ({"arrow": 3}, pa.date32(), "not 'int'"),
        ({"arrow": "AAAA"}, pa.date32(), "no Arrow data"),
    ],
)
def test_nonsense_is_refused(saved, arrow_type, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        scalars.from_json(saved, arrow_type)


def test_a_value_of_another_type_is_refused():
    saved = scalars.to_json(pa.scalar(MOMENT.date()))
    with pytest.raises(ValueError, match="where timestamp"):
        scalars.from_json(saved, pa.timestamp("us"))
