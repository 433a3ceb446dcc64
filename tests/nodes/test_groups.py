"""Groups: reductions against plain Python."""

from __future__ import annotations

import gc
import math
import weakref
from collections import defaultdict
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.nodes.groups import Groups

INTEGERS = st.none() | st.integers(-(2**40), 2**40)


def grouped(ids: list[int], values: list[Any], groups: int) -> list[list[Any]]:
    held = defaultdict(list)
    for group, value in zip(ids, values, strict=True):
        if value is not None:
            held[group].append(value)
    return [held[group] for group in range(groups)]


@given(
    st.integers(1, 40).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.tuples(st.integers(0, n - 1), INTEGERS)))
    )
)
def test_reductions_are_those_of_python(given_rows: tuple[int, list[tuple[int, int | None]]]):
    n, rows = given_rows
    ids, values = [group for group, _ in rows], [value for _, value in rows]
    by = Groups(n, pa.array(ids, pa.int64()))
    array = pa.array(values, pa.int64())
    expected = grouped(ids, values, n)
    assert by.sum(array).to_pylist() == [sum(held) for held in expected]
    assert by.count(array).to_pylist() == [len(held) for held in expected]
    assert by.size().to_pylist() == [ids.count(group) for group in range(n)]
    assert by.min(array).to_pylist() == [min(held, default=None) for held in expected]
    assert by.max(array).to_pylist() == [max(held, default=None) for held in expected]
    assert by.first(array).to_pylist() == [held[0] if held else None for held in expected]
    assert by.last(array).to_pylist() == [held[-1] if held else None for held in expected]


@given(st.lists(st.tuples(st.integers(0, 2), st.none() | st.floats(allow_infinity=False, width=32))))
def test_sums_of_floats_are_added_in_the_order_of_the_rows(rows: list[tuple[int, float | None]]):
    ids, values = [group for group, _ in rows], [value for _, value in rows]
    made = Groups(3, pa.array(ids, pa.int64())).sum(pa.array(values, pa.float64())).to_pylist()
    for found, held in zip(made, grouped(ids, values, 3), strict=True):
        expected = 0.0
        for value in held:
            expected += value
        assert found == expected or (math.isnan(found) and math.isnan(expected))


TYPES = [
    pa.int8(),
    pa.uint64(),
    pa.float16(),
    pa.float32(),
    pa.decimal128(9, 2),
    pa.timestamp("ns", "UTC"),
    pa.duration("ns"),
    pa.date32(),
    pa.time64("ns"),
]


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_extremes_and_ends_keep_the_type(kind: pa.DataType, groups: int):
    values = pa.array([None, 3, 1, 2], pa.int64()).cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = values.cast(pa.float32()).cast(kind) if pa.types.is_float16(kind) else values.cast(kind)
    else:
        values = (
            values.cast(pa.decimal128(19, 0)).cast(kind) if pa.types.is_decimal(kind) else values.cast(kind)
        )
    by = Groups(groups, pa.array([0, 0, 0, groups - 1]))
    assert by.max(values).equals(_with_nulls(values, [1], groups, 3))
    assert by.min(values)[0].equals(values[2])
    assert by.first(values)[0].equals(values[1])
    assert by.last(values)[groups - 1].equals(values[3])
    for reduced in (by.max(values), by.min(values), by.first(values), by.last(values)):
        assert reduced.type == kind
        assert len(reduced) == groups


def _with_nulls(values: pa.Array, first: list[int], groups: int, last: int) -> pa.Array:
    rows = first if groups == 1 else [*first, *[None] * (groups - 2), last]
    return values.take(pa.array(rows, pa.int64()))


@pytest.mark.parametrize("groups", [1, 2])
def test_ends_of_nested_values(groups: int):
    values = pa.array([None, [1], [2, 3]])
    by = Groups(groups, pa.array([0, 0, 0]))
    assert by.first(values)[0].as_py() == [1]
    assert by.last(values)[0].as_py() == [2, 3]


@pytest.mark.parametrize("groups", [1, 2])
def test_nan_is_an_extreme_only_where_there_is_nothing_else(groups: int):
    by = Groups(groups, pa.array([0, 0, groups - 1]))
    values = pa.array([math.nan, 1.0, math.nan])
    assert by.min(values)[0].as_py() == 1.0
    assert by.max(values)[0].as_py() == 1.0
    only = by.min(pa.array([math.nan] * 3))
    assert math.isnan(only[0].as_py())


@pytest.mark.parametrize("groups", [1, 2])
def test_a_sum_that_does_not_fit_is_an_error_and_one_that_just_fits_is_not(groups: int):
    by = Groups(groups, pa.array([0, 0]))
    assert by.sum(pa.array([2**62, 2**62 - 1]))[0].as_py() == 2**63 - 1
    assert by.sum(pa.array([2**63, 2**63 - 1], pa.uint64()))[0].as_py() == 2**64 - 1
    assert by.sum(pa.array([-(2**62), -(2**62)]))[0].as_py() == -(2**63)
    for values in (pa.array([2**62, 2**62]), pa.array([2**63, 2**63], pa.uint64()), pa.array([-(2**63), -1])):
        with pytest.raises(pa.ArrowInvalid, match="overflows 64 bits"):
            by.sum(values)


def test_small_integers_are_summed_in_64_bits():
    assert Groups.whole(3).sum(pa.array([127, 127, 127], pa.int8())).equals(pa.array([381]))
    assert Groups.whole(2).sum(pa.array([255, 255], pa.uint8())).equals(pa.array([510], pa.uint64()))


def test_no_rows_at_all():
    by = Groups.whole(0)
    empty = pa.array([], pa.float64())
    assert (by.sum(empty).to_pylist(), by.count(empty).to_pylist(), by.size().to_pylist()) == (
        [0.0],
        [0],
        [0],
    )
    assert (by.min(empty).to_pylist(), by.first(empty).to_pylist()) == ([None], [None])
    assert Groups(0, pa.array([], pa.int64())).sum(empty).to_pylist() == []


def test_a_slice():
    by = Groups(3, pa.array([9, 0, 0, 2]).slice(1))
    assert by.first(pa.array([9, 2, 3, None]).slice(1)).to_pylist() == [2, None, None]


def test_what_is_computed_once_is_given_back_with_the_batch():
    values = pa.array([3.0, None, 1.0])
    by = Groups(2, pa.array([0, 0, 1]))
    assert by.once("something", values, lambda: "first") == "first"
    assert by.once("something", values, lambda: "again") == "first"
    assert by.once("something", pa.array([3.0, None, 1.0]), lambda: "other") == "other"
    assert by.order.tolist() == [0, 1, 2]
    assert by.size().to_pylist() == [2, 1]
    held = weakref.ref(by)
    gc.disable()
    try:
        del by  # without a cycle, which would keep the memory of many batches
        assert held() is None
    finally:
        gc.enable()
