"""Arithmetic on durations against Python's timedelta."""

from __future__ import annotations

import datetime
import math

import datasets
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionTypeError, NodeError
from hyped_beam.testing import evaluate, flow_of

YEARS = datetime.timedelta(days=365 * 200)
MICROSECOND = datetime.timedelta(microseconds=1)
DURATIONS = st.one_of(st.none(), st.timedeltas(-YEARS, YEARS))
FACTORS = st.one_of(st.none(), st.integers(-1000, 1000))


def evaluated(rows, kind, operate):
    left, right = list(zip(*rows, strict=True)) or ((), ())
    table = pa.table(
        {"l": pa.array([None, *left], pa.duration("us")), "r": pa.array([None, *right], kind)}
    ).slice(1)
    src = flow_of(table.schema)
    return evaluate(operate(src.l, src.r), table)


def expected(rows, function):
    return [None if None in row else function(*row) for row in rows]


@given(rows=st.lists(st.tuples(DURATIONS, FACTORS)))
def test_integers_multiply(rows):
    result = evaluated(rows, pa.int16(), lambda duration, factor: duration * factor)
    assert result.type == pa.duration("us")
    assert result.to_pylist() == expected(rows, lambda duration, factor: duration * factor)


@given(rows=st.lists(st.tuples(DURATIONS, FACTORS.filter(lambda factor: factor != 0))))
@example(
    rows=[
        (datetime.timedelta(microseconds=count), divisor) for count in range(-9, 9) for divisor in (-4, 2, 6)
    ]
)
def test_integers_divide_and_halves_go_to_even(rows):
    result = evaluated(rows, pa.int64(), lambda duration, divisor: duration / divisor)
    assert result.type == pa.duration("us")
    assert result.to_pylist() == expected(rows, lambda duration, divisor: duration / divisor)


@given(
    rows=st.lists(
        st.tuples(
            st.timedeltas(datetime.timedelta(days=-365), datetime.timedelta(days=365)),
            st.one_of(st.none(), st.floats(0.001, 1000), st.floats(-1000, -0.001)),
        )
    )
)
def test_floats_are_within_a_unit(rows):
    for operate in (lambda duration, number: duration * number, lambda duration, number: duration / number):
        result = evaluated(rows, pa.float64(), operate)
        assert result.type == pa.duration("us")
        for found, wanted in zip(result.to_pylist(), expected(rows, operate), strict=True):
            assert found is wanted is None or abs(found - wanted) <= max(MICROSECOND, abs(wanted) / 2**52)


def test_literals():
    table = pa.table({"x": pa.array([3, None], pa.duration("s"))})
    src = flow_of(table.schema)
    seconds = datetime.timedelta(seconds=1)
    assert evaluate(src.x * 2, table).to_pylist() == [6 * seconds, None]
    assert evaluate(src.x * 0.5, table).to_pylist() == [2 * seconds, None]
    assert evaluate(src.x / 2, table).to_pylist() == [2 * seconds, None]
    assert evaluate(src.x / seconds, table).to_pylist() == [3.0, None]
    assert evaluate(6 * seconds / src.x, table).to_pylist() == [2.0, None]
    assert evaluate(src.x * None, table).to_pylist() == [None, None]
    assert evaluate(src.x / None, table).to_pylist() == [None, None]


@given(
    rows=st.lists(st.tuples(DURATIONS, DURATIONS.filter(lambda duration: duration != datetime.timedelta())))
)
def test_durations_divide(rows):
    result = evaluated(rows, pa.duration("us"), lambda left, right: left / right)
    assert result.type == pa.float64()
    assert result.to_pylist() == expected(rows, lambda left, right: left / right)


def test_durations_of_other_units_divide():
    table = pa.table(
        {"l": pa.array([1, 0, 1], pa.duration("s")), "r": pa.array([250, 0, 0], pa.duration("ms"))}
    )
    src = flow_of(table.schema)
    one, nan, inf = evaluate(src.l / src.r, table).to_pylist()
    assert (one, inf) == (4.0, math.inf)
    assert math.isnan(nan)


@given(values=st.lists(DURATIONS))
def test_one_duration(values, computed):
    kind = pa.duration("us")
    assert computed(values, kind, lambda ref: -ref).to_pylist() == [
        None if value is None else -value for value in values
    ]
    lengths = [None if value is None else abs(value) for value in values]
    assert computed(values, kind, abs).to_pylist() == lengths
    assert computed(values, kind, lambda ref: ref.abs()).to_pylist() == lengths
    seconds = computed(values, kind, lambda ref: ref.total_seconds())
    assert seconds.type == pa.float64()
    assert seconds.to_pylist() == [None if value is None else value.total_seconds() for value in values]


def test_what_does_not_fit_is_an_error():
    smallest = -(2**63)
    table = pa.table({"x": pa.array([1, smallest], pa.duration("ns")), "n": [1.0, math.nan], "z": [1, 0]})
    src = flow_of(table.schema)
    for ref, shown in [
        (-src.x, "'-' does not fit"),
        (abs(src.x), "'abs' does not fit"),
        (src.x * 2, r"'\*' does not fit into duration\[ns\]"),
        (src.x * 2.0, r"'\*' does not fit"),
        (src.x / -1, "'/' does not fit"),
        (src.x / 0.5, "'/' does not fit"),
        (src.x * src.n, r"'\*' does not fit"),
        (src.x / src.z, "(?s)ZeroDivisionError: duration '/' by zero.*if_else"),
        (src.x / (src.z * 1.0), "duration '/' by zero"),
    ]:
        with pytest.raises(NodeError, match=shown) as raised:
            evaluate(ref, table)
        assert raised.value.row == 1


def test_nothing_happens_under_nulls():
    table = pa.table({"x": pa.array([4, None], pa.duration("us")), "z": [2, 0], "n": [2.0, math.nan]})
    src = flow_of(table.schema)
    half = [2 * MICROSECOND, None]
    assert evaluate(src.x / src.z, table).to_pylist() == half
    assert evaluate(src.x / src.n, table).to_pylist() == half
    assert evaluate(src.x * src.n, table).to_pylist() == [8 * MICROSECOND, None]


def test_wrong_types_are_refused():
    src = flow_of({"took": datasets.Value("duration[us]"), "text": datasets.Value("string")})
    with pytest.raises(
        DefinitionTypeError, match=r"(?s)'\*' means nothing for duration\[us\] and string.*integer"
    ):
        src.took * src.text
    with pytest.raises(
        DefinitionTypeError, match=r"'\*' means nothing for duration\[us\] and duration\[us\]"
    ):
        src.took * src.took
    with pytest.raises(
        DefinitionTypeError, match=r"(?s)'/' means nothing for duration\[us\] and bool.*duration"
    ):
        src.took / True
