"""Fewer rows: filtered, sampled, split, and the first of each key."""

from __future__ import annotations

from pathlib import Path

import datasets
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import Count, Sum
from hyped_beam.errors import DefinitionError
from hyped_beam.testing import evaluate, flow_of

MAILS = pq.read_table(Path(__file__).parents[2] / "examples" / "data" / "mail.parquet").combine_chunks()
FRAME = pl.from_arrow(MAILS)
NUMBERED = pa.table({"n": range(20_000)})


@pytest.fixture
def src():
    return flow_of(MAILS.schema)


@pytest.mark.parametrize("batches", [1, 5])
def test_filter_and_partition(src, in_batches, batches):
    late = src.sent.hour() > 12
    found = in_batches(src, {"id": ops.filter(src, late).id}, MAILS, batches)
    assert found["id"].to_pylist() == FRAME.filter(pl.col("sent").dt.hour() > 12)["id"].to_list()
    good, bad = ops.partition(src, late)
    assert in_batches(src, {"id": good.id}, MAILS, batches) == found
    rest = in_batches(src, {"id": bad.id}, MAILS, batches)["id"].to_pylist()
    assert sorted([*rest, *found["id"].to_pylist()]) == sorted(MAILS["id"].to_pylist())


def test_a_null_is_among_the_others(in_batches):
    table = pa.table({"n": [1, None, 3, 4]})
    src = flow_of(table.schema)
    good, bad = ops.partition(src, src.n > 2)
    assert in_batches(src, good, table)["n"].to_pylist() == [3, 4]
    assert in_batches(src, bad, table)["n"].to_pylist() == [1, None]
    never, always = ops.partition(src, src.n.cast("bool") & None)
    assert in_batches(src, never, table)["n"].to_pylist() == []
    assert in_batches(src, always, table)["n"].to_pylist() == [1, None, 3, 4]


def test_filtered_rows_are_filtered_again(src, in_batches):
    spam = ops.filter(src, src.label == "spam")
    late = ops.filter(spam, spam.sent.hour() > 12)
    found = in_batches(src, {"id": late.id, "of": Count().call(spam.id)}, MAILS)
    kept = FRAME.filter(pl.col("label") == "spam")
    assert found["id"].to_pylist() == kept.filter(pl.col("sent").dt.hour() > 12)["id"].to_list()
    assert set(found["of"].to_pylist()) == {len(kept)}


def test_a_part_and_a_filter_of_one_condition_are_the_same_rows(src, in_batches):
    late = src.sent.hour() > 12
    good, _ = ops.partition(src, late)
    found = in_batches(src, {"id": good.id, "same": good.id == ops.filter(src, late).id}, MAILS)
    assert set(found["same"].to_pylist()) == {True}


def test_one_condition_written_twice_makes_the_same_rows(src, in_batches):
    spam, again = (ops.filter(src, src.label == "spam") for _ in range(2))
    label = ops.filter(src, src.label == "spam").label  # equal refs are recorded anew
    assert in_batches(src, {"id": spam.id}, MAILS) == in_batches(src, {"id": again.id}, MAILS)
    condition = src.sent.hour() > 12
    one, two = ops.filter(src.id, condition), ops.filter(src.text, condition)
    found = in_batches(src, {"id": one, "text": two}, MAILS)
    assert found.num_rows == len(FRAME.filter(pl.col("sent").dt.hour() > 12))
    assert in_batches(src, {"label": label}, MAILS)["label"].unique().to_pylist() == ["spam"]


@given(fraction=st.floats(0, 1), seed=st.integers(0, 3), batches=st.sampled_from([1, 3]))
@settings(max_examples=15)
def test_samples_are_about_the_fraction_and_the_same_each_time(in_batches, fraction, seed, batches):
    src = flow_of(NUMBERED.schema)
    found = in_batches(src, ops.sample(src, fraction, seed=seed), NUMBERED, batches)
    rows = NUMBERED.num_rows
    assert abs(found.num_rows - rows * fraction) <= 6 * (rows * fraction * (1 - fraction)) ** 0.5 + 1
    assert found.equals(in_batches(src, ops.sample(src, fraction, seed=seed), NUMBERED, 4))
    assert found["n"].to_pylist() == sorted(found["n"].to_pylist())


