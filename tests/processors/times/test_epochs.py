"""`epoch` against Python's datetime."""

# ruff: noqa: DTZ001 - times without a zone are what is tested

from __future__ import annotations

import datetime

import datasets
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError, NodeError
from hyped_beam.testing import evaluate, flow_of

EPOCH = datetime.datetime(1970, 1, 1)
UNITS = {
    "s": datetime.timedelta(seconds=1),
    "ms": datetime.timedelta(milliseconds=1),
    "us": datetime.timedelta(microseconds=1),
}


@given(data=st.data(), unit=st.sampled_from(list(UNITS)))
def test_units_are_rounded_down(data, unit, naive_times, computed):
    values = data.draw(naive_times)
    result = computed(values, pa.timestamp("us"), lambda ref: ref.epoch(unit))
    assert result.type == pa.int64()
    assert result.to_pylist() == [
        None if value is None else (value - EPOCH) // UNITS[unit] for value in values
    ]


@given(values=st.lists(st.one_of(st.none(), st.dates())))
def test_dates_start_at_midnight(values, computed):
    expected = [None if value is None else (value - EPOCH.date()) // UNITS["ms"] for value in values]
    for kind in (pa.date32(), pa.date64()):
        assert computed(values, kind, lambda ref: ref.epoch("ms")).to_pylist() == expected


def test_instants_count_in_utc(computed):
    later = datetime.datetime(1970, 1, 1, 1, tzinfo=datetime.timezone.utc)
    assert computed([later], pa.timestamp("s", "Europe/Berlin"), lambda ref: ref.epoch()).to_pylist() == [
        3600
    ]
    assert computed([later], pa.timestamp("s", "+02:00"), lambda ref: ref.epoch("ns")).to_pylist() == [
        3600 * 10**9
    ]


def test_what_does_not_fit_is_an_error():
    table = pa.table({"x": [EPOCH, datetime.datetime(9999, 1, 1)]})
    with pytest.raises(NodeError, match="ns since 1970 does not fit") as raised:
        evaluate(flow_of(table.schema).x.epoch("ns"), table)
    assert raised.value.row == 1
    with pytest.raises(DefinitionError, match=r"'us' or 'ns'.*got 'minutes'"):
        flow_of({"x": datasets.Value("date32")}).x.epoch("minutes")
