"""Columns as JSON text."""

from __future__ import annotations

import datetime
import decimal
import json
import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionTypeError
from hyped_beam.io.writers.json_text import check_holds, lines, text_of

DAY = datetime.datetime(2024, 2, 29, 1, 2, 3)  # noqa: DTZ001 - a time without a zone


def parsed(array):
    return [json.loads(text) for text in text_of(array).to_pylist()]


@given(st.lists(st.none() | st.text()), st.integers(0, 3), st.sampled_from([pa.string(), pa.large_string()]))
def test_any_text_comes_back(values, offset, kind):
    assert parsed(pa.array(values, kind)[offset:]) == values[offset:]


@given(st.lists(st.none() | st.floats(), min_size=1), st.sampled_from([pa.float64(), pa.float32()]))
def test_any_float_comes_back_and_what_json_lacks_is_null(values, kind):
    array = pa.array(values, pa.float64()).cast(kind, safe=False)
    wanted = [value if value is not None and math.isfinite(value) else None for value in array.to_pylist()]
    back = pa.array(parsed(array), pa.float64()).cast(kind, safe=False)
    assert back.equals(pa.array(wanted, kind))


@given(
    st.lists(
        st.none()
        | st.fixed_dictionaries(
            {
                "t": st.none() | st.text(max_size=2),
                "l": st.none() | st.lists(st.none() | st.integers(-9, 9), max_size=3),
            }
        )
    ),
    st.integers(0, 2),
    st.sampled_from([pa.list_, pa.large_list]),
)
def test_nested_values_come_back_from_any_slice(values, offset, make_list):
    kind = pa.struct({"t": pa.string(), "l": make_list(pa.int64())})
    assert parsed(pa.array(values, kind)[offset:]) == values[offset:]
    lists = pa.array([values, None, values], make_list(kind))
    assert parsed(lists[1:]) == [None, values]


def test_whole_floats_stay_floats():
    assert text_of(pa.array([1.0, -0.0, 1e20, 12345678901234.0])).to_pylist() == [
        "1.0",
        "-0.0",
        "1e+20",
        "1.2345678901234e+13",
    ]


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        (pa.array([datetime.date(2024, 2, 29), None]), ["2024-02-29", None]),
        (pa.array([DAY], pa.timestamp("s")), ["2024-02-29T01:02:03"]),
        (
            pa.array([DAY], pa.timestamp("ms", "Europe/Berlin")),
            ["2024-02-29T01:02:03.000Z"],
        ),
        (pa.array([datetime.timedelta(seconds=2)], pa.duration("ms")), [2000]),
        (pa.array([decimal.Decimal("1.10")]), ["1.10"]),
        (pa.array([b"\x00\xff", None]), ["AP8=", None]),
        (pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), [[1, 2], None]),
        (pa.array(["a", "b", None]).dictionary_encode(), ["a", "b", None]),
        (pa.array([1.5, None], pa.float16()), [1.5, None]),
        (pa.nulls(2), [None, None]),
        (pa.array([{}, None], pa.struct([])), [{}, None]),
    ],
)
def test_types_that_json_lacks_have_one_form(array, wanted):
    assert parsed(array) == wanted


def test_a_batch_is_one_object_a_line_with_names_escaped():
    batch = pa.record_batch({'a "b"\n': ["x\ny", None], "n": [1, 2]})
    text = b"".join(bytes(part) for part in lines(batch))
    assert text == b'{"a \\"b\\"\\n":"x\\ny","n":1}\n{"a \\"b\\"\\n":null,"n":2}\n'


def test_a_batch_without_columns_has_its_rows():
    from hyped_beam.io.readers.base import batch_of

    assert b"".join(bytes(part) for part in lines(batch_of([], [], 2))) == b"{}\n{}\n"


def test_large_batches_are_written_in_parts_that_kernels_can_join(monkeypatch):
    monkeypatch.setattr("hyped_beam.io.writers.plain_text.PART_BYTES", 100)
    batch = pa.record_batch({"n": list(range(1000))})
    parts = [bytes(part) for part in lines(batch)]
    assert len(parts) > 10
    assert [json.loads(line)["n"] for line in b"".join(parts).splitlines()] == list(range(1000))


def test_types_without_a_form_are_refused_by_column():
    with pytest.raises(DefinitionTypeError, match="column 'm'"):
        check_holds(pa.schema({"m": pa.map_(pa.string(), pa.int64())}))