def test_all_and_nothing_are_samples(in_batches):
    src = flow_of(NUMBERED.schema)
    assert in_batches(src, ops.sample(src, 1), NUMBERED) == NUMBERED
    assert in_batches(src, ops.sample(src, 0), NUMBERED).num_rows == 0


def test_another_seed_is_another_sample(in_batches):
    src = flow_of(NUMBERED.schema)
    one, two = (
        set(in_batches(src, ops.sample(src, 0.5, seed=seed), NUMBERED)["n"].to_pylist()) for seed in (0, 1)
    )
    assert len(one & two) == pytest.approx(5000, abs=400)


def test_samples_by_a_key_take_all_its_rows_or_none(src, in_batches):
    chosen = ops.sample(src, 0.5, by=src.group)
    found = in_batches(src, {"id": chosen.id, "group": chosen.group}, MAILS)
    groups = set(found["group"].to_pylist())
    assert found["id"].to_pylist() == FRAME.filter(pl.col("group").is_in(groups))["id"].to_list()
    several = ops.sample(src, 0.5, by={"group": src.group, "label": src.label})
    assert 0 <= in_batches(src, {"id": several.id}, MAILS).num_rows <= MAILS.num_rows


def test_samples_of_exploded_rows(src, in_batches):
    words = ops.explode(src.text.split())
    some = in_batches(src, {"id": src.id, "word": ops.sample(words, 0.25)}, MAILS)
    every = in_batches(src, {"id": src.id, "word": words}, MAILS)
    assert some.num_rows / every.num_rows == pytest.approx(0.25, abs=0.01)
    assert some == in_batches(src, {"id": src.id, "word": ops.sample(words, 0.25)}, MAILS)


def test_rows_are_repeated(in_batches):
    table = pa.table({"n": [1, None, 3]})
    src = flow_of(table.schema)
    twice = ops.repeat(src, 2)
    found = in_batches(src, {"n": twice.n, "of": Sum().call(twice.n)}, table)
    assert found["n"].to_pylist() == [1, 1, None, None, 3, 3]
    assert found["of"].to_pylist() == [8] * 6
    assert in_batches(src, {"n": ops.repeat(src.n, 0)}, table).num_rows == 0
    with pytest.raises(DefinitionError, match="times"):
        ops.repeat(src, -1)


@pytest.mark.parametrize("batches", [1, 6])
def test_the_first_of_each_key_stays(src, in_batches, batches):
    found = in_batches(src, {"id": ops.distinct(src, by=src.text.slice(0, 2)).id}, MAILS, batches)
    starts = FRAME.with_columns(start=pl.col("text").str.slice(0, 2))
    wanted = starts.unique("start", keep="first", maintain_order=True)
    assert found["id"].to_pylist() == wanted["id"].to_list()
    by = {"group": src.group, "hour": src.sent.hour()}
    several = in_batches(src, {"id": ops.distinct(src, by=by).id}, MAILS, batches)
    hours = FRAME.with_columns(hour=pl.col("sent").dt.hour())
    assert (
        several["id"].to_pylist()
        == hours.unique(["group", "hour"], keep="first", maintain_order=True)["id"].to_list()
    )


def test_the_first_of_exploded_rows_stays(src, in_batches):
    words = ops.explode(src.text.split())
    found = in_batches(src, {"id": src.id, "word": ops.distinct(words, by=words)}, MAILS)
    exploded = FRAME.select("id", word=pl.col("text").str.extract_all(r"\S+")).explode("word")
    wanted = exploded.filter(pl.col("word").is_not_null()).unique("word", keep="first", maintain_order=True)
    assert [tuple(row.values()) for row in found.to_pylist()] == wanted.rows()


def test_distinct_nulls_and_nans_are_one(in_batches):
    table = pa.table({"n": [None, float("nan"), 0.0, -0.0, None, float("nan"), 1.0], "at": range(7)})
    src = flow_of(table.schema)
    assert in_batches(src, {"at": ops.distinct(src, by=src.n).at}, table)["at"].to_pylist() == [0, 1, 2, 6]


