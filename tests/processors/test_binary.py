"""Binary methods against `bytes`."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError, NodeError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import evaluate, flow_of

VALUES = st.lists(st.one_of(st.none(), st.binary(max_size=8), st.text(max_size=3).map(str.encode)))
PLACES = st.one_of(st.none(), st.integers(-6, 6))


BINARY = pa.binary()


def run(operate, values, kind=BINARY):
    column = pa.array(
        [b"\xffbefore"[: kind.byte_width if pa.types.is_fixed_size_binary(kind) else None], *values], kind
    )
    batch = pa.RecordBatch.from_arrays([column.slice(1)], ["data"])
    return evaluate(operate(flow_of(batch.schema).data), batch).to_pylist()


def same_as_python(operate, function, values):
    expected = [None if value is None else function(value) for value in values]
    for kind in (pa.binary(), pa.large_binary()):
        assert run(operate, values, kind) == expected


@given(VALUES)
def test_length(values):
    same_as_python(lambda data: data.length(), len, values)


@given(VALUES, PLACES, PLACES)
def test_slice(values, start, stop):
    same_as_python(lambda data: data[start:stop], lambda value: value[start:stop], values)


@given(VALUES, st.binary(max_size=3))
def test_add(values, other):
    same_as_python(lambda data: data + other, lambda value: value + other, values)
    same_as_python(lambda data: other + data, lambda value: other + value, values)


@given(VALUES, st.binary(max_size=3))
def test_search(values, pattern):
    same_as_python(lambda data: data.contains(pattern), lambda value: pattern in value, values)
    same_as_python(lambda data: data.starts_with(pattern), lambda value: value.startswith(pattern), values)


@pytest.mark.parametrize("errors", ["replace", "ignore"])
@given(values=VALUES)
def test_decode(errors, values):
    same_as_python(
        lambda data: data.decode("utf-8", errors), lambda value: value.decode("utf-8", errors), values
    )


@given(st.lists(st.one_of(st.none(), st.text())))
def test_decode_gives_back_what_was_encoded(values):
    encoded = [None if value is None else value.encode() for value in values]
    for errors in ("strict", "replace", "ignore", "null"):
        assert run(lambda data, errors=errors: data.decode(errors=errors), encoded) == values


def test_decode_what_is_no_text():
    assert run(lambda data: data.decode(errors="null"), [b"ok", b"\xff", None]) == ["ok", None, None]
    with pytest.raises(NodeError, match="at row 1"):
        run(lambda data: data.decode(), [b"ok", b"\xff"])


def test_values_of_one_size():
    kind, values = pa.binary(2), [b"ab", None]

    assert run(lambda data: data.length(), values, kind) == [2, None]
    assert run(lambda data: data[1:], values, kind) == [b"b", None]
    assert run(lambda data: data + data, values, kind) == [b"abab", None]
    assert run(lambda data: data.contains(b"b"), values, kind) == [True, None]
    assert run(lambda data: data.starts_with(b"b"), values, kind) == [False, None]
    assert run(lambda data: data.decode(), values, kind) == ["ab", None]


def test_types():
    src = flow_of(pa.schema({"data": pa.binary(), "wide": pa.large_binary()}))

    assert feature_of(src.data.length()).dtype == "int64"
    assert feature_of(src.data.decode()).dtype == "string"
    assert feature_of(src.wide.decode()).dtype == "large_string"
    assert feature_of(src.data + src.wide).dtype == "large_binary"


def test_wrong_options_are_refused():
    data = flow_of(pa.schema({"data": pa.binary()})).data

    with pytest.raises(DefinitionError, match="utf-8"):
        data.decode("latin-1")
    with pytest.raises(DefinitionError, match="'null'"):
        data.decode(errors="backslashreplace")
