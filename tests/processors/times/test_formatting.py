"""`strftime` against Python's."""

# ruff: noqa: DTZ001 - times without a zone are what is tested

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
LETTERS = "aAwdbBmyYHIMSfpzZjUWcxXGuVDFTRhe%"
ALL = " ".join(f"%{letter}" for letter in LETTERS)
FORMATS = st.one_of(
    st.just(ALL),
    st.lists(st.sampled_from([*(f"%{letter}" for letter in LETTERS), "-", "é\n", "日", "{}"])).map("".join),
)


def from_year_1000(values):
    return [
        value if value is None or value.year > 1000 else value.replace(year=value.year + 4000)
        for value in values
    ]


@given(data=st.data(), format=FORMATS)
def test_timestamps_without_a_zone(data, format, naive_times, computed):
    values = from_year_1000(data.draw(naive_times))
    result = computed(values, pa.timestamp("us"), lambda ref: ref.strftime(format))
    assert result.type == pa.string()
    assert result.to_pylist() == [value and value.strftime(format) for value in values]


@given(data=st.data(), zone=st.sampled_from(ZONES))
def test_timestamps_with_a_zone(data, zone, instants, computed):
    values = [value for value in data.draw(instants) if value is None or value.year > 1000]
    result = computed(values, pa.timestamp("us", zone), lambda ref: ref.strftime(ALL))
    assert result.to_pylist() == [
        value and value.astimezone(ZoneInfo(zone)).strftime(ALL) for value in values
    ]


@given(values=st.lists(st.one_of(st.none(), st.dates(datetime.date(1000, 1, 1)))), format=FORMATS)
def test_dates(values, format, computed):
    for kind in (pa.date32(), pa.date64()):
        result = computed(values, kind, lambda ref: ref.strftime(format))
        assert result.to_pylist() == [value and value.strftime(format) for value in values]


@given(values=st.lists(st.one_of(st.none(), st.times())))
def test_times_of_day(values, computed):
    format = "%H:%M:%S.%f %I %p %T %R %X"
    result = computed(values, pa.time64("us"), lambda ref: ref.strftime(format))
    assert result.to_pylist() == [None if value is None else value.strftime(format) for value in values]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_seconds_are_whole_in_every_unit(unit, computed):
    time = datetime.datetime(1969, 12, 31, 23, 59, 58)
    result = computed([time, None], pa.timestamp(unit), lambda ref: ref.strftime("%S %f"))
    assert result.to_pylist() == ["58 000000", None]


def test_years_have_four_digits(computed):
    result = computed([datetime.date(7, 1, 2)], pa.date32(), lambda ref: ref.strftime("%Y-%m-%d"))
    assert result.to_pylist() == ["0007-01-02"]


@pytest.mark.parametrize(
    ("zone", "name"), [("+05:30", "UTC+05:30"), ("-03:00", "UTC-03:00"), ("+00:00", "UTC")]
)
def test_offsets_are_named_as_in_python(zone, name, computed):
    noon = datetime.datetime(2001, 7, 1, 12, tzinfo=datetime.timezone.utc)
    result = computed([noon, None], pa.timestamp("s", zone), lambda ref: ref.strftime("%Z %z"))
    assert result.to_pylist() == [f"{name} {zone.replace(':', '')}", None]


@pytest.mark.parametrize("format", ["", "no directive", "100%%"])
def test_formats_without_directives(format, computed):
    values = [datetime.date(2001, 1, 1), None]
    result = computed(values, pa.date32(), lambda ref: ref.strftime(format))
    assert result.to_pylist() == [format.replace("%%", "%"), None]


@pytest.mark.parametrize("format", ["%Q", "%-d", "%", "%Y %"])
def test_unknown_directives_are_refused(format):
    src = flow_of({"day": datasets.Value("date32")})
    with pytest.raises(DefinitionError, match=r"there is no directive '%.?' here; there are %a %A") as raised:
        src.day.strftime(format)
    assert raised.value.site.file == __file__


def test_a_time_of_day_has_no_date():
    src = flow_of({"at": datasets.Value("time32[s]")})
    with pytest.raises(DefinitionError, match=r"(?s)time32\[s\] has nothing to write for '%m'.*%H"):
        src.at.strftime("%H %D")


def test_empty_columns():
    table = pa.table({"x": pa.array([], pa.timestamp("s", "Europe/Berlin"))})
    assert evaluate(flow_of(table.schema).x.strftime("%c %z %Z"), table).to_pylist() == []
