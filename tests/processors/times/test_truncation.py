"""`truncate`, `date` and `time` against Python's datetime."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import datasets
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError, NodeError
from hyped_beam.testing import evaluate, flow_of

UTC = datetime.timezone.utc
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo"]
CLOCK_UNITS = ["hour", "minute", "second", "millisecond", "microsecond"]
CALENDAR_UNITS = ["year", "quarter", "month", "week", "day"]


def start_of_day(day, unit):
    if unit == "week":
        return day - datetime.timedelta(days=day.weekday())
    month = {"year": 1, "quarter": (day.month - 1) // 3 * 3 + 1}.get(unit, day.month)
    return day.replace(month=month, day=day.day if unit == "day" else 1)


def start_of(time, unit):
    if unit == "millisecond":
        return time.replace(microsecond=time.microsecond // 1000 * 1000)
    if unit in CLOCK_UNITS:
        smaller = (
            ["minute", "second", "microsecond"][CLOCK_UNITS.index(unit) :] if unit != "microsecond" else []
        )
        return time.replace(**dict.fromkeys(smaller, 0))
    day = start_of_day(time.date(), unit)
    return datetime.datetime(day.year, day.month, day.day, tzinfo=time.tzinfo)


@given(data=st.data(), unit=st.sampled_from(CLOCK_UNITS + CALENDAR_UNITS))
def test_timestamps_without_a_zone(data, unit, naive_times, computed):
    values = data.draw(naive_times)
    result = computed(values, pa.timestamp("us"), lambda ref: ref.truncate(unit))
    assert result.type == pa.timestamp("us")
    assert result.to_pylist() == [value and start_of(value, unit) for value in values]


@given(data=st.data(), zone=st.sampled_from(ZONES), unit=st.sampled_from(CLOCK_UNITS + CALENDAR_UNITS))
def test_timestamps_with_a_zone(data, zone, unit, instants, computed):
    values = data.draw(instants)
    result = computed(values, pa.timestamp("us", zone), lambda ref: ref.truncate(unit)).cast(
        pa.timestamp("us", "UTC")
    )
    expected = [
        value and start_of(value.astimezone(ZoneInfo(zone)), unit).astimezone(UTC) for value in values
    ]
    assert result.to_pylist() == expected


@given(values=st.lists(st.one_of(st.none(), st.dates())), unit=st.sampled_from(CALENDAR_UNITS))
def test_dates(values, unit, computed):
    for kind in (pa.date32(), pa.date64()):
        result = computed(values, kind, lambda ref: ref.truncate(unit))
        assert result.type == kind
        assert result.to_pylist() == [value and start_of_day(value, unit) for value in values]


@given(values=st.lists(st.one_of(st.none(), st.times())), unit=st.sampled_from(CLOCK_UNITS))
def test_times_of_day(values, unit, computed):
    result = computed(values, pa.time64("us"), lambda ref: ref.truncate(unit))
    assert result.to_pylist() == [None if value is None else start_of(value, unit) for value in values]


@given(data=st.data(), zone=st.sampled_from(ZONES))
def test_parts(data, zone, instants, computed):
    values = data.draw(instants)
    shown = [value and value.astimezone(ZoneInfo(zone)) for value in values]
    dates = computed(values, pa.timestamp("us", zone), lambda ref: ref.date())
    assert dates.type == pa.date32()
    assert dates.to_pylist() == [value and value.date() for value in shown]
    times = computed(values, pa.timestamp("us", zone), lambda ref: ref.time())
    assert times.type == pa.time64("us")
    assert times.to_pylist() == [None if value is None else value.time() for value in shown]


def test_a_coarse_unit_has_coarse_times_of_day(computed):
    assert computed([-1], pa.timestamp("s"), lambda ref: ref.time()).type == pa.time32("s")
    assert computed([-1], pa.timestamp("s"), lambda ref: ref.truncate("millisecond")).cast(
        "int64"
    ).to_pylist() == [-1]


def test_a_start_out_of_range_is_an_error():
    table = pa.table({"x": pa.array([0, -(2**63)], pa.timestamp("ns"))})
    with pytest.raises(NodeError, match="start of the year does not fit") as raised:
        evaluate(flow_of(table.schema).x.truncate("year"), table)
    assert raised.value.row == 1


def test_units_that_are_not_there():
    src = flow_of({"day": datasets.Value("date32"), "at": datasets.Value("time32[s]")})
    with pytest.raises(DefinitionError, match=r"(?s)date32 has no hour.*year, quarter, month, week, day"):
        src.day.truncate("hour")
    with pytest.raises(DefinitionError, match="has no day"):
        src.at.truncate("day")
    with pytest.raises(DefinitionError, match=r"'hour'.*got 'hours'"):
        src.at.truncate("hours")
