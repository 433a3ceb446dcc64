"""Aggregates back at rows and in groups: of mails as polars has it, by any key as Python has it."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, NodeError, ops
from hyped_beam.aggregators import CollectList, Count, First, Max, Mean, Min, Std, Sum
from hyped_beam.testing import flow_of

MAILS = pq.read_table(Path(__file__).parents[2] / "examples" / "data" / "mail.parquet")
MAILS = MAILS.append_column("length", pc.cast(pc.utf8_length(MAILS["text"]), pa.int64())).combine_chunks()
FRAME = pl.from_arrow(MAILS)
NAN = float("nan")


def equal(found: pa.Table, wanted: pl.DataFrame) -> None:
    """Hold that two tables are equal, floats up to rounding."""
    assert found.column_names == wanted.columns
    for name in wanted.columns:
        values, expected = found[name].to_pylist(), wanted[name].to_list()
        if wanted[name].dtype.is_float():
            assert values == pytest.approx(expected, rel=1e-9, nan_ok=True), name
        else:
            assert values == expected, name


@pytest.fixture
def src():
    return flow_of(MAILS.schema)


LENGTH = pl.col("length")


@pytest.mark.parametrize("batches", [1, 7])
def test_aggregates_are_values_of_rows(src, in_batches, batches):
    mean, std = Mean().call(src.length), Std().call(src.length)
    grouped = {"group": src.group, "day": src.sent.truncate("day")}
    found = in_batches(
        src,
        {
            "id": src.id,
            "z": (src.length - mean) / std,
            "delta": src.length - Mean().call(src.length, by=src.group),
            "of_both": Sum().call(src.length, by=grouped),
            "long": Count().call(src.text, by=src.label, where=src.length > 2000),
            "most": Max().call(src.length, where=src.label == "ham"),
        },
        MAILS,
        batches,
    )
    wanted = FRAME.select(
        "id",
        z=(LENGTH - LENGTH.mean()) / LENGTH.std(),
        delta=LENGTH - LENGTH.mean().over("group"),
        of_both=LENGTH.sum().over("group", pl.col("sent").dt.truncate("1d")),
        long=(LENGTH > 2000).cast(pl.Int64).sum().over("label"),
        most=LENGTH.filter(pl.col("label") == "ham").max(),
    )
    equal(found, wanted)


def test_three_levels_of_aggregates(src, in_batches):
    off = abs(src.length - Mean().call(src.length, by=src.group))
    far = off > 2 * Mean().call(off)
    found = in_batches(
        src, {"id": src.id, "far": far, "others": Count().call(src.id, by=src.group, where=far)}, MAILS
    )
    frame = FRAME.with_columns(off=(LENGTH - LENGTH.mean().over("group")).abs())
    frame = frame.with_columns(far=pl.col("off") > 2 * pl.col("off").mean())
    equal(found, frame.select("id", "far", others=pl.col("far").cast(pl.Int64).sum().over("group")))


def test_groups_are_rows(src, in_batches):
    g = ops.group_by({"label": src.label, "group": src.group})
    words = src.text.split().length()
    found = in_batches(
        src,
        {
            "label": g.keys.label,
            "group": g.keys.group,
            "mails": Count().call(src.text, by=g),
            "words": Mean().call(words, by=g),
            "share": Count().call(src.text, by=g) / Count().call(src.text),
            "first": Min().call(src.sent, by=g),
            "spread": Max().call(words, by=g) - Min().call(words, by=g),
        },
        MAILS,
        5,
    )
    count = pl.col("text").str.count_matches(r"\S+")
    wanted = (
        FRAME.group_by("label", "group")
        .agg(
            mails=pl.len().cast(pl.Int64),
            words=count.mean(),
            share=pl.len() / len(FRAME),
            first=pl.col("sent").min(),
            spread=(count.max() - count.min()).cast(pl.Int64),
        )
        .sort("label", "group")
    )
    equal(found, wanted)


def test_groups_of_groups(src, in_batches):
    by_group = ops.group_by({"label": src.label, "group": src.group})
    mails = Count().call(src.text, by=by_group)
    by_label = ops.group_by({"label": by_group.keys.label})
    per_group = FRAME.group_by("label", "group").agg(n=pl.len().cast(pl.Int64))
    found = in_batches(
        src,
        {
            "label": by_label.keys.label,
            "groups": Count().call(mails, by=by_label),
            "largest": Max().call(mails, by=by_label),
        },
        MAILS,
    )
    wanted = (
        per_group.group_by("label")
        .agg(groups=pl.len().cast(pl.Int64), largest=pl.col("n").max())
        .sort("label")
    )
    equal(found, wanted)
    at_rows = in_batches(
        src, {"id": src.id, "rest": Max().call(mails, by=by_label) - mails, "all": Sum().call(mails)}, MAILS
    )
    sizes = FRAME.join(per_group, on=["label", "group"]).with_columns(
        most=pl.col("n").max().over("label"), all=pl.lit(len(FRAME))
    )
    equal(at_rows, sizes.select("id", rest=pl.col("most") - pl.col("n"), all="all"))


def test_filtered_rows_have_groups_of_their_own(src, in_batches):
    spam = ops.filter(src, src.label == "spam")
    found = in_batches(
        src,
        {
            "id": spam.id,
            "off": spam.length - Mean().call(spam.length, by=spam.group),
            "off_all": spam.length - Mean().call(src.length),
            "n": Count().call(spam.id),
        },
        MAILS,
    )
    wanted = FRAME.filter(pl.col("label") == "spam").select(
        "id",
        off=LENGTH - LENGTH.mean().over("group"),
        off_all=LENGTH - FRAME["length"].mean(),
        n=pl.len().cast(pl.Int64),
    )
    equal(found, wanted)


def test_exploded_rows_have_groups_of_their_own(src, in_batches):
    words = ops.explode(src.text.lower().split())
    g = ops.group_by({"word": words})
    found = in_batches(
        src, {"word": g.keys.word, "n": Count().call(words, by=g), "mail": First().call(src.id, by=g)}, MAILS
    )
    exploded = FRAME.select("id", word=pl.col("text").str.to_lowercase().str.extract_all(r"\S+")).explode(
        "word"
    )
    wanted = (
        exploded.filter(pl.col("word").is_not_null())
        .group_by("word", maintain_order=True)
        .agg(n=pl.len().cast(pl.Int64), mail=pl.col("id").first())
        .sort("word")
    )
    assert found["word"].to_pylist() == wanted["word"].to_list()
    equal(found, wanted)


def test_each_row_of_those_that_were_exploded(src, in_batches):
    lines = ops.explode(src.text.split("\n"))
    longest = Max().call(lines.length(), by=ops.each(src))
    found = in_batches(src, {"id": src.id, "longest": longest, "off": longest - Mean().call(longest)}, MAILS)
    split = pl.col("text").str.split("\n").list.eval(pl.element().str.len_chars().max()).list.first()
    longest_lines = FRAME.select("id", longest=split.cast(pl.Int64))
    equal(found, longest_lines.with_columns(off=pl.col("longest") - pl.col("longest").mean()))


LABELS = datasets.ClassLabel(names=["ham", "spam"])
KEYS: dict[str, tuple[list[Any], Any]] = {
    "integers": ([6, None, 6, 7, None, -1], datasets.Value("int64")),
    "floats": ([0.0, -0.0, NAN, None, NAN, math.inf], datasets.Value("float64")),
    "halves": ([0.0, -0.0, NAN, None, NAN, 1.5], datasets.Value("float16")),
    "texts": (["a", "", None, "a", "b", None], datasets.Value("string")),
    "labels": ([0, 1, None, 1, 0, None], LABELS),
    "booleans": ([True, None, False, True, None, False], datasets.Value("bool")),
    "times": (
        [datetime.date(2024, 1, day) if day else None for day in (1, 2, 0, 1, 0, 2)],
        datasets.Value("date32"),
    ),
    "lists": ([[1], [], None, [1], [None], [1, 2]], datasets.List(datasets.Value("int64"))),
    "lists of floats": ([[0.0], [-0.0], [NAN], None, [NAN], []], datasets.List(datasets.Value("float64"))),
    "fixed lists": (
        [[1, 2], None, [1, 2], [2, 1], None, [2, 1]],
        datasets.List(datasets.Value("int64"), length=2),
    ),
    "structs": (
        [{"a": 1, "b": None}, {"a": None, "b": None}, {"a": 1, "b": None}, {"a": 1, "b": "x"}, None, None],
        {"a": datasets.Value("int64"), "b": datasets.Value("string")},
    ),
    "arrays": (
        [[[1, 2]], [[1, 2]], [[2, 1]], [[2, 1]], [[0, 0]], [[1, 2]]],
        datasets.Array2D(shape=(1, 2), dtype="int64"),
    ),
    "all null": ([None] * 6, datasets.Value("string")),
    "one group": (["a"] * 6, datasets.Value("string")),
    "all different": (list("fedcba"), datasets.Value("string")),
}
NUMBERS = [1, 2, 4, 8, 16, 32]


def plain(value: Any) -> str:
    """A text that is equal for equal keys."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else repr(value + 0.0)
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return repr([(name, plain(item)) for name, item in items])
    return repr(value)


