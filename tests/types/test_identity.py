"""Keys: which are equal, in which order they come, and how they are found again."""

from __future__ import annotations

import datetime
import decimal
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.types.identity import KeyIndex, encoded, group_rows, ranks, sort_order

NAN = float("nan")
DAY = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc)

COLUMNS = {
    "int64": ([3, None, 6, 3, -1, 0, 6, None], pa.int64()),
    "uint64": ([2**64 - 1, None, 6, 0, 2**64 - 1], pa.uint64()),
    "int8": ([-128, 127, None, 6, -128], pa.int8()),
    "bool": ([True, None, False, True], pa.bool_()),
    "float64": ([0.0, -0.0, NAN, None, -NAN, 1.5, math.inf, -math.inf, 5e-324, NAN], pa.float64()),
    "float32": ([0.0, -0.0, NAN, None, NAN, 1.5], pa.float32()),
    "float16": (np.array([0.0, -0.0, NAN, 1.5], np.float16), pa.float16()),
    "string": (["b", "", None, "a", "b", "\0", "ä"], pa.string()),
    "large_string": (["b", None, "b"], pa.large_string()),
    "string_view": (["b", None, "b", "longer than twelve bytes", ""], pa.string_view()),
    "binary": ([b"b", None, b"", b"b"], pa.binary()),
    "timestamp": ([DAY, None, DAY, DAY.replace(year=1968)], pa.timestamp("us", "UTC")),
    "date": ([DAY.date(), None, DAY.date()], pa.date32()),
    "decimal": ([decimal.Decimal("1.50"), None, decimal.Decimal("-1.50")], pa.decimal128(5, 2)),
    "null": ([None, None], pa.null()),
    "list": ([[1, 2], None, [], [1, 2], [None], [2, 1]], pa.list_(pa.int64())),
    "list of floats": ([[0.0], [-0.0], [NAN], [NAN], None], pa.list_(pa.float64())),
    "fixed list": ([[1, 2], None, [1, 2], [2, 1]], pa.list_(pa.int64(), 2)),
    "struct": (
        [{"a": 1, "b": "x"}, None, {"a": None, "b": None}, {"a": 1, "b": "x"}, {"a": 1, "b": None}],
        pa.struct({"a": pa.int64(), "b": pa.string()}),
    ),
    "struct of a float": ([{"a": 0.0}, {"a": -0.0}, {"a": NAN}, {"a": NAN}], pa.struct({"a": pa.float64()})),
    "nested": (
        [[{"a": [NAN]}], [{"a": [NAN]}], [{"a": None}], [None], None],
        pa.list_(pa.struct({"a": pa.list_(pa.float64())})),
    ),
    "dictionary": (["x", None, "y", "x"], pa.dictionary(pa.int8(), pa.string())),
}


