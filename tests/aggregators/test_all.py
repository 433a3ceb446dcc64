"""What holds for every aggregator of the library, whatever it computes."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyped_beam import aggregators
from hyped_beam.aggregators import (
    All,
    ApproxCountDistinct,
    ApproxQuantiles,
    ApproxTopK,
    ArgMax,
    ArgMin,
    BloomFilter,
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
    Vocabulary,
)
from hyped_beam.nodes import registry

INTEGERS = st.none() | st.integers(-3, 3) | st.integers(-(2**40), 2**40)
SMALL = st.none() | st.integers(-3, 3)
FLOATS = st.none() | st.sampled_from([0.0, -0.0, math.nan, math.inf, 1.5, -2.25]) | st.floats(-1e9, 1e9)
TEXTS = st.none() | st.text("abä", max_size=3)
LISTS = st.none() | st.lists(st.none() | st.integers(0, 2), max_size=3)
BOOLEANS = st.none() | st.booleans()
KINDS = {
    "integers": (INTEGERS, pa.int64()),
    "small": (SMALL, pa.int8()),
    "floats": (FLOATS, pa.float64()),
    "texts": (TEXTS, pa.string()),
    "large texts": (TEXTS, pa.large_string()),
    "lists": (LISTS, pa.list_(pa.int64())),
    "lists of texts": (st.none() | st.lists(TEXTS, max_size=3), pa.list_(pa.string())),
    "structs": (
        st.none() | st.fixed_dictionaries({"x": FLOATS, "y": LISTS}),
        pa.struct({"x": pa.float64(), "y": pa.list_(pa.int64())}),
    ),
    "booleans": (BOOLEANS, pa.bool_()),
}

CASES: list[tuple[Any, dict[str, str]]] = [
    *((node, {"value": kind}) for node in (Count(), CountNull(), First(), Last()) for kind in KINDS),
    *((First(skip_nulls=False), {"value": kind}) for kind in ("integers", "lists")),
    *((Last(skip_nulls=False), {"value": kind}) for kind in ("integers", "lists")),
    *(
        (node, {"value": kind})
        for node in (Min(), Max())
        for kind in ("integers", "small", "floats", "texts", "large texts", "booleans")
    ),
    *(
        (node, {"value": value, "payload": payload})
        for node in (ArgMin(), ArgMax())
        for value, payload in [("small", "lists"), ("floats", "integers"), ("texts", "texts")]
    ),
    *((node, {"value": "booleans"}) for node in (aggregators.Any(), All())),
    *((node, {"value": kind}) for node in (Sum(), Mean()) for kind in ("integers", "small")),
    (Product(), {"value": "small"}),
    *(
        (node, {"value": kind})
        for node in (
            ValueCounts(),
            TopK(k=2),
            ApproxTopK(k=2),
            CountDistinct(),
            ApproxCountDistinct(),
            CollectList(limit=3),
            CollectList(limit=2, skip_nulls=False),
            Sample(k=2),
            BloomFilter(capacity=20),
        )
        for kind in ("floats", "large texts", "structs")
    ),
    *((ValueCounts(), {"value": kind}) for kind in ("small", "texts", "lists", "booleans")),
    (Sample(k=2), {"value": "lists", "key": "small"}),
    *((Vocabulary(size=2), {"value": kind}) for kind in ("texts", "large texts", "lists of texts")),
    (Vocabulary(min_count=2), {"value": "lists of texts"}),
    *(
        (node, {"value": kind})
        for node in (
            Histogram(edges=[-2, 0, 1.5]),
            Histogram(bins=3, low=-3, high=3),
            Quantiles(q=[0, 0.3, 1]),
            Quantiles(q=[0.5], interpolation="lower"),
            ApproxQuantiles(q=[0, 0.3, 1]),
            Median(),
        )
        for kind in ("integers", "floats")
    ),
]

ROUNDED: list[tuple[Any, dict[str, str]]] = [
    *((node, {"value": "floats"}) for node in (Sum(), Product(), Mean())),
    *(
        (node, {"value": kind})
        for node in (Variance(), Std(ddof=0), Skewness(), Kurtosis())
        for kind in ("integers", "small", "floats")
    ),
    *((node, {"x": "small", "y": "floats"}) for node in (Covariance(), Correlation())),
]
"""Those whose values depend on how sums of floats are bracketed, but for rounding."""


def name_of(case: tuple[Any, dict[str, str]]) -> str:
    node, kinds = case
    return f"{type(node).__name__}({node.describe()}) of {', '.join(kinds.values())}"


def columns_of(kinds: dict[str, str], rows: int, data: st.DataObject) -> dict[str, pa.Array]:
    made = {}
    for name, kind in kinds.items():
        values, arrow_type = KINDS[kind]
        drawn = data.draw(st.lists(values, min_size=rows + 1, max_size=rows + 1), name)
        made[name] = pa.array(drawn, arrow_type).slice(1)
    return made


def test_every_aggregator_is_tried():
    registry.load_library()
    known = {node for name, node in registry.registered().items() if "hyped_beam.aggregators" in name}
    assert known == {type(node) for node, _ in CASES + ROUNDED}
    assert known == {getattr(aggregators, name) for name in aggregators.__all__}


@pytest.mark.parametrize("case", CASES, ids=name_of)
@settings(max_examples=12)
@given(data=st.data())
def test_any_batches_and_merges_give_the_same_bits(case, data, run, bits):
    node, kinds = case
    n = data.draw(st.integers(1, 4), "groups")
    ids = data.draw(st.lists(st.integers(0, n - 1), max_size=12), "ids")
    columns = columns_of(kinds, len(ids), data)
    seed = data.draw(st.integers(0, 10**6), "seed")
    expected = bits(run(node, columns, ids, n))
    assert bits(run(node, columns, ids, n, seed)) == expected
    if n == 1:
        assert bits(run(node, columns)) == expected


@pytest.mark.parametrize("case", CASES + ROUNDED, ids=name_of)
@settings(max_examples=8)
@given(data=st.data())
def test_each_group_is_as_if_alone(case, data, run):
    node, kinds = case
    ids = data.draw(st.lists(st.integers(0, 2), max_size=12), "ids")
    columns = columns_of(kinds, len(ids), data)
    together = run(node, columns, ids, 3, data.draw(st.integers(0, 10**6), "seed")).to_pylist()
    for group in range(3):
        rows = pa.array([number == group for number in ids], pa.bool_())
        alone = run(node, {name: column.filter(rows) for name, column in columns.items()})
        assert close(together[group], alone[0].as_py()), (group, columns, ids)


def close(left: Any, right: Any) -> bool:
    """Equal, floats but for rounding: an ill-conditioned value may be infinite or undefined instead."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(close, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(close(left[name], right[name]) for name in left)
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-6, abs_tol=1e-6) or (left != left and right != right)  # noqa: PLR0124
    return left == right


@pytest.mark.parametrize("case", CASES + ROUNDED, ids=name_of)
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_no_rows_and_nulls_only(case, rows, run, bits):
    node, kinds = case
    columns = {name: pa.nulls(rows, KINDS[kind][1]) for name, kind in kinds.items()}
    whole = run(node, columns)
    assert len(whole) == 1
    assert bits(run(node, columns, [0] * rows, 3)[2:]) == bits(
        run(node, {k: v[:0] for k, v in columns.items()})
    )
    assert bits(run(node, columns, seed=rows)) == bits(whole)


@pytest.mark.parametrize("case", CASES + ROUNDED, ids=name_of)
@settings(max_examples=5)
@given(data=st.data())
def test_a_slice_is_as_good_as_a_copy(case, data, run, bits):
    node, kinds = case
    sliced = columns_of(kinds, data.draw(st.integers(0, 9), "rows"), data)
    copied = {name: pa.array(column.to_pylist(), column.type) for name, column in sliced.items()}
    assert bits(run(node, sliced)) == bits(run(node, copied))
    ids = [row % 2 for row in range(len(next(iter(sliced.values()))))]
    assert bits(run(node, sliced, ids, 2)) == bits(run(node, copied, ids, 2))