def totals(values: list[Any]) -> list[int]:
    return [
        sum(n for n, other in zip(NUMBERS, values, strict=True) if plain(other) == plain(value))
        for value in values
    ]


def keyed(name: str) -> tuple[Any, pa.Table, list[Any]]:
    values, feature = KEYS[name]
    features = datasets.Features({"key": feature, "n": datasets.Value("int64")})
    table = datasets.Dataset.from_dict({"key": values, "n": NUMBERS}, features=features).data.table
    return flow_of(features), table, values


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("batches", [1, 3])
def test_any_feature_is_a_key(name, batches, in_batches):
    src, table, values = keyed(name)
    g = ops.group_by({"key": src.key})
    total = Sum().call(src.n, by=g)
    found = in_batches(src, {"n": src.n, "total": total}, table, batches)
    wanted = totals(values)
    assert found["total"].to_pylist() == wanted
    groups = in_batches(src, {"key": g.keys.key, "total": total}, table, batches)
    by_key = {plain(value): total for value, total in zip(values, wanted, strict=True)}
    assert {plain(row["key"]): row["total"] for row in groups.to_pylist()} == by_key
    assert groups.num_rows == len(by_key)
    whole = in_batches(src, {"key": g.keys.key, "total": total}, table, 1)
    assert list(map(plain, groups["key"].to_pylist())) == list(map(plain, whole["key"].to_pylist()))


