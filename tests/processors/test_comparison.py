"""Comparisons of every family."""

from __future__ import annotations

import datetime
import decimal
import math
import operator

import datasets
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import evaluate, flow_of

SYMBOLS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
UTC = datetime.timezone.utc


def compare(symbol, left, right, kind, right_kind=None):
    table = pa.table({"a": pa.array(left, kind), "b": pa.array(right, right_kind or kind)})
    src = flow_of(table.schema)
    return evaluate(symbol(src.a, src.b), table).to_pylist()


VALUES = [
    (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float64(), st.floats()),
    (pa.float16(), st.floats(width=16)),
    (pa.decimal128(10, 2), st.decimals(-1000, 1000, places=2)),
    (pa.bool_(), st.booleans()),
    (pa.string(), st.text(max_size=3)),
    (pa.large_string(), st.text(max_size=3)),
    (pa.binary(), st.binary(max_size=3)),
    (pa.binary(2), st.binary(min_size=2, max_size=2)),
    (pa.date32(), st.dates()),
    (pa.timestamp("us"), st.datetimes(datetime.datetime(1900, 1, 1))),  # noqa: DTZ001 - without a time zone
    (pa.time64("us"), st.times()),
    (pa.duration("us"), st.timedeltas(datetime.timedelta(-1000), datetime.timedelta(1000))),
]


@pytest.mark.parametrize(("kind", "values"), VALUES, ids=lambda value: str(value)[:14])
@settings(max_examples=20)
@given(data=st.data())
def test_values_compare_as_in_python(kind, values, data):
    pairs = data.draw(st.lists(st.tuples(st.none() | values, st.none() | values), max_size=6))
    left, right = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for symbol in SYMBOLS:
        expected = [None if a is None or b is None else symbol(a, b) for a, b in pairs]
        assert compare(symbol, left, right, kind) == expected
        if pairs and pairs[0][1] is not None:  # against a constant
            table = pa.table({"a": pa.array(left, kind)})
            expected = [None if a is None else symbol(a, pairs[0][1]) for a in left]
            assert evaluate(symbol(flow_of(table.schema).a, pairs[0][1]), table).to_pylist() == expected


def test_types_of_one_family_meet():
    assert compare(operator.eq, ["a", None], ["a", "b"], pa.string(), pa.large_string()) == [True, None]
    assert compare(operator.lt, [1, 2], [1.5, 1.5], pa.int8(), pa.float64()) == [True, False]
    one = datetime.datetime(2024, 1, 1)  # noqa: DTZ001 - without a time zone
    assert compare(operator.eq, [one], [one], pa.timestamp("s"), pa.timestamp("ns")) == [True]
    assert compare(operator.eq, [one], [one.date()], pa.timestamp("s"), pa.date32()) == [True]
    price = decimal.Decimal("1.50")
    assert compare(operator.eq, [price], [price], pa.decimal128(10, 2), pa.decimal128(20, 4)) == [True]


def test_nan_is_equal_to_nothing():
    assert compare(operator.eq, [math.nan], [math.nan], pa.float64()) == [False]


LABELS = datasets.ClassLabel(names=["ham", "spam"])


def labels(symbol):
    table = pa.table({"label": [0, 1, None]})
    return evaluate(symbol(flow_of({"label": LABELS}).label), table).to_pylist()


def test_a_label_compares_by_its_name():
    assert labels(lambda label: label == "spam") == [False, True, None]
    assert labels(lambda label: label != "spam") == [True, False, None]
    assert labels(lambda label: "spam" == label) == [False, True, None]  # noqa: SIM300 - the other way round
    assert labels(lambda label: label < "spam") == [True, False, None]
    assert labels(lambda label: label == 1) == [False, True, None]
    assert labels(lambda label: label.between("ham", "ham")) == [True, False, None]


def test_an_unknown_label_is_refused_with_the_nearest():
    with pytest.raises(DefinitionError, match="no label 'spamm'") as raised:
        flow_of({"label": LABELS}).label == "spamm"  # noqa: B015 - it raises
    assert "did you mean 'spam'?" in raised.value.hint


def test_a_label_and_a_text_column_are_refused_with_the_cast_to_names():
    src = flow_of(
        {"label": LABELS, "text": datasets.Value("string"), "other": datasets.ClassLabel(names=["x"])}
    )
    for right in (src.text, src.other):
        with pytest.raises(DefinitionError, match="have no type in common") as raised:
            src.label == right  # noqa: B015 - it raises
        assert '.cast("string")' in raised.value.hint


