"""`to_timestamp` against Python's strptime and fromisoformat."""

# ruff: noqa: DTZ001, DTZ007 - times without a zone are what is tested

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import datasets
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError, NodeError
from hyped_beam.testing import evaluate, flow_of

UTC = datetime.timezone.utc
FORMATS = [
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%d/%b/%y:%H:%M",
    "%A, %d. %B %Y, %I %p",
    "%I:%M:%S %Y",
    "%Y%m%d%H%M%S",
    "%Y %j",
    "%a (%d) [%Y] * .%m",
    "%H%%",
]


def strptime(text, format):
    try:
        return datetime.datetime.strptime(text, format)
    except ValueError:
        return None


@given(
    data=st.data(),
    format=st.sampled_from(FORMATS),
    text_type=st.sampled_from([pa.string(), pa.large_string()]),
)
def test_what_python_writes_and_reads(data, format, text_type, computed):
    times = data.draw(st.lists(st.one_of(st.none(), st.datetimes(datetime.datetime(1000, 1, 1)))))
    texts = [time and time.strftime(format) for time in times]
    result = computed(texts, text_type, lambda ref: ref.to_timestamp(format))
    assert result.type == pa.timestamp("us")
    assert result.to_pylist() == [text and datetime.datetime.strptime(text, format) for text in texts]


@given(
    texts=st.lists(
        st.one_of(
            st.from_regex(r"\A[0-9]{1,4}-[0-9]{1,2}-[0-9]{1,2} [0-9]{1,2}:[0-9]{1,2}\Z", fullmatch=True),
            st.builds(
                "{:04}-{}-{} {}:{}".format,
                st.sampled_from([0, 1, 1900, 2000, 2001, 2100, 9999]),
                st.integers(0, 13),
                st.integers(0, 32),
                st.integers(0, 25),
                st.integers(0, 61),
            ),
            st.text("0123456789-: \n", max_size=18),
        ).filter(str.isascii)
    )
)
@example(texts=["2021-02-29 1:1", "2020-02-29 1:1", "2020-2-3  4:05", "2020-02-31 00:00", "1900-02-29 1:1"])
@example(texts=["2020-01-01 10:00 ", "0000-01-01 0:0"])
def test_what_is_no_time_is_null(texts, computed):
    result = computed(texts, pa.string(), lambda ref: ref.to_timestamp("%Y-%m-%d %H:%M", strict=False))
    assert result.to_pylist() == [strptime(text, "%Y-%m-%d %H:%M") for text in texts]


@given(texts=st.lists(st.text("0123456789", max_size=8)))
@pytest.mark.parametrize("format", ["%m%d%H", "%d%M", "%y%j", "%H%S", "%f"])
def test_directives_side_by_side_match_as_in_python(texts, format, computed):
    result = computed(texts, pa.string(), lambda ref: ref.to_timestamp(format, strict=False))
    assert result.to_pylist() == [strptime(text, format) for text in texts]


def test_names_are_read_in_any_case(computed):
    texts = ["26 OCTOBER 2001 pm 9", "26 may 2001 Am 12"]
    result = computed(texts, pa.string(), lambda ref: ref.to_timestamp("%d %B %Y %p %I"))
    assert result.to_pylist() == [datetime.datetime(2001, 10, 26, 21), datetime.datetime(2001, 5, 26, 0)]