@pytest.mark.parametrize("name", KEYS)
def test_a_fitted_flow_knows_any_key(name):
    _, table, values = keyed(name)
    known = datasets.Dataset(table)
    flow = DataFlow(features=known.features)
    src = flow.src_features
    collect = {"n": src.n, "total": Sum().call(src.n, by=src.key)}
    fitted = flow.fit(known, collect=collect)
    assert fitted.batch_process(table).column("total").to_pylist() == totals(values)


def test_keys_come_in_the_order_that_they_are_named_in(in_batches):
    table = pa.table({"a": [1, 2, 1], "b": ["y", "x", "x"]})
    src = flow_of(table.schema)
    forth, back = ops.group_by({"a": src.a, "b": src.b}), ops.group_by({"b": src.b, "a": src.a})
    assert in_batches(src, forth.keys, table).to_pylist() == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
    ]
    assert in_batches(src, back.keys, table).to_pylist() == [
        {"b": "x", "a": 1},
        {"b": "x", "a": 2},
        {"b": "y", "a": 1},
    ]


def test_the_same_groups_are_used_together(src, in_batches):
    by = Mean().call(src.length, by=src.group)
    g = ops.group_by(src.group)
    found = in_batches(src, {"group": g.keys.group, "mean": by, "n": Count().call(src.id, by=g)}, MAILS)
    wanted = FRAME.group_by("group").agg(mean=LENGTH.mean(), n=pl.len().cast(pl.Int64)).sort("group")
    equal(found, wanted)