def stamps(symbol, kind):
    table = pa.table({"t": pa.array([datetime.datetime(2024, 1, 1, 12), None], kind)})  # noqa: DTZ001 - UTC in Arrow
    return evaluate(symbol(flow_of(table.schema).t), table).to_pylist()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_compare_with_python_times(unit):
    noon = datetime.datetime(2024, 1, 1, 12)  # noqa: DTZ001 - without a time zone
    kind = pa.timestamp(unit)
    assert stamps(lambda t: t == noon, kind) == [True, None]
    assert stamps(lambda t: t < noon + datetime.timedelta(microseconds=1), kind) == [True, None]
    assert stamps(lambda t: t > datetime.date(2024, 1, 1), kind) == [True, None]
    assert stamps(lambda t: noon.replace(hour=13) < t, kind) == [False, None]


def test_instants_compare_across_time_zones():
    kind = pa.timestamp("us", "America/New_York")
    noon = datetime.datetime(2024, 1, 1, 12, tzinfo=UTC)
    assert stamps(lambda t: t == noon, kind) == [True, None]
    eastern = noon.astimezone(datetime.timezone(datetime.timedelta(hours=-5)))
    assert stamps(lambda t: t == eastern, kind) == [True, None]


@pytest.mark.parametrize(
    ("dtype", "literal"),
    [
        ("timestamp[us]", datetime.datetime(2024, 1, 1, tzinfo=UTC)),
        ("timestamp[us, tz=UTC]", datetime.datetime(2024, 1, 1)),  # noqa: DTZ001 - without a time zone
        ("timestamp[us, tz=UTC]", datetime.date(2024, 1, 1)),
    ],
)
def test_with_and_without_a_time_zone_do_not_meet(dtype, literal):
    src = flow_of({"t": datasets.Value(dtype)})
    with pytest.raises(DefinitionError, match="have no type in common") as raised:
        src.t == literal  # noqa: B015 - it raises
    assert "time zone" in raised.value.hint


def test_literals_of_a_finer_unit_are_not_cut():
    table = pa.table(
        {
            "t": pa.array([datetime.time(1)], pa.time32("s")),
            "d": pa.array([datetime.timedelta(1)], pa.duration("s")),
        }
    )
    src = flow_of(table.schema)
    assert evaluate(src.t < datetime.time(1, 0, 0, 5), table).to_pylist() == [True]
    assert evaluate(src.d < datetime.timedelta(1, 0, 5), table).to_pylist() == [True]


@pytest.mark.parametrize(
    ("compute", "message", "hint"),
    [
        (lambda src: src.number == "1", "int64 and string have no type in common", '.cast("float64")'),
        (lambda src: src.flag == 1, "bool and int64 have no type in common", '.cast("int64")'),
        (lambda src: src.t > "2024-01-01", "timestamp.* and string have no type in common", "datetime"),
        (lambda src: src.list == src.list, "'==' means nothing for list<int64>", None),
    ],
)
def test_what_has_no_order_is_refused(compute, message, hint):
    src = flow_of(
        {
            "number": datasets.Value("int64"),
            "flag": datasets.Value("bool"),
            "t": datasets.Value("timestamp[us]"),
            "list": datasets.List(datasets.Value("int64")),
        }
    )
    with pytest.raises(DefinitionError, match=message) as raised:
        compute(src)
    assert hint is None or hint in raised.value.hint


def test_between_includes_its_bounds():
    table = pa.table({"x": [1, 2, 3, None], "low": [0, None, None, 1]})
    src = flow_of(table.schema)
    assert evaluate(src.x.between(1, 2), table).to_pylist() == [True, True, False, None]
    assert evaluate(src.x.between(src.low, 2), table).to_pylist() == [True, None, False, None]
    assert evaluate(src.x.between(lower=1.5, upper=2.5), table).to_pylist() == [False, True, False, None]


def test_clip_raises_and_lowers():
    table = pa.table({"x": [1, 5, 9, None], "f": [math.nan, -1.0, 2.0, None]})
    src = flow_of(table.schema)
    assert evaluate(src.x.clip(2, 6), table).to_pylist() == [2, 5, 6, None]
    assert evaluate(src.x.clip(upper=6), table).to_pylist() == [1, 5, 6, None]
    assert evaluate(src.x.clip(None, 6), table).to_pylist() == [1, 5, 6, None]
    assert feature_of(src.x.clip(0.5)).dtype == "float64"
    clipped = evaluate(src.f.clip(0, 1), table).to_pylist()
    assert math.isnan(clipped[0])
    assert clipped[1:] == [0.0, 1.0, None]
    with pytest.raises(DefinitionError, match="give `lower`, `upper` or both"):
        src.x.clip()