def test_offsets_give_instants(computed):
    texts = ["01/Jul/2021:13:02:03 +0200", "01/Jul/2021:13:02:03 -05:30", "01/Jul/2021:13:02:03 Z", None]
    format = "%d/%b/%Y:%T %z"
    expected = [text and datetime.datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z") for text in texts]
    result = computed(texts, pa.string(), lambda ref: ref.to_timestamp(format))
    assert result.type == pa.timestamp("us", "UTC")
    assert result.to_pylist() == expected
    result = computed(texts, pa.string(), lambda ref: ref.to_timestamp(format, tz="Europe/Berlin"))
    assert result.type == pa.timestamp("us", "Europe/Berlin")
    assert result.to_pylist() == expected
    too_far = computed(
        ["2021 +9900", "2021 +0100"], pa.string(), lambda ref: ref.to_timestamp("%Y %z", strict=False)
    )
    assert too_far.to_pylist() == [None, datetime.datetime(2020, 12, 31, 23, tzinfo=UTC)]


@given(
    data=st.data(), zone=st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "America/New_York"])
)
def test_local_times_become_instants_as_in_python(data, zone, naive_times, computed):
    times = [time for time in data.draw(naive_times) if time is None or 1800 < time.year < 9999]
    texts = [time and time.isoformat(sep=" ") for time in times]
    result = computed(texts, pa.string(), lambda ref: ref.to_timestamp(tz=zone)).cast(
        pa.timestamp("us", "UTC")
    )
    assert result.to_pylist() == [
        time and time.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) for time in times
    ]


@given(data=st.data())
def test_iso_is_the_default(data, naive_times, computed):
    times = data.draw(naive_times)
    result = computed(
        [time and time.isoformat() for time in times], pa.string(), lambda ref: ref.to_timestamp()
    )
    assert result.type == pa.timestamp("us")
    assert result.to_pylist() == times


def test_iso_texts_may_say_their_offset(computed):
    texts = [
        "2021-07-01T12:00:00Z",
        "2021-07-01 12:00:00+02:00",
        "2021-07-01",
        "2021-07-01 12:00:00.5",
        None,
        "x",
    ]
    result = computed(
        texts, pa.large_string(), lambda ref: ref.to_timestamp(tz="Europe/Berlin", strict=False)
    )
    assert result.cast(pa.timestamp("us", "UTC")).to_pylist() == [
        datetime.datetime(2021, 7, 1, 12, tzinfo=UTC),
        datetime.datetime(2021, 7, 1, 10, tzinfo=UTC),
        datetime.datetime(2021, 6, 30, 22, tzinfo=UTC),
        datetime.datetime(2021, 7, 1, 10, 0, 0, 500_000, tzinfo=UTC),
        None,
        None,
    ]


def test_a_text_that_does_not_fit_is_an_error():
    table = pa.table({"x": ["2001-10-26", "2001-02-30"], "z": ["2001-10-26", "2001-10-26 10:00:00Z"]})
    src = flow_of(table.schema)
    for ref, shown in [
        (
            src.x.to_timestamp("%Y-%m-%d"),
            "'2001-02-30' is not a time in the format '%Y-%m-%d'(?s:.)*strict=False",
        ),
        (src.x.to_timestamp(), "'2001-02-30' is not a time as in ISO 8601"),
        (src.z.to_timestamp(), r'(?s)is not a time as in ISO 8601.*to_timestamp\(tz="UTC"\)'),
    ]:
        with pytest.raises(NodeError, match=shown) as raised:
            evaluate(ref, table)
        assert raised.value.row == 1


def test_wrong_options_are_refused():
    src = flow_of({"x": datasets.Value("string")})
    wrong = [
        ({"format": "%Q"}, "there is no directive '%Q' here; there are %a"),
        ({"format": "%Y %G"}, "there is no directive '%G'"),
        ({"format": "%Y %y"}, "'%Y' and '%y' say the same"),
        ({"format": "%Y %Y"}, "'%Y' stands there twice"),
        ({"tz": "Europe/Berlim"}, "there is no time zone 'Europe/Berlim'; did you mean 'Europe/Berlin'"),
        ({"tz": "?"}, r"there is no time zone '\?'; give one like"),
    ]
    for options, shown in wrong:
        with pytest.raises(DefinitionError, match=shown):
            src.x.to_timestamp(**options)


def test_empty_and_all_null(computed):
    for options in ({}, {"tz": "Europe/Berlin"}, {"format": "%Y %z"}, {"format": "%d %b %p %I %f"}):
        assert computed(
            [None], pa.string(), lambda ref, given=options: ref.to_timestamp(**given)
        ).to_pylist() == [None]
        assert (
            computed([], pa.string(), lambda ref, given=options: ref.to_timestamp(**given)).to_pylist() == []
        )
