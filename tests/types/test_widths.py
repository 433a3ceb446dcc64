"""Types that differ in the width of their offsets alone."""

from __future__ import annotations

import datasets
import pyarrow as pa
import pytest

from hyped_beam.types import features
from hyped_beam.types.arrays import conform
from hyped_beam.types.features import shortened
from hyped_beam.types.hashes import hashes_of
from hyped_beam.types.widths import interchangeable, wider, without_views

SAME = [
    (pa.string(), pa.large_string(), ["a", None, "", "ä" * 9]),
    (pa.string_view(), pa.string(), ["a", None, "", "a text of more than twelve bytes"]),
    (pa.string_view(), pa.large_string(), ["a", None, "", "a text of more than twelve bytes"]),
    (pa.binary(), pa.large_binary(), [b"a", None, b""]),
    (pa.binary_view(), pa.binary(), [b"a", None, b"\x00" * 20]),
    (pa.list_(pa.int8()), pa.large_list(pa.int8()), [[1, None], None, []]),
    (pa.list_(pa.string(), 2), pa.list_(pa.large_string(), 2), [["a", None], ["b", "c"]]),
    (
        pa.struct({"x": pa.list_(pa.string()), "y": pa.int8()}),
        pa.struct({"x": pa.large_list(pa.large_string()), "y": pa.int8()}),
        [{"x": ["a", None], "y": 1}, {"x": None, "y": None}, None],
    ),
]
OTHER = [
    (pa.string(), pa.binary()),
    (pa.int32(), pa.int64()),
    (pa.float32(), pa.float64()),
    (pa.binary(2), pa.binary()),
    (pa.list_(pa.int32()), pa.list_(pa.int64())),
    (pa.list_(pa.string(), 2), pa.list_(pa.string(), 3)),
    (pa.list_(pa.string(), 2), pa.list_(pa.string())),
    (pa.struct({"x": pa.string()}), pa.struct({"y": pa.string()})),
    (pa.struct({"x": pa.string(), "y": pa.string()}), pa.struct({"y": pa.string(), "x": pa.string()})),
    (pa.struct({"x": pa.string()}), pa.struct({"x": pa.int64()})),
    (pa.timestamp("us"), pa.timestamp("ns")),
]


@pytest.mark.parametrize(("left", "right", "values"), SAME, ids=str)
def test_values_of_one_are_those_of_the_other_and_hashed_alike(left, right, values):
    assert interchangeable(left, right)
    assert interchangeable(right, left)
    one = pa.array(values, left)
    other = conform(one, right)
    assert other.type == right
    assert other.to_pylist() == values
    assert conform(other, left).equals(one)
    assert hashes_of(one).tolist() == hashes_of(other).tolist()


@pytest.mark.parametrize(("left", "right"), OTHER, ids=str)
def test_others_differ(left, right):
    assert not interchangeable(left, right)
    assert not interchangeable(right, left)
    assert wider(features.from_arrow(left), features.from_arrow(right)) is None


@pytest.mark.parametrize(("left", "right", "values"), SAME, ids=str)
def test_the_wider_holds_both_whatever_their_order(left, right, values):
    one, other = features.from_arrow(left), features.from_arrow(right)
    found = wider(one, other)
    assert features.same(found, wider(other, one))
    assert features.same(wider(found, one), found)
    for kind in (left, right):
        assert conform(pa.array(values, kind), features.to_arrow(found)).to_pylist() == values


def test_what_features_say_beside_their_types_is_no_width():
    names = datasets.ClassLabel(names=["a", "b"])
    assert wider(names, datasets.Value("int64")) is None
    assert wider(names, datasets.ClassLabel(names=["b", "a"])) is None
    assert features.same(
        wider({"l": names, "t": datasets.Value("string")}, {"l": names, "t": datasets.Value("large_string")}),
        {"l": names, "t": datasets.Value("large_string")},
    )


def test_views_become_large():
    views = pa.schema(
        {
            "text": pa.string_view(),
            "raw": pa.binary_view(),
            "lists": pa.large_list(pa.struct({"x": pa.list_(pa.string_view(), 2), "n": pa.int8()})),
        }
    )
    text = datasets.Value("large_string")
    assert without_views(features.as_features(views)) == datasets.Features(
        {
            "text": text,
            "raw": datasets.Value("large_binary"),
            "lists": datasets.LargeList({"x": datasets.List(text, length=2), "n": datasets.Value("int8")}),
        }
    )
    others = features.as_features({"a": {"b": datasets.List(text)}, "c": datasets.Image(), "d": "string"})
    assert without_views(others) is others


def test_long_structs_are_shortened_between_fields():
    text = datasets.Value("large_string")
    long = {"id": text, **{f"field_{number}": text for number in range(20)}}
    assert shortened(long) == (
        "{id: large_string, field_0: large_string, field_1: large_string, field_2: large_string, "
        "field_3: large_string, ... (16 more)}"
    )
    assert shortened({"at": long, "n": text}, 90) == (
        "{at: {id: large_string, field_0: large_string, ... (19 more)}, n: large_string}"
    )
    assert shortened({"id": text, "n": text}) == "{id: large_string, n: large_string}"
    assert shortened(datasets.List(long), 30) == "list<{id: large_string, field_..."
