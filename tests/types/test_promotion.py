"""Common types, and the types of literals."""

from __future__ import annotations

import datetime
import decimal

import datasets
import pyarrow as pa
import pytest

from hyped_beam.types import features, promotion

VALUE = datasets.Value
LABELS = datasets.ClassLabel(names=["ham", "spam"])
UTC = datetime.timezone.utc
INT64, STRING = VALUE("int64"), VALUE("string")

COMMON = [
    (VALUE("int8"), VALUE("int64"), VALUE("int64")),
    (VALUE("uint8"), VALUE("uint32"), VALUE("uint32")),
    (VALUE("int8"), VALUE("uint8"), VALUE("int16")),
    (VALUE("int64"), VALUE("uint32"), VALUE("int64")),
    (VALUE("int8"), VALUE("uint64"), None),
    (VALUE("int8"), VALUE("float32"), VALUE("float32")),
    (VALUE("int32"), VALUE("float32"), VALUE("float64")),
    (VALUE("float16"), VALUE("float32"), VALUE("float32")),
    (VALUE("bool"), VALUE("int64"), None),
    (VALUE("decimal128(10, 2)"), VALUE("decimal128(8, 4)"), VALUE("decimal128(12, 4)")),
    (VALUE("decimal128(10, 2)"), VALUE("int8"), VALUE("decimal128(10, 2)")),
    (VALUE("decimal128(10, 2)"), VALUE("int64"), VALUE("decimal128(21, 2)")),
    (VALUE("decimal128(38, 0)"), VALUE("decimal128(38, 38)"), VALUE("decimal256(76, 38)")),
    (VALUE("decimal256(76, 0)"), VALUE("decimal128(2, 2)"), None),
    (VALUE("decimal128(10, 2)"), VALUE("float32"), VALUE("float64")),
    (STRING, VALUE("large_string"), VALUE("large_string")),
    (STRING, VALUE("binary"), None),
    (VALUE("binary"), VALUE("large_binary"), VALUE("large_binary")),
    (VALUE("timestamp[s]"), VALUE("timestamp[us]"), VALUE("timestamp[us]")),
    (VALUE("timestamp[s]"), VALUE("date32"), VALUE("timestamp[s]")),
    (VALUE("timestamp[s, tz=UTC]"), VALUE("timestamp[s]"), None),
    (VALUE("timestamp[s, tz=UTC]"), VALUE("date32"), None),
    (VALUE("date32"), VALUE("date64"), VALUE("date64")),
    (VALUE("duration[s]"), VALUE("duration[ns]"), VALUE("duration[ns]")),
    (LABELS, LABELS, LABELS),
    (LABELS, VALUE("int8"), INT64),
    (LABELS, datasets.ClassLabel(names=["a"]), None),
    (LABELS, STRING, None),
    (VALUE("null"), LABELS, LABELS),
    (datasets.List(VALUE("int8")), datasets.List(INT64), datasets.List(INT64)),
    (datasets.List(VALUE("int8")), datasets.LargeList(INT64), datasets.LargeList(INT64)),
    (datasets.List(INT64), datasets.List(STRING), None),
    ({"a": VALUE("int8")}, {"a": VALUE("float64")}, {"a": VALUE("float64")}),
    ({"a": INT64}, {"b": INT64}, None),
    ({"a": INT64}, INT64, None),
]


@pytest.mark.parametrize(
    ("left", "right", "expected"), COMMON, ids=[str(number) for number in range(len(COMMON))]
)
def test_two_features_meet_in_either_order(left, right, expected):
    for found in (promotion.common(left, right), promotion.common(right, left)):
        assert found is None if expected is None else features.same(found, expected)


def test_what_does_not_meet_has_a_hint():
    for left, right, expected in COMMON:
        if expected is None:
            assert len(promotion.hint(left, right)) > 10
            assert promotion.hint(left, right) == promotion.hint(right, left)


