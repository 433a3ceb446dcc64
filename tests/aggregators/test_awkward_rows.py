"""What every aggregator makes of awkward rows in whole flows: none, skewed groups, infinities, all keys."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pytest

from hyped_beam import ops
from hyped_beam.aggregators import (
    ApproxCountDistinct,
    ApproxQuantiles,
    ApproxTopK,
    ArgMax,
    ArgMin,
    CollectList,
    Correlation,
    Count,
    CountDistinct,
    CountNull,
    Covariance,
    First,
    Histogram,
    Kurtosis,
    Last,
    Max,
    Mean,
    Median,
    Min,
    Product,
    Quantiles,
    Sample,
    Skewness,
    Std,
    Sum,
    TopK,
    ValueCounts,
    Variance,
)
from hyped_beam.testing import aggregate, flow_of
from tests.aggregators.test_all import CASES, KINDS, ROUNDED, close, name_of

EVERY = CASES + ROUNDED
INF, NAN = math.inf, math.nan
InBatches = Callable[..., pa.Table]

VALUES: dict[str, list[Any]] = {
    "integers": [None, 0, 1, -3, 2**40, 7],
    "small": [None, 0, 1, -3, 2],
    "floats": [None, 0.0, -0.0, NAN, INF, -INF, 1.5, -2.25],
    "texts": [None, "", "a", "bä", "ab"],
    "large texts": [None, "", "a", "bä", "ab"],
    "lists": [None, [], [1, None], [2]],
    "lists of texts": [None, [], ["a", None], ["b", "a"]],
    "structs": [None, {"x": NAN, "y": []}, {"x": 1.0, "y": [1]}, {"x": None, "y": None}],
    "booleans": [None, True, False],
}


def columns_of(kinds: Mapping[str, str], rows: int) -> dict[str, pa.Array]:
    chance = random.Random(rows)  # noqa: S311 - no secrets
    return {
        name: pa.array([chance.choice(VALUES[kind]) for _ in range(rows)], KINDS[kind][1])
        for name, kind in kinds.items()
    }


def made_by(src: Any, case: tuple[Any, Mapping[str, str]], **how: Any) -> Any:
    node, kinds = case
    return node.call(**{name: src[name] for name in kinds}, **how)


def by_key(
    in_batches: InBatches, case: Any, columns: Mapping[str, pa.Array], keys: pa.Array
) -> dict[Any, Any]:
    """The value of each group, and that each row of it is given the same."""
    table = pa.table({**columns, "group": keys})
    src = flow_of(table.schema)
    groups = ops.group_by(src.group)
    found = in_batches(src, {"key": groups.keys.group, "made": made_by(src, case, by=groups)}, table)
    values = dict(zip(found["key"].to_pylist(), found["made"].to_pylist(), strict=True))
    at_rows = in_batches(src, {"key": src.group, "made": made_by(src, case, by=src.group)}, table)
    for key, value in zip(at_rows["key"].to_pylist(), at_rows["made"].to_pylist(), strict=True):
        assert close(value, values[key]), key
    return values


@pytest.mark.parametrize("case", EVERY, ids=name_of)
def test_one_group_that_holds_everything_is_the_whole(case, in_batches, bits):
    columns = columns_of(case[1], 41)
    table = pa.table(columns)
    src = flow_of(table.schema)
    whole = in_batches(src, {"made": made_by(src, case), "row": src[next(iter(columns))]}, table)
    found = by_key(in_batches, case, columns, pa.array(["k"] * 41))
    assert bits(list(found.values())) == bits(whole["made"].to_pylist()[:1])


@pytest.mark.parametrize("case", EVERY, ids=name_of)
def test_nearly_all_rows_in_one_group_leave_the_others_alone(case, in_batches):
    columns = columns_of(case[1], 41)
    keys = ["few" if row in (3, 40) else "one" if row == 20 else "most" for row in range(41)]
    found = by_key(in_batches, case, columns, pa.array(keys))
    for key in ("few", "one", "most"):
        rows = pa.array([one == key for one in keys])
        alone = pa.table({name: column.filter(rows) for name, column in columns.items()})
        assert close(found[key], aggregate(made_by(flow_of(alone.schema), case), alone)), key


@pytest.mark.parametrize("case", EVERY, ids=name_of)
def test_no_rows_at_all_make_no_groups_and_one_value_of_nothing(case, in_batches, run, bits):
    columns = columns_of(case[1], 0)
    assert by_key(in_batches, case, columns, pa.array([], pa.string())) == {}
    table = pa.table(columns)
    value = aggregate(made_by(flow_of(table.schema), case), table)
    assert bits([value]) == bits(run(case[0], columns))


@pytest.mark.parametrize("case", EVERY, ids=name_of)
def test_nulls_only_are_as_nothing_but_where_nulls_count(case, in_batches, bits):
    rows = 5
    columns = {name: pa.nulls(rows, KINDS[kind][1]) for name, kind in case[1].items()}
    nothing = {name: column[:0] for name, column in columns.items()}
    found = by_key(in_batches, case, columns, pa.array([None] * rows, pa.int64()))
    assert list(found) == [None]
    counts_nulls = isinstance(case[0], CountNull) or not getattr(case[0], "skip_nulls", True)
    empty = aggregate(made_by(flow_of(pa.table(nothing).schema), case), pa.table(nothing))
    if not counts_nulls:
        assert bits(found[None]) == bits(empty)
    elif isinstance(case[0], CountNull):
        assert (found[None], empty) == (rows, 0)


TYPED: dict[str, pa.Array] = {
    "integer": pa.array([1, 0] * 12),
    "text": pa.array(["1", "0"] * 12),
    "truth": pa.array([True, False] * 12),
    "float": pa.array([1.0, 0.0] * 12),
    "bytes": pa.array([b"1", b"0"] * 12),
    "narrow": pa.array([1, 0] * 12, pa.uint8()),
}
"""Keys that differ only in their type."""


@pytest.mark.parametrize("case", EVERY, ids=name_of)
def test_keys_that_differ_only_in_type_are_keys_of_their_own(case, in_batches, bits):
    columns = columns_of(case[1], 24)
    table = pa.table({**columns, **TYPED})
    src = flow_of(table.schema)
    # all at once: what one kind of key has found must not be taken for what another has
    asked = {name: made_by(src, case, by=src[name]) for name in TYPED}
    at_rows = in_batches(src, {**asked, "row": src.integer}, table)
    first = bits(at_rows["integer"].to_pylist())
    assert all(bits(at_rows[name].to_pylist()) == first for name in TYPED)
    for name, keys in TYPED.items():
        groups = ops.group_by(src[name])
        found = in_batches(src, {"key": groups.keys[name], "made": made_by(src, case, by=groups)}, table)
        assert found["key"].type == keys.type
        assert [(type(key), key) for key in found["key"].to_pylist()] == [
            (type(key), key) for key in sorted(set(keys.to_pylist()))
        ]
        assert bits(found["made"].to_pylist()) == [first[1], first[0]]


def test_several_keys_of_several_types_are_told_apart_by_all_of_them(in_batches):
    table = pa.table(
        {"a": [1, 1, 11, None, None], "b": ["11", "1", "1", "1", None], "c": [1.0, 1.0, 1.0, NAN, NAN]}
    )
    src = flow_of(table.schema)
    found = in_batches(
        src, {"n": Count().call(src.a.fill_null(0), by={"a": src.a, "b": src.b, "c": src.c})}, table
    )
    assert found["n"].to_pylist() == [1] * 5


NUMBERS = ([INF, 1.0], [INF, -INF], [NAN, 1.0], [NAN])
OF_NUMBERS: list[tuple[Any, list[Any]]] = [
    (Count(), [2, 2, 2, 1]),
    (CountNull(), [0, 0, 0, 0]),
    (Sum(), [INF, NAN, NAN, NAN]),
    (Product(), [INF, -INF, NAN, NAN]),
    (Mean(), [INF, NAN, NAN, NAN]),
    (Min(), [1.0, -INF, 1.0, NAN]),
    (Max(), [INF, INF, 1.0, NAN]),
    (Variance(), [NAN, NAN, NAN, None]),
    (Std(), [NAN, NAN, NAN, None]),
    (Skewness(), [NAN, NAN, NAN, NAN]),
    (Kurtosis(), [NAN, NAN, NAN, NAN]),
    (First(), [INF, INF, NAN, NAN]),
    (Last(), [1.0, -INF, 1.0, NAN]),
    (Quantiles(q=[0, 1]), [[1.0, INF], [-INF, INF], [1.0, 1.0], None]),
    (ApproxQuantiles(q=[0, 1]), [[1.0, INF], [-INF, INF], [1.0, 1.0], None]),
    (Median(), [INF, NAN, 1.0, None]),
    (Histogram(edges=[0, 2]), [(0, [1], 1), (1, [0], 1), (0, [1], 0), (0, [0], 0)]),
    (CountDistinct(), [2, 2, 2, 1]),
    (ApproxCountDistinct(), [2, 2, 2, 1]),
    (ValueCounts(), [[1.0, INF], [-INF, INF], [1.0, NAN], [NAN]]),
    (TopK(k=9), [[1.0, INF], [-INF, INF], [1.0, NAN], [NAN]]),
    (ApproxTopK(k=9), [[1.0, INF], [-INF, INF], [1.0, NAN], [NAN]]),
    (CollectList(limit=9), [[INF, 1.0], [INF, -INF], [NAN, 1.0], [NAN]]),
    (Sample(k=9), [[INF, 1.0], [INF, -INF], [NAN, 1.0], [NAN]]),
]


def shown(value: Any) -> Any:
    """What a value says, without counts that are all one."""
    if isinstance(value, dict):
        return (value["below"], value["counts"], value["above"])
    return (
        [item["value"] for item in value]
        if isinstance(value, list) and value and isinstance(value[0], dict)
        else value
    )


@pytest.mark.parametrize(("node", "wanted"), OF_NUMBERS, ids=lambda given: repr(given)[:60])
def test_nan_and_infinities(node, wanted, in_batches, bits):
    for values, expected in zip(NUMBERS, wanted, strict=True):
        table = pa.table({"value": pa.array(values, pa.float64()), "key": ["k"] * len(values)})
        src = flow_of(table.schema)
        whole = shown(aggregate(node.call(src.value), table))
        grouped = in_batches(src, {"made": node.call(src.value, by=src.key)}, table)["made"][0].as_py()
        for found in (whole, shown(grouped)):
            in_any_order = isinstance(node, Sample)
            pair = [sorted(one, key=str) if in_any_order else one for one in (found, expected)]
            assert bits(pair[0]) == bits(pair[1]), values


@pytest.mark.parametrize("values", NUMBERS, ids=str)
def test_nan_and_infinities_beside_others(values, in_batches):
    table = pa.table(
        {"x": pa.array(values, pa.float64()), "y": [1.0, 2.0][: len(values)], "key": [1] * len(values)}
    )
    src = flow_of(table.schema)
    for node in (Covariance(), Correlation()):
        value = aggregate(node.call(x=src.x, y=src.y), table)
        assert value is None if len(values) == 1 else math.isnan(value)
    for node, extreme in ((ArgMin(), Min()), (ArgMax(), Max())):
        best = aggregate(extreme.call(src.x), table)
        assert close(aggregate(node.call(value=src.x, payload=src.x), table), best)
        grouped = in_batches(src, {"made": node.call(value=src.x, payload=src.x, by=src.key)}, table)
        assert close(grouped["made"][0].as_py(), best)


def test_every_aggregator_of_numbers_is_tried_on_nan_and_infinities():
    of_floats = {type(node) for node, kinds in EVERY if "floats" in kinds.values()}
    tried = {type(node) for node, _ in OF_NUMBERS} | {Covariance, Correlation, ArgMin, ArgMax}
    assert {node.__name__ for node in of_floats - tried} <= {"BloomFilter"}
