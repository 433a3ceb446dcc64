"""Estimates keep to the error that is stated, and are the same in every run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import datasketches
import numpy as np
import pyarrow as pa
import pytest

from hyped_beam.aggregators import ApproxCountDistinct, ApproxQuantiles, ApproxTopK, BloomFilter, Sample
from hyped_beam.testing import evaluate, flow_of

ROWS = 60_000
ORDERS = ["shuffled", "ascending", "descending", "zoomed"]


def numbers(order: str, rows: int = ROWS) -> np.ndarray:
    values = np.arange(rows, dtype=np.float64)
    if order == "shuffled":
        return np.random.default_rng(0).permutation(values)
    if order == "zoomed":  # the extremes first, and then inwards
        return np.stack([values[: rows // 2], values[::-1][: rows // 2]], axis=1).reshape(-1)
    return values if order == "ascending" else values[::-1].copy()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_quantiles_are_within_the_bound_in_any_order(order, seed, run):
    q = tuple(np.linspace(0, 1, 41))
    for k in (64, 256):
        found = run(ApproxQuantiles(q=q, k=k), {"value": pa.array(numbers(order))}, seed=seed)[0].as_py()
        ranks = np.array(found) / (ROWS - 1)
        errors = np.abs(ranks - np.array(q))
        assert errors.max() <= np.log2(ROWS / k) / k
        assert np.sqrt(np.mean(errors**2)) <= 2 / k
        assert found == sorted(found)


def test_quantiles_are_no_worse_than_those_of_the_library_of_sketches(run):
    q = tuple(np.linspace(0.01, 0.99, 99))
    values = numbers("shuffled")
    peer = datasketches.kll_doubles_sketch(256)
    peer.update(values)
    ours = run(ApproxQuantiles(q=q, k=256), {"value": pa.array(values)})[0].as_py()
    theirs = np.array(peer.get_quantiles(list(q)))

    def error(found):
        return np.abs(np.array(found) / (ROWS - 1) - np.array(q)).max()

    assert error(ours) <= max(error(theirs), peer.normalized_rank_error(False))


def test_medians_of_groups_are_within_the_bound(run):
    ids = [row % 3 for row in range(9000)]
    values = numbers("shuffled", 9000)
    found = run(ApproxQuantiles(q=[0.5], k=64), {"value": pa.array(values)}, ids, 3, seed=4).to_pylist()
    for group, (median,) in enumerate(found):
        of_group = np.sort(values[group::3])
        assert abs(np.searchsorted(of_group, median) / len(of_group) - 0.5) <= np.log2(3000 / 64) / 64


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_distinct_counts_are_within_their_error_and_the_same_for_any_batches(seed, run):
    values = pa.array(np.random.default_rng(1).integers(0, 20_000, ROWS))
    exact = len(values.unique())
    for k in (64, 1024, 4096):
        node = ApproxCountDistinct(k=k)
        found = run(node, {"value": values}, seed=seed)[0].as_py()
        assert abs(found / exact - 1) <= 3 / np.sqrt(k - 2)
        assert found == run(node, {"value": values})[0].as_py()
    assert run(ApproxCountDistinct(k=20_000), {"value": values}, seed=seed)[0].as_py() == exact


def test_estimates_of_distinct_counts_have_no_bias(run):
    found = [
        run(ApproxCountDistinct(k=64), {"value": pa.array(range(start, start + 5000))})[0].as_py()
        for start in range(0, 200 * 5000, 5000)
    ]
    errors = np.array(found) / 5000 - 1
    assert abs(errors.mean()) < 3 / np.sqrt(62 * len(found))
    assert np.std(errors) == pytest.approx(1 / np.sqrt(62), rel=0.25)


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_frequent_values_are_found_and_counted_within_their_error(seed, run):
    chance = np.random.default_rng(2)
    values = np.concatenate([chance.zipf(1.3, ROWS) % 100_000, np.arange(2000)])
    chance.shuffle(values)
    counts = Counter(values.tolist())
    capacity = 200
    top = run(ApproxTopK(k=10, capacity=capacity), {"value": pa.array(values)}, seed=seed)[0].as_py()
    assert {item["value"] for item in top[:5]} == {value for value, _ in counts.most_common(5)}
    for item in top:
        assert item["count"] <= counts[item["value"]] <= item["count"] + item["error"]
        assert 0 < item["error"] <= len(values) / (capacity + 1)


def test_a_sample_has_no_favourites(run):
    """Of a hundred rows each is drawn about as often as any other, over many seeds."""
    rows = pa.array(range(100))
    drawn = Counter(
        value for seed in range(500) for value in run(Sample(k=10, seed=seed), {"value": rows})[0].as_py()
    )
    assert len(drawn) == 100
    assert max(abs(times - 50) for times in drawn.values()) < 5 * np.sqrt(500 * 0.1 * 0.9)


@pytest.mark.parametrize("error", [0.1, 0.01])
def test_a_bloom_filter_finds_all_and_little_else(error, run):
    member = pa.array([f"member {row}" for row in range(5000)])
    other = pa.array([f"other {row}" for row in range(20_000)])
    known = run(BloomFilter(capacity=5000, error=error), {"value": member}, seed=1)
    src = flow_of({"known": "binary", "name": "string"})

    def found(names):
        table = pa.table({"known": pa.repeat(known[0], len(names)), "name": names})
        return evaluate(src.known.might_contain(src.name), table).to_numpy(zero_copy_only=False)

    assert found(member).all()
    assert found(other).mean() <= error * 1.3


PROGRAM = """
import pyarrow as pa
from hyped_beam import aggregators as a
from hyped_beam.testing import aggregate, flow_of
table = pa.table({"n": [(row * 7919) % 10007 / 3 for row in range(20000)]})
src = flow_of(table.schema)
nodes = [a.Median(), a.ApproxQuantiles(q=[.1, .9], k=16), a.ApproxCountDistinct(k=64), a.Kurtosis(),
         a.ApproxTopK(k=3, capacity=20), a.TopK(k=3), a.CountDistinct(), a.Sample(k=3),
         a.BloomFilter(capacity=50), a.ValueCounts()]
print([aggregate(node.call(src.n), table) for node in nodes])
"""


def test_another_process_says_the_same():
    root = Path(__file__).parents[2]
    said = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)}
        command = [sys.executable, "-c", PROGRAM]
        said.add(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)
    assert len(said) == 1
    assert said.pop()