NAIVE, AWARE = datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 1, tzinfo=UTC)  # noqa: DTZ001 - one without
LITERALS = [
    (1, None, "int64"),
    (2**63, None, "uint64"),
    (True, None, "bool"),
    (0.5, None, "float64"),
    ("a", None, "string"),
    (None, None, "null"),
    (b"a", None, "binary"),
    (1, "int8", "int8"),
    (300, "int8", "int64"),
    (-1, "uint8", "int64"),
    (1, "float32", "float32"),
    (2**24 + 1, "float32", "int64"),
    (0.1, "float32", "float32"),
    (1e300, "float32", "float64"),
    (float("inf"), "float32", "float32"),
    (1.5, "int64", "float64"),
    (True, "int64", "bool"),
    (1, "bool", "int64"),
    (1, "string", "int64"),
    ("a", "large_string", "large_string"),
    (b"ab", "fixed_size_binary[2]", "fixed_size_binary[2]"),
    (b"abc", "fixed_size_binary[2]", "binary"),
    (1, "decimal128(5, 2)", "decimal128(5, 2)"),
    (10**6, "decimal128(5, 2)", "int64"),
    (decimal.Decimal("1.5"), "decimal128(5, 2)", "decimal128(5, 2)"),
    (decimal.Decimal("1.555"), "decimal128(5, 2)", "decimal128(4, 3)"),
    (NAIVE, "timestamp[s]", "timestamp[s]"),
    (NAIVE.replace(microsecond=1), "timestamp[s]", "timestamp[us]"),
    (NAIVE, "timestamp[s, tz=UTC]", "timestamp[us]"),
    (AWARE, "timestamp[s]", "timestamp[us, tz=UTC]"),
    (AWARE, "timestamp[s, tz=Asia/Tokyo]", "timestamp[s, tz=Asia/Tokyo]"),
    (NAIVE.date(), "timestamp[s]", "date32"),
    (NAIVE.date(), "timestamp[s, tz=UTC]", "date32"),
    (datetime.time(1), "time32[s]", "time32[s]"),
    (datetime.time(1, 0, 0, 1), "time32[s]", "time64[us]"),
]


@pytest.mark.parametrize(
    ("value", "beside", "expected"), LITERALS, ids=[str(number) for number in range(len(LITERALS))]
)
def test_a_literal_takes_the_type_beside_it_where_it_fits(value, beside, expected):
    found = promotion.literal(value, None if beside is None else VALUE(beside))
    assert found.dtype == VALUE(expected).dtype


def test_names_of_labels_are_labels():
    assert promotion.literal("spam", LABELS) == LABELS
    assert promotion.literal("eggs", LABELS) == STRING
    assert promotion.literal(["ham", "spam"], LABELS) == datasets.List(LABELS)
    assert promotion.encoded(["spam", None], datasets.List(LABELS)) == [1, None]
    nested = {"label": LABELS, "id": INT64}
    assert promotion.encoded({"label": "spam", "id": 3}, nested) == {"label": 1, "id": 3}
    assert promotion.unknown_label("eggs", LABELS) == "eggs"
    assert promotion.unknown_label(["spam", "eggs"], LABELS) == "eggs"
    assert promotion.unknown_label(["spam", 1], LABELS) is None
    assert promotion.unknown_label("eggs", STRING) is None


def test_lists_and_structs_of_literals():
    assert promotion.literal([1, 2.5]) == datasets.List(VALUE("float64"))
    assert promotion.literal([1, 2], VALUE("int8")) == datasets.List(VALUE("int8"))
    assert promotion.literal([1], datasets.LargeList(VALUE("int8"))) == datasets.LargeList(VALUE("int8"))
    assert promotion.literal([]) == datasets.List(VALUE("null"))
    assert promotion.literal([1, "a"]) is None
    assert promotion.literal({"a": 1, "b": "x"}, {"a": VALUE("int8")}) == {"a": VALUE("int8"), "b": STRING}
    assert promotion.literal(object()) is None
    assert promotion.literal(pa.scalar(1, pa.int8())) == VALUE("int8")