def test_nulls_alone_have_no_mean(in_batches):
    table = pa.table({"k": ["a", "b", "a"], "n": pa.array([None, 1, None], pa.int64())})
    src = flow_of(table.schema)
    g = ops.group_by({"k": src.k})
    collected = {
        "k": g.keys.k,
        "mean": Mean().call(src.n, by=g),
        "n": Count().call(src.n, by=g),
        "sum": Sum().call(src.n, by=g),
    }
    assert in_batches(src, collected, table).to_pylist() == [
        {"k": "a", "mean": None, "n": 0, "sum": 0},
        {"k": "b", "mean": 1.0, "n": 1, "sum": 1},
    ]
    assert (
        in_batches(src, {"off": src.n - Max().call(src.n, where=src.n > 1)}, table)["off"].to_pylist()
        == [None] * 3
    )


def test_without_rows_there_are_no_groups(in_batches):
    table = pa.table({"k": pa.array([], pa.string()), "n": pa.array([], pa.int64())})
    src = flow_of(table.schema)
    g = ops.group_by({"k": src.k})
    mean = Mean().call(src.n, by=g)
    assert in_batches(src, {"k": g.keys.k, "mean": mean}, table).to_pylist() == []
    assert in_batches(src, {"off": src.n - mean - Mean().call(src.n)}, table).to_pylist() == []
    assert in_batches(src, {"n": Count().call(mean), "k": g.keys.k}, table).to_pylist() == []


def test_where_takes_what_is_true(in_batches):
    table = pa.table({"k": ["a", "b", "a", None], "n": [1, 2, 3, 4], "yes": [True, None, False, True]})
    src = flow_of(table.schema)
    some = Sum().call(src.n, where=src.yes)
    grouped = CollectList(limit=5).call(src.n, by=src.k, where=src.yes)
    found = in_batches(src, {"n": src.n, "some": some, "grouped": grouped}, table)
    assert found["some"].to_pylist() == [5] * 4
    assert found["grouped"].to_pylist() == [[1], [], [1], [4]]


def test_overflow_of_a_group_is_an_error(in_batches):
    table = pa.table({"k": ["a", "b", "a"], "n": [2**62, 1, 2**62]})
    src = flow_of(table.schema)
    with pytest.raises(NodeError, match=r"(?i)overflow"):
        in_batches(src, {"sum": Sum().call(src.n, by=src.k)}, table)


def test_what_is_computed_does_not_depend_on_workers():
    parts = [datasets.Dataset(MAILS.slice(start, 101)) for start in range(0, 404, 101)]
    mails = datasets.concatenate_datasets(parts)
    flow = DataFlow(features=mails.features)
    src = flow.src_features
    words = ops.explode(src.text.split())
    g = ops.group_by({"group": src.group, "word": words.lower()})
    asked: list[dict[str, Any]] = [
        {"z": (src.length - Mean().call(src.length)) / Std().call(src.length, by=src.group)},
        {**{name: g.keys[name] for name in ("group", "word")}, "n": Count().call(words, by=g)},
        {"word": words, "share": words.length() / Mean().call(words.length(), by=ops.each(src))},
    ]
    for collect in asked:
        one, _ = flow.apply(mails, collect=collect)
        two, _ = flow.apply(mails, collect=collect, num_proc=2, batch_size=17)
        assert one.data.table.equals(two.data.table)
