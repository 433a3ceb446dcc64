"""Fields of times against Python's datetime."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import datasets
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError
from hyped_beam.testing import evaluate, flow_of

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe"]
CALENDAR = {
    "year": lambda time: time.year,
    "quarter": lambda time: (time.month + 2) // 3,
    "month": lambda time: time.month,
    "week": lambda time: time.isocalendar().week,
    "day": lambda time: time.day,
    "weekday": lambda time: time.weekday(),
}
CLOCK = {
    name: lambda time, name=name: getattr(time, name) for name in ("hour", "minute", "second", "microsecond")
}


def expected(values, function):
    return [None if value is None else function(value) for value in values]


@given(data=st.data())
def test_timestamps_without_a_zone(data, naive_times, computed):
    values = data.draw(naive_times)
    for name, function in {**CALENDAR, **CLOCK}.items():
        result = computed(values, pa.timestamp("us"), lambda ref, name=name: getattr(ref, name)())
        assert result.type == pa.int64()
        assert result.to_pylist() == expected(values, function)


@given(data=st.data(), zone=st.sampled_from(ZONES))
def test_timestamps_have_the_fields_of_their_zone(data, zone, instants, computed):
    values = data.draw(instants)
    shown = [value and value.astimezone(ZoneInfo(zone)) for value in values]
    for name, function in {**CALENDAR, **CLOCK}.items():
        result = computed(values, pa.timestamp("us", zone), lambda ref, name=name: getattr(ref, name)())
        assert result.to_pylist() == expected(shown, function)


@given(values=st.lists(st.one_of(st.none(), st.dates())), kind=st.sampled_from([pa.date32(), pa.date64()]))
def test_dates(values, kind):
    table = pa.table({"x": pa.array(values, kind)})
    for name, function in CALENDAR.items():
        result = evaluate(getattr(flow_of(table.schema).x, name)(), table)
        assert result.to_pylist() == expected(values, function)


@given(values=st.lists(st.one_of(st.none(), st.times())))
def test_times_of_day(values, computed):
    for name, function in CLOCK.items():
        result = computed(values, pa.time64("us"), lambda ref, name=name: getattr(ref, name)())
        assert result.to_pylist() == expected(values, function)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_every_unit_before_1970(unit, computed):
    values = [-1, None]
    time = pa.array(values, pa.int64()).cast(pa.timestamp(unit))
    table = pa.table({"x": time})
    src = flow_of(table.schema)
    assert evaluate(src.x.second(), table).to_pylist() == [59, None]
    below = {"s": 0, "ms": 999_000, "us": 999_999, "ns": 999_999}[unit]
    assert evaluate(src.x.microsecond(), table).to_pylist() == [below, None]


def test_rules_of_zones_hold_after_the_last_listed_change(computed):
    summer = [datetime.datetime(year, 7, 1, 12, tzinfo=datetime.timezone.utc) for year in (2037, 2038, 2500)]
    for unit in ("s", "ms", "us"):
        hours = computed(summer, pa.timestamp(unit, "Europe/Berlin"), lambda ref: ref.hour())
        assert hours.to_pylist() == [14, 14, 14]
    far = pa.table({"x": pa.array([253402300800 + 12 * 3600], pa.timestamp("s", "America/New_York"))})
    assert evaluate(flow_of(far.schema).x.hour(), far).to_pylist() == [7]


def test_offsets_are_zones(computed):
    noon = datetime.datetime(2001, 7, 1, 12, tzinfo=datetime.timezone.utc)
    assert computed([noon, None], pa.timestamp("s", "+05:30"), lambda ref: ref.minute()).to_pylist() == [
        30,
        None,
    ]


def test_all_null_and_empty(computed):
    assert (
        computed([None, None], pa.timestamp("s", "Europe/Berlin"), lambda ref: ref.hour()).to_pylist()
        == [None] * 2
    )
    assert computed([], pa.timestamp("s", "Europe/Berlin"), lambda ref: ref.hour()).to_pylist() == []


def test_what_has_no_such_field():
    src = flow_of({"day": datasets.Value("date32"), "at": datasets.Value("time32[s]")})
    with pytest.raises(DefinitionError, match="date32 has no method 'hour'"):
        src.day.hour()
    with pytest.raises(DefinitionError, match=r"time32\[s\] has no method 'year'"):
        src.at.year()
