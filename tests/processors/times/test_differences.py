"""`+` and `-` on times against Python's datetime."""

# ruff: noqa: DTZ001 - times without a zone are what is tested

from __future__ import annotations

import datetime

import datasets
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionTypeError, NodeError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import evaluate, flow_of

UTC = datetime.timezone.utc
TIMES = st.one_of(st.none(), st.datetimes(datetime.datetime(1600, 1, 1), datetime.datetime(2400, 1, 1)))
DATES = st.one_of(st.none(), st.dates(datetime.date(1600, 1, 1), datetime.date(2400, 1, 1)))
YEARS = datetime.timedelta(days=365 * 200)
DURATIONS = st.one_of(st.none(), st.timedeltas(-YEARS, YEARS))
KINDS = {
    "stamp": (TIMES, pa.timestamp("us")),
    "day": (DATES, pa.date32()),
    "day64": (DATES, pa.date64()),
    "took": (DURATIONS, pa.duration("us")),
}


def rows_of(draw, left, right):
    rows = draw(st.lists(st.tuples(KINDS[left][0], KINDS[right][0])))
    columns = list(zip(*rows, strict=True)) or [(), ()]
    table = pa.table(
        {
            name: pa.array([None, *values], KINDS[kind][1])
            for name, kind, values in zip("lr", (left, right), columns, strict=True)
        }
    ).slice(1)
    return table, rows


def expected(rows, function):
    return [None if None in row else function(*row) for row in rows]


@given(data=st.data())
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("stamp", "took"),
        ("took", "stamp"),
        ("day", "took"),
        ("took", "day"),
        ("day64", "took"),
        ("took", "took"),
    ],
)
def test_sums(left, right, data):
    table, rows = rows_of(data.draw, left, right)
    src = flow_of(table.schema)
    result = evaluate(src.l + src.r, table)
    assert result.type == KINDS[left if right == "took" else right][1]
    assert result.to_pylist() == expected(rows, lambda one, other: one + other)


@given(data=st.data())
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("stamp", "stamp"),
        ("day", "day"),
        ("day64", "day64"),
        ("day", "day64"),
        ("took", "took"),
        ("stamp", "took"),
        ("day", "took"),
        ("day64", "took"),
    ],
)
def test_differences(left, right, data):
    table, rows = rows_of(data.draw, left, right)
    src = flow_of(table.schema)
    result = evaluate(src.l - src.r, table)
    assert result.to_pylist() == expected(rows, lambda one, other: one - other)


@given(data=st.data(), duration=st.timedeltas(-YEARS, YEARS), kind=st.sampled_from(list(KINDS)))
def test_python_durations(data, duration, kind):
    values = data.draw(st.lists(KINDS[kind][0]))
    table = pa.table({"x": pa.array(values, KINDS[kind][1])})
    src = flow_of(table.schema)
    added = [None if value is None else value + duration for value in values]
    assert evaluate(src.x + duration, table).to_pylist() == added
    assert evaluate(duration + src.x, table).to_pylist() == added
    assert evaluate(src.x - duration, table).to_pylist() == [
        None if value is None else value - duration for value in values
    ]


def test_python_times():
    noon = datetime.datetime(2001, 10, 26, 12)
    table = pa.table({"x": pa.array([noon, None], pa.timestamp("s")), "day": [noon.date(), None]})
    src = flow_of(table.schema)
    hours = datetime.timedelta(hours=12)
    assert evaluate(src.x - datetime.datetime(2001, 10, 26), table).to_pylist() == [hours, None]
    assert evaluate(datetime.datetime(2001, 10, 27) - src.x, table).to_pylist() == [hours, None]
    assert evaluate(src.x - datetime.date(2001, 10, 26), table).to_pylist() == [hours, None]
    assert evaluate(src.x - src.day, table).to_pylist() == [hours, None]
    assert evaluate(src.day - src.x, table).to_pylist() == [-hours, None]
    assert evaluate(datetime.date(2001, 10, 27) - src.day, table).to_pylist() == [2 * hours, None]
    assert evaluate(src.x - None, table).to_pylist() == [None, None]
    assert evaluate(src.day + None, table).to_pylist() == [None, None]


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        ("timestamp[s]", "duration[ms]", "timestamp[ms]"),
        ("timestamp[ns]", "duration[s]", "timestamp[ns]"),
        ("timestamp[s, tz=Europe/Berlin]", "duration[us]", "timestamp[us, tz=Europe/Berlin]"),
        ("duration[s]", "duration[us]", "duration[us]"),
        ("date32", "duration[ns]", "date32"),
        ("date64", "duration[s]", "date64"),
    ],
)
def test_the_unit_is_the_finer_of_both(left, right, result):
    src = flow_of({"l": datasets.Value(left), "r": datasets.Value(right)})
    assert [feature_of(ref).dtype for ref in (src.l + src.r, src.r + src.l, src.l - src.r)] == [result] * 3