def test_a_split_is_a_dict_of_all_rows():
    mails = datasets.Dataset(MAILS)
    flow = DataFlow(features=mails.features)
    src = flow.src_features
    parts = ops.split(src, train=0.6, test=0.3, valid=0.1, seed=3)
    found, _ = flow.apply(mails, collect=parts)
    assert isinstance(found, datasets.DatasetDict)
    assert list(found) == ["train", "test", "valid"]
    assert sorted(id for part in found.values() for id in part["id"]) == sorted(mails["id"])
    assert len(found["train"]) == pytest.approx(242, abs=40)
    again, _ = flow.apply(mails, collect=ops.split(src, train=0.6, test=0.3, valid=0.1, seed=3))
    assert {name: part["id"][:] for name, part in again.items()} == {
        name: part["id"][:] for name, part in found.items()
    }
    other, _ = flow.apply(mails, collect=ops.split(src, train=0.6, test=0.3, valid=0.1, seed=4))
    assert other["train"]["id"][:] != found["train"]["id"][:]


def test_a_split_by_a_key_does_not_tear_it_apart(src, in_batches):
    parts = ops.split(src, by=src.group, one=0.5, two=0.5)
    groups = [set(in_batches(src, {"g": part.group}, MAILS)["g"].to_pylist()) for part in parts.values()]
    assert not groups[0] & groups[1]
    assert groups[0] | groups[1] == set(MAILS["group"].to_pylist())
    assert parts.one is parts["one"]
    assert not hasattr(parts, "three")


@pytest.mark.parametrize(
    "shares",
    [
        {"a": 1, "b": 0},
        {"a": 0, "b": 1},
        {"a": 0.5, "b": 0.5, "c": 0},
        {"a": 0.7, "b": 0.2, "c": 0.1, "d": 0},
    ],
)
def test_each_row_is_in_one_part_however_small_some_are(shares):
    table = NUMBERED.slice(0, 1000)
    src = flow_of(table.schema)
    parts = {
        name: evaluate(part.n, table).to_pylist() for name, part in ops.split(src, by=src.n, **shares).items()
    }
    assert sorted(n for part in parts.values() for n in part) == list(range(1000))
    for name, share in shares.items():
        assert len(parts[name]) == pytest.approx(1000 * share, abs=60 if share % 1 else 0)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda src: ops.filter(src, src.group), r"filter\(\) takes a condition, got string"),
        (lambda src: ops.filter(src, "group == 'a'"), r'(?s)got the text "group == .a.".*write it with refs'),
        (lambda src: ops.filter(src, True), r"filter\(\) takes a ref, got True"),
        (lambda src: ops.filter(MAILS, src.group == "a"), r"filter\(\) takes a ref"),
        (lambda src: ops.partition(src, src.sent), r"partition\(\) takes a condition"),
        (lambda src: ops.sample(src, 2), "a fraction from 0 to 1, got 2"),
        (lambda src: ops.sample(src, -0.5), "a fraction from 0 to 1, got -0.5"),
        (lambda src: ops.sample(src, "half"), "a fraction from 0 to 1, got 'half'"),
        (lambda src: ops.sample(Count().call(src.id), 0.5), "of the whole dataset"),
        (lambda src: ops.split(src, train=0.9), r"shares of split\(\) are 1 together, got train=0.9"),
        (lambda src: ops.split(src, train=0.9, test=0.2), r"are 1 together, got train=0.9, test=0.2"),
        (lambda src: ops.split(src, train=1.5, test=-0.5), r"are 1 together, got train=1.5, test=-0.5"),
        (lambda src: ops.split(src, train="a", test="b"), "are 1 together, got train=a, test=b"),
        (ops.split, r"shares of split\(\) are 1 together, got none"),
        (
            lambda src: ops.distinct(src, by="group"),
            r"by= takes a ref, or a mapping of names to refs, got 'group'",
        ),
        (lambda src: ops.distinct(src, by={}), "by="),
        (lambda src: ops.distinct(Count().call(src.id), by=Count().call(src.id)), "whole dataset"),
        (lambda src: ops.repeat("a", 2), r"repeat\(\) takes a ref"),
    ],
)
def test_mistakes_are_named_on_their_line(src, write, message):
    with pytest.raises(DefinitionError, match=message) as caught:
        write(src)
    assert caught.value.site is not None
    assert caught.value.site.file == __file__