def plain(value: Any) -> str:
    """A text that is equal for equal keys."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else repr(value + 0.0)
    if isinstance(value, dict):
        return repr({name: plain(item) for name, item in value.items()})
    if isinstance(value, list):
        return repr([plain(item) for item in value])
    return repr(value)


def groups_of(values: list[Any]) -> list[int]:
    numbers: dict[str, int] = {}
    return [numbers.setdefault(plain(value), len(numbers)) for value in values]


def column(name: str) -> pa.Array:
    values, kind = COLUMNS[name]
    return pa.array(values, kind)


def taken(keys: pa.Array, rows: Any) -> pa.Array:
    return pa.array([keys[int(row)].as_py() for row in rows], keys.type)


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("sliced", [False, True])
def test_equal_keys_are_one_group(name, sliced):
    keys = column(name)
    if sliced:
        keys = pa.concat_arrays([keys, keys]).slice(1, len(keys))
    codes, first = group_rows({"key": keys}, len(keys))
    wanted = groups_of(keys.to_pylist())
    assert groups_of(codes.tolist()) == wanted
    assert sorted(set(codes.tolist())) == list(range(len(first)))
    assert [codes.tolist().index(number) for number in range(len(first))] == first.tolist()


@pytest.mark.parametrize("name", COLUMNS)
def test_known_keys_are_found_and_others_are_not(name):
    keys = column(name)
    codes, first = group_rows({"key": keys}, len(keys))
    known = {"key": taken(keys, first)}
    assert KeyIndex(known, len(first)).find({"key": keys}, len(keys)).tolist() == codes.tolist()
    fewer = {"key": known["key"].slice(1)}
    found = KeyIndex(fewer, len(first) - 1).find({"key": keys}, len(keys))
    assert found.tolist() == (codes - 1).tolist()


@pytest.mark.parametrize("name", COLUMNS)
def test_the_order_of_keys_does_not_depend_on_that_of_rows(name):
    keys = column(name)
    _, first = group_rows({"key": keys}, len(keys))
    distinct = taken(keys, first)
    wanted = [plain(value) for value in taken(distinct, order_of(distinct)).to_pylist()]
    for seed in range(4):
        shuffled = taken(distinct, np.random.default_rng(seed).permutation(len(distinct)))
        found = taken(shuffled, order_of(shuffled)).to_pylist()
        assert [plain(value) for value in found] == wanted


def order_of(keys: pa.Array) -> Any:
    return sort_order({"key": keys}, len(keys))


@pytest.mark.parametrize(
    ("values", "kind", "wanted"),
    [
        ([3, None, -1], pa.int64(), [-1, 3, None]),
        ([NAN, 1.0, None, -math.inf, math.inf], pa.float64(), ["-inf", "1.0", "inf", "nan", "None"]),
        (["b", None, "", "a"], pa.string(), ["", "a", "b", None]),
        (
            [{"a": 2}, None, {"a": None}, {"a": 1}],
            pa.struct({"a": pa.int64()}),
            [{"a": 1}, {"a": 2}, {"a": None}, None],
        ),
        ([[10], [2], None, [], [2, 1], [None]], pa.list_(pa.int64()), [[], [2], [2, 1], [10], [None], None]),
        ([[-1], [-10], [1]], pa.list_(pa.int64()), [[-10], [-1], [1]]),
        ([["b"], ["a", "z"], ["a"]], pa.list_(pa.string()), [["a"], ["a", "z"], ["b"]]),
    ],
    ids=str,
)
def test_keys_are_sorted_as_their_values_are(values, kind, wanted):
    keys = pa.array(values, kind)
    found = keys.take(pa.array(order_of(keys))).to_pylist()
    assert [plain(value).strip("'") for value in found] == [plain(value).strip("'") for value in wanted]


def test_several_keys_are_one():
    keys = {"a": pa.array([1, 1, 2, None, 1, None]), "b": pa.array(["x", "y", "x", None, "x", None])}
    codes, first = group_rows(keys, 6)
    assert groups_of(codes.tolist()) == [0, 1, 2, 3, 0, 3]
    assert sorted(first.tolist()) == [0, 1, 2, 3]
    assert sort_order(keys, 6).tolist()[:2] in ([0, 4], [4, 0])
    with_more = KeyIndex({name: values.take(pa.array(first)) for name, values in keys.items()}, 4)
    assert with_more.find(keys, 6).tolist() == codes.tolist()


@given(st.lists(st.none() | st.integers(0, 40), max_size=20), st.sampled_from([1, 3, 1000]))
def test_whole_numbers_are_grouped_whatever_their_distance(numbers, step):
    keys = pa.array([None if number is None else number * step for number in numbers], pa.int64())
    codes, first = group_rows({"key": keys}, len(keys))
    assert groups_of(codes.tolist()) == groups_of(numbers)
    assert [codes.tolist().index(number) for number in range(len(first))] == first.tolist()


def test_no_rows_and_no_keys():
    codes, first = group_rows({"key": pa.array([], pa.int64())}, 0)
    assert (len(codes), len(first)) == (0, 0)
    assert order_of(pa.array([], pa.string())).tolist() == []
    assert KeyIndex({"key": pa.array([], pa.string())}, 0).find({"key": pa.array(["a"])}, 1).tolist() == [-1]


def test_equal_keys_make_no_index():
    with pytest.raises(ValueError, match="is there twice"):
        KeyIndex({"key": pa.array([0.0, -0.0])}, 2)


integers = st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-10, 10)
floats = st.none() | st.floats() | st.sampled_from([0.0, -0.0, 1.0, 5e-324, 2.5e-323])


@given(st.lists(st.tuples(integers, floats, st.none() | st.text(max_size=3)), max_size=30))
def test_any_keys_are_grouped_and_found(rows):
    a, b, c = zip(*rows, strict=True) if rows else ((), (), ())
    keys = {"a": pa.array(a, pa.int64()), "b": pa.array(b, pa.float64()), "c": pa.array(c, pa.string())}
    for names in (["a"], ["b"], ["c"], ["a", "b", "c"], ["c", "a"]):
        chosen = {name: keys[name] for name in names}
        codes, first = group_rows(chosen, len(rows))
        wanted = groups_of([[keys[name][row].as_py() for name in names] for row in range(len(rows))])
        assert groups_of(codes.tolist()) == wanted
        known = {name: values.take(pa.array(first)) for name, values in chosen.items()}
        assert KeyIndex(known, len(first)).find(chosen, len(rows)).tolist() == codes.tolist()


pairs = st.none() | st.lists(
    st.none() | st.fixed_dictionaries({"a": floats, "b": st.none() | st.lists(integers, max_size=2)}),
    max_size=3,
)
PAIRS = pa.list_(pa.struct({"a": pa.float64(), "b": pa.list_(pa.int64())}))


def comparable(value: Any) -> tuple[Any, ...]:
    """A value as tuples that Python compares as the module promises."""
    if value is None:
        return (2,)
    if isinstance(value, float):
        return (1,) if math.isnan(value) else (0, value)
    if isinstance(value, dict):
        return (0, tuple(comparable(item) for item in value.values()))
    return (0, tuple(map(comparable, value))) if isinstance(value, list) else (0, value)


@given(st.lists(pairs, max_size=12), st.integers(0, 3))
def test_nested_values_are_equal_and_in_order_as_python_says(values, skipped):
    array = pa.array(values, PAIRS)[skipped:]
    codes, count = encoded(array)
    wanted = [comparable(value) for value in array.to_pylist()]
    numbers: dict[Any, int] = {}
    assert codes.tolist() == [numbers.setdefault(value, len(numbers)) for value in wanted]
    assert count == len(numbers)
    in_order = sorted(set(wanted))
    assert ranks(array).tolist() == [in_order.index(value) for value in wanted]
    assert [wanted[row] for row in order_of(array)] == sorted(wanted)