def test_units_meet():
    table = pa.table(
        {"a": pa.array([10, None], pa.timestamp("s")), "b": pa.array([9_999, 1], pa.timestamp("ms"))}
    )
    src = flow_of(table.schema)
    result = evaluate(src.a - src.b, table)
    assert result.type == pa.duration("ms")
    assert result.to_pylist() == [datetime.timedelta(milliseconds=1), None]


def test_instants_are_apart_what_has_passed_between_them():
    before = datetime.datetime(2021, 3, 27, 12, tzinfo=UTC)
    table = pa.table({"x": pa.array([before], pa.timestamp("s", "Europe/Berlin"))})
    src = flow_of(table.schema)
    assert evaluate((src.x + datetime.timedelta(days=1)).hour() - src.x.hour(), table).to_pylist() == [1]
    assert evaluate(src.x - before, table).to_pylist() == [datetime.timedelta()]


def test_times_of_day_have_a_difference():
    table = pa.table({"a": pa.array([3600], pa.time32("s")), "b": pa.array([3601 * 10**6], pa.time64("us"))})
    src = flow_of(table.schema)
    assert evaluate(src.a - src.b, table).to_pylist() == [datetime.timedelta(seconds=-1)]
    assert evaluate(src.a - datetime.time(0, 30), table).to_pylist() == [datetime.timedelta(minutes=30)]
    with pytest.raises(DefinitionTypeError, match="compute with the timestamp"):
        src.a + datetime.timedelta(hours=1)


def test_overflow_is_an_error():
    limit = 2**63 - 1
    table = pa.table(
        {
            "x": pa.array([0, limit], pa.timestamp("ns")),
            "far": pa.array([0, limit], pa.timestamp("s")),
            "day": pa.array([0, 2**31 - 1], pa.int32()).cast(pa.date32()),
            "took": pa.array([1, 1], pa.duration("ns")),
        }
    )
    src = flow_of(table.schema)
    for ref, shown in [
        (src.x + src.took, r"'\+' does not fit into timestamp\[ns\]"),
        (src.far - src.x, r"'-' does not fit into duration\[ns\]"),
        (src.far + datetime.timedelta(microseconds=1), r"timestamp\[us\]"),
        (src.day + datetime.timedelta(days=1), "date32"),
    ]:
        with pytest.raises(NodeError, match=shown) as raised:
            evaluate(ref, table)
        assert raised.value.row == 1
        assert raised.value.hint


def test_what_has_no_sum_or_difference():
    src = flow_of(
        {
            "x": datasets.Value("timestamp[us]"),
            "berlin": datasets.Value("timestamp[us, tz=Europe/Berlin]"),
            "utc": datasets.Value("timestamp[us, tz=UTC]"),
            "day": datasets.Value("date32"),
            "took": datasets.Value("duration[us]"),
        }
    )
    wrong = [
        (
            lambda: src.berlin - src.utc,
            r"one time zone, got timestamp\[us, tz=Europe/Berlin\](?s:.)*hint: .*cast",
        ),
        (lambda: src.x - src.utc, "one has a time zone, the other has none"),
        (lambda: src.utc - datetime.datetime(2001, 1, 1), "one has a time zone"),
        (lambda: src.utc - src.day, "one has a time zone"),
        (
            lambda: src.x + src.x,
            r"'\+' means nothing for timestamp\[us\] and timestamp\[us\](?s:.)*only a duration",
        ),
        (lambda: src.took - src.x, r"(?s)'-' means nothing for duration\[us\].*time - duration"),
        (lambda: src.x + 5, r"(?s)means nothing for timestamp\[us\] and int64.*timedelta\(seconds="),
        (lambda: src.x - "2001-01-01", "to_timestamp"),
        (lambda: 5 + src.x, r"(?s)means nothing for timestamp\[us\] and int64.*timedelta\(seconds="),
    ]
    for write, shown in wrong:
        with pytest.raises(DefinitionTypeError, match=shown):
            write()
