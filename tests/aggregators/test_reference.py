"""Aggregates of real mails, equal to those of polars and DuckDB, for the whole and for each group."""

from __future__ import annotations

import math
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from hyped_beam.aggregators import (
    ApproxCountDistinct,
    ApproxQuantiles,
    ApproxTopK,
    ArgMax,
    ArgMin,
    Correlation,
    Count,
    CountDistinct,
    CountNull,
    Covariance,
    First,
    Kurtosis,
    Last,
    Max,
    Mean,
    Median,
    Min,
    Quantiles,
    Skewness,
    Std,
    Sum,
    TopK,
    ValueCounts,
    Variance,
    Vocabulary,
)

MAILS = pq.read_table(Path(__file__).parents[2] / "examples" / "data" / "mail.parquet")
MAILS = MAILS.append_column("length", pc.cast(pc.utf8_length(MAILS["text"]), pa.int64()))
MAILS = MAILS.append_column("words", pc.cast(pc.count_substring_regex(MAILS["text"], r"\S+"), pa.int64()))
MAILS = MAILS.append_column("score", pc.divide(pc.cast(MAILS["length"], pa.float64()), 7.0)).combine_chunks()
FRAME = pl.from_arrow(MAILS)
GROUPS = sorted(set(MAILS["group"].to_pylist()))
IDS = [GROUPS.index(group) for group in MAILS["group"].to_pylist()]


def column(name: str) -> pa.Array:
    return MAILS[name].chunk(0)


ONE = [
    (Count(), pl.col("sent").count(), "sent"),
    (CountNull(), pl.col("sent").null_count(), "sent"),
    (Sum(), pl.col("length").sum(), "length"),
    (Mean(), pl.col("score").mean(), "score"),
    (Min(), pl.col("sent").min(), "sent"),
    (Max(), pl.col("text").max(), "text"),
    (Variance(), pl.col("length").var(), "length"),
    (Variance(ddof=0), pl.col("score").var(ddof=0), "score"),
    (Std(), pl.col("score").std(), "score"),
    (Skewness(), pl.col("score").skew(), "score"),
    (Skewness(bias=False), pl.col("score").skew(bias=False), "score"),
    (Kurtosis(), pl.col("score").kurtosis(), "score"),
    (Kurtosis(bias=False), pl.col("score").kurtosis(bias=False), "score"),
    (Median(), pl.col("length").median(), "length"),
    (ApproxCountDistinct(), pl.col("words").n_unique(), "words"),
    (CountDistinct(), pl.col("text").n_unique(), "text"),
    (First(), pl.col("sent").drop_nulls().first(), "sent"),
    (Last(skip_nulls=False), pl.col("sent").last(), "sent"),
    *(
        (kind(q=[q]), pl.col("length").quantile(q, "linear"), "length")
        for q in (0, 0.01, 0.5, 0.99, 1)
        for kind in (Quantiles, ApproxQuantiles)
    ),
]


@pytest.mark.parametrize(("node", "expression", "name"), ONE, ids=str)
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_polars_says_the_same(node, expression, name, seed, run):
    expected = FRAME.group_by("group").agg(expression.alias("value")).sort("group")["value"].to_list()
    whole = FRAME.select(expression.alias("value"))["value"].to_list()
    for found, wanted in (
        (run(node, {"value": column(name)}, IDS, len(GROUPS), seed), expected),
        (run(node, {"value": column(name)}, seed=seed), whole),
    ):
        values = [
            value[0] if isinstance(node, (Quantiles, ApproxQuantiles)) else value
            for value in found.to_pylist()
        ]
        assert values == pytest.approx(wanted, rel=1e-9) if isinstance(wanted[0], float) else values == wanted


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_duckdb_says_the_same_of_two_columns(seed, run):
    mails = MAILS  # noqa: F841 - by its name in the query
    query = """
        select "group", covar_samp(length, words), covar_pop(length, words), corr(length, words),
               arg_max(id, length), arg_min(id, length)
        from mails group by "group" order by "group"
    """
    _, sample, population, correlation, longest, shortest = zip(*duckdb.sql(query).fetchall(), strict=True)
    pairs = {"x": column("length"), "y": column("words")}
    ranked = {"value": column("length"), "payload": column("id")}

    def found(node, columns):
        return run(node, columns, IDS, len(GROUPS), seed).to_pylist()

    assert found(Covariance(), pairs) == pytest.approx(sample)
    assert found(Covariance(ddof=0), pairs) == pytest.approx(population)
    assert found(Correlation(), pairs) == pytest.approx(correlation)
    assert found(ArgMax(), ranked) == list(longest)
    assert found(ArgMin(), ranked) == list(shortest)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_polars_counts_words_alike(seed, run):
    words = pc.split_pattern_regex(column("text"), r"\s+")
    frame = pl.DataFrame({"group": MAILS["group"].to_pylist(), "word": pl.from_arrow(words)}).explode("word")
    counted = (
        frame.group_by("group", "word")
        .len()
        .sort(["group", "len", "word"], descending=[False, True, False])
        .group_by("group", maintain_order=True)
        .agg("word", "len")
    )
    expected = [list(zip(*row, strict=True)) for row in counted.select("word", "len").rows()]
    vocabularies = run(Vocabulary(size=50), {"value": words}, IDS, len(GROUPS), seed).to_pylist()
    assert vocabularies == [[word for word, _ in group[:50]] for group in expected]
    flat = {"value": pa.array(frame["word"].to_list())}
    ids = [GROUPS.index(group) for group in frame["group"]]
    for node in (TopK(k=20), ApproxTopK(k=20, capacity=10**6)):
        tops = run(node, flat, ids, len(GROUPS), seed).to_pylist()
        assert [[(item["value"], item["count"]) for item in top] for top in tops] == [
            group[:20] for group in expected
        ]
    counts = run(ValueCounts(), flat, ids, len(GROUPS), seed).to_pylist()
    assert [[(item["value"], item["count"]) for item in group] for group in counts] == expected


def test_moments_stay_right_far_from_zero(run):
    """Where the mean is a thousand million times the deviation, the sum of squares alone would be noise."""
    near = pa.array([float(value % 7) for value in range(5000)])
    far = pc.add(near, 1e9)
    for node in (Variance(), Skewness(), Kurtosis()):
        for seed in (None, 1, 2):
            assert run(node, {"value": far}, seed=seed)[0].as_py() == pytest.approx(
                run(node, {"value": near})[0].as_py(), rel=1e-6, abs=1e-9
            )


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_constants_have_no_variance_at_all(seed, run):
    constant = {"value": pa.array([0.1] * 1000)}
    assert run(Variance(), constant, seed=seed)[0].as_py() == 0.0
    assert math.isnan(run(Skewness(), constant, seed=seed)[0].as_py())
    pairs = {"x": pa.array([0.1] * 1000), "y": pa.array(range(1000))}
    assert run(Covariance(), pairs, seed=seed)[0].as_py() == 0.0
    assert math.isnan(run(Correlation(), pairs, seed=seed)[0].as_py())


def test_degrees_of_freedom_that_are_not_there(run):
    two = {"value": pa.array([1.0, 2.0])}
    assert run(Variance(ddof=2), two)[0].as_py() is None
    assert run(Variance(ddof=3), two)[0].as_py() is None
    assert run(Skewness(bias=False), two)[0].as_py() is None
    assert run(Kurtosis(bias=False), two)[0].as_py() is None
