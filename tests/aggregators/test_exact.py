"""What has an exact name is exact, whatever the size; or it stops and names the estimate to take."""

from __future__ import annotations

import datetime
import decimal
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import (
    ApproxCountDistinct,
    ApproxQuantiles,
    ApproxTopK,
    BloomFilter,
    Count,
    CountDistinct,
    Median,
    Quantiles,
    TopK,
)
from hyped_beam.errors import NodeError
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.nodes import registry
from hyped_beam.testing import aggregate, flow_of

ROWS = 30_000


def plain(values: pa.Array) -> list[str]:
    """Values as texts, equal where they are equal as keys are."""

    def text(value: object) -> str:
        if isinstance(value, float):
            return "nan" if math.isnan(value) else str(value + 0.0)
        if isinstance(value, dict):
            return str({name: text(item) for name, item in value.items()})
        return str([text(item) for item in value]) if isinstance(value, list) else repr(value)

    return [text(value) for value in values.to_pylist() if value is not None]


def columns() -> dict[str, pa.Array]:
    """More different values than sketches keep, of many types, with nulls."""
    numbers = np.random.default_rng(5).integers(0, 20_000, ROWS)
    there = [int(number) if number % 11 else None for number in numbers]

    def each(function, kind=None):
        return pa.array([None if value is None else function(value) for value in there], kind)

    day = datetime.datetime(2020, 1, 1)  # noqa: DTZ001 - a column without a zone
    return {
        "integers": pa.array(there),
        "floats": each(lambda value: math.nan if value == 1 else -0.0 if value % 7 == 0 else value / 3),
        "texts": each(str),
        "binary": each(lambda value: str(value).encode()),
        "decimals": each(lambda value: decimal.Decimal(value) / 4, pa.decimal128(20, 2)),
        "times": each(lambda value: day + datetime.timedelta(seconds=value), pa.timestamp("us")),
        "lists": each(lambda value: [value // 2, None]),
        "structs": each(lambda value: {"x": value / 2, "y": str(value % 5)}),
    }


@pytest.mark.parametrize("name", list(columns()))
@pytest.mark.parametrize("seed", [None, 1])
def test_many_values_are_counted_exactly(name, seed, run):
    column = columns()[name]
    counts = Counter(plain(column))
    assert len(counts) > 4096
    assert run(CountDistinct(), {"value": column}, seed=seed)[0].as_py() == len(counts)
    top = run(TopK(k=5), {"value": column}, seed=seed)[0]
    assert top.type.value_type.field("value").type == column.type
    assert [item["count"] for item in top.as_py()] == [count for _, count in counts.most_common(5)]
    ids = [row % 3 for row in range(ROWS)]
    of_groups = [len(set(plain(column.take(pa.array(range(group, ROWS, 3)))))) for group in range(3)]
    assert run(CountDistinct(), {"value": column}, ids, 3, seed).to_pylist() == of_groups


@pytest.mark.parametrize("name", ["integers", "floats", "decimals"])
@pytest.mark.parametrize("seed", [None, 1])
def test_quantiles_of_many_numbers_are_those_of_numpy(name, seed, run):
    column = columns()[name]
    numbers = np.array([float(value) for value in column.to_pylist() if value is not None])
    numbers = numbers[~np.isnan(numbers)]
    q = [0, 0.01, 1 / 3, 0.5, 0.999, 1]
    found = run(Quantiles(q=q), {"value": column}, seed=seed)[0].as_py()
    assert found == pytest.approx(np.quantile(numbers, q).tolist(), rel=1e-15)
    lower = run(Quantiles(q=q, interpolation="lower"), {"value": column}, seed=seed)[0].as_py()
    assert lower == np.quantile(numbers, q, method="lower").tolist()
    assert run(Median(), {"value": column}, seed=seed)[0].as_py() == np.median(numbers)


LARGE = [
    (CountDistinct, {}, "ApproxCountDistinct"),
    (Quantiles, {"q": [0.5]}, "ApproxQuantiles"),
    (Median, {}, "ApproxQuantiles(q=[0.5])"),
    (TopK, {"k": 1}, "ApproxTopK"),
]


@pytest.mark.parametrize(("node", "options", "twin"), LARGE)
def test_a_state_that_is_too_large_names_the_estimate(node, options, twin):
    table = pa.table({"n": range(5000), "k": [row % 50 for row in range(5000)]})
    src = flow_of(table.schema)
    for by in (None, src.k):
        ref = node(max_bytes=30_000, **options).call(src.n, by=by)
        with pytest.raises(NodeError) as raised:
            aggregate(ref, table) if by is None else aggregate(Count().call(ref), table)
        assert f"use {twin}" in raised.value.hint
        assert "max_bytes=30000 (29.3 KiB)" in str(raised.value)
        assert Path(raised.value.site.file).name == Path(__file__).name
    assert aggregate(node(**options).call(src.n), table)


def test_a_job_whose_ranges_are_too_large_together_names_the_estimate(tmp_path):
    """Each range fits, and what merges them does not: the error is that of the node all the same."""
    path = tmp_path / "numbers.parquet"
    pq.write_table(pa.table({"n": range(20_000)}), path, row_group_size=2000)
    reader = ParquetReader(path)
    flow = DataFlow(reader.features)
    job = flow.job(source=reader).aggregate({"n": CountDistinct(max_bytes=60_000).call(flow.src_features.n)})
    with pytest.raises(NodeError) as raised:
        job.run()
    assert "use ApproxCountDistinct" in raised.value.hint
    assert raised.value.site.file == __file__


@pytest.mark.parametrize(("node", "options", "twin"), LARGE)
@pytest.mark.parametrize("column", [pa.array(range(1000)), pa.array([str(row) for row in range(1000)])])
def test_the_bound_does_not_depend_on_the_cuts(node, options, twin, column, run):
    if node in (Quantiles, Median) and column.type == pa.string():
        return
    low, high = 1, 10**6
    while low < high:
        middle = (low + high) // 2
        try:
            run(node(max_bytes=middle, **options), {"value": column})
            high = middle
        except ValueError:
            low = middle + 1
    for seed in range(5):
        run(node(max_bytes=low, **options), {"value": column}, seed=seed)
        with pytest.raises(ValueError, match="more than max_bytes"):
            run(node(max_bytes=low - 1, **options), {"value": column}, seed=seed)


FLOATS = st.none() | st.sampled_from([0.0, -0.0, math.nan, 1.0, -1.5, math.inf])


@given(st.lists(FLOATS, max_size=30))
def test_counting_groups_by_value_is_counting_different_values(values):
    """What the error says to write instead gives the same."""
    table = pa.table({"x": pa.array(values, pa.float64())})
    src = flow_of(table.schema)
    groups = ops.group_by({"value": src.x}, join="shuffle")
    assert aggregate(Count().call(groups.keys.value), table) == aggregate(CountDistinct().call(src.x), table)


def test_the_plan_says_what_is_estimated_and_how_well():
    flow = DataFlow(pa.schema({"n": pa.int64()}))
    n = flow.src_features.n
    estimates = {
        "distinct": ApproxCountDistinct().call(n),
        "quantiles": ApproxQuantiles(q=[0.5]).call(n),
        "top": ApproxTopK(k=3).call(n),
        "set": BloomFilter(capacity=10).call(n),
    }
    text = flow.explain(aggregators=estimates)
    for error in (
        "approximate, +-1.6 % (standard error) above 4096 values",
        "approximate, +-0.14 % of the rows (standard error of the rank) from 1024 numbers on",
        "approximate, counts -0.1 % of the rows at most, above 1000 values",
        "approximate, finds 1 % of other values, up to 10 values",
    ):
        assert error in text
    exact = {"distinct": CountDistinct().call(n), "median": Median().call(n), "top": TopK(k=3).call(n)}
    assert "approximate" not in flow.explain(aggregators=exact)


def test_only_estimates_have_an_error():
    registry.load_library()
    nodes = [ApproxCountDistinct(), ApproxQuantiles(q=[0.5]), ApproxTopK(k=1), BloomFilter(capacity=1)]
    assert all(node.approximation() for node in nodes)
    named = {name for name in registry.registered() if ".Approx" in name or ":Approx" in name}
    assert len(named) == len(nodes) - 1


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=40))
def test_quantiles_are_those_of_numpy_to_the_last_bit(numbers):
    table = pa.table({"x": numbers})
    src = flow_of(table.schema)
    q = (0.0, 0.01, 0.1, 0.25, 1 / 3, 0.5, 0.77, 0.99, 1.0)
    assert aggregate(Quantiles(q=q).call(src.x), table) == np.quantile(numbers, q).tolist()
    assert aggregate(Median().call(src.x), table) == np.quantile(numbers, 0.5)


def test_between_numbers_that_are_far_apart_nothing_overflows():
    table = pa.table({"x": [1e308, -1e308]})
    assert aggregate(Median().call(flow_of(table.schema).x), table) == 0.0
