"""Values of different rows that are used together are an error on the line that mixes them."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import Count, Mean, Sum
from hyped_beam.errors import DefinitionError
from hyped_beam.processors.conditions import IfElse

FEATURES = {"n": "int64", "k": "string", "ns": {"x": "int64"}, "text": "string", "yes": "bool", "d": "null"}


@pytest.fixture
def src():
    return DataFlow(features=FEATURES).src_features


def positive(src):
    return ops.filter(src, src.n > 0)


def words(src):
    return ops.explode(src.text.split())


def mean_by(rows):
    return Mean().call(rows.n, by=rows.k)


def count_by(ref):
    return Count().call(ref, by=ref)


MIXED = {
    "two filters": (
        lambda src: positive(src).n + ops.filter(src, src.n > 1).n,
        ("'left' has the rows of filter, made at", "'right' has the rows of filter 2, made at", "ops.each"),
    ),
    "two explodes": (
        lambda src: words(src) + ops.explode(src.k.split()),
        ("'left' has the rows of explode", "'right' has the rows of explode", "ops.each"),
    ),
    "groups of filtered rows at all": (
        lambda src: src.n - mean_by(positive(src)),
        (
            "'left' has the rows of the source",
            "'right' has a value for each of the groups of filter rows by k, made at",
            "where=condition",
        ),
    ),
    "groups of exploded rows at all": (
        lambda src: src.n - count_by(words(src)),
        ("the groups of explode rows by explode", "Sum().call(Sum().call(x, by=ops.each(row))"),
    ),
    "two kinds of groups": (
        lambda src: Mean().call(src.n, by=src.k) + Mean().call(src.n, by=src.yes),
        ("groups by k", "groups by yes", "use both at the rows that they are groups of"),
    ),
    "collected": (
        lambda src: ops.collect({"n": src.ns.x, "w": ops.explode(src.k.split()), "v": words(src)}),
        ("the fields of a struct belong", "'w' has the rows of explode", "'v' has the rows of explode"),
    ),
    "a condition of filtered rows": (
        lambda src: IfElse().call(condition=positive(src).yes, then=words(src), otherwise="a"),
        ("'condition' has the rows of filter", "'then' has the rows of explode"),
    ),
    "where= of other rows": (
        lambda src: Sum().call(positive(src).n, where=words(src) == "a"),
        ("'where' has the rows of explode",),
    ),
    "by= of other rows": (
        lambda src: Sum().call(positive(src).n, by=words(src)),
        ("'by key' has the rows of explode",),
    ),
    "keys of other rows": (
        lambda src: ops.group_by({"a": positive(src).k, "b": words(src)}),
        ("group_by", "'a' has the rows of filter", "'b' has the rows of explode"),
    ),
    "by= groups of other rows": (
        lambda src: Count().call(words(src), by=ops.group_by(positive(src).k)),
        ("'by' has",),
    ),
    "each of rows that it is not made of": (
        lambda src: Count().call(src.n, by=ops.each(words(src))),
        (
            "the rows of the source do not belong to the rows of explode, made at",
            "by= takes groups of these rows",
        ),
    ),
    "distinct by other rows": (
        lambda src: ops.distinct(positive(src), by=words(src)),
        ("distinct", "the rows of explode"),
    ),
    "aligned to other rows": (
        lambda src: ops.align(words(src), to=src),
        ("the rows of the source do not belong to the rows of explode, made at",),
    ),
    "filtered by other rows": (
        lambda src: ops.filter(words(src), positive(src).yes),
        ("'ref' has the rows of explode, made at", "'condition' has the rows of filter, made at", "ops.each"),
    ),
    "an aggregate of an aggregate": (
        lambda src: Mean().call(Sum().call(src.n)),
        ("Mean takes values of rows, got values of the whole dataset", "an aggregate is one value"),
    ),
    "an aggregate by an aggregate": (
        lambda src: Mean().call(Sum().call(src.n), by=Count().call(src.n)),
        ("whole dataset",),
    ),
    "a key of the whole dataset": (
        lambda src: ops.group_by({"k": Count().call(src.n)}),
        ("a key is a value of rows", "group by a column"),
    ),
    "where= that is no condition": (
        lambda src: Sum().call(src.n, where=src.n),
        ("where= takes a condition, got int64", "where=ref > 0"),
    ),
    "where= that is no ref": (
        lambda src: Sum().call(src.n, where=True),
        ("where= takes a condition on the rows of the same flow, got True", "where=src.length > 10"),
    ),
    "where= of another flow": (
        lambda src: Sum().call(src.n, where=DataFlow(features=FEATURES).src_features.yes),
        ("where= belongs to another flow", "src_features it was made from"),
    ),
    "by= of another flow": (
        lambda src: Sum().call(src.n, by=DataFlow(features=FEATURES).src_features.k),
        ("belongs to another",),
    ),
    "by= groups of another flow": (
        lambda src: Sum().call(src.n, by=ops.group_by(DataFlow(features=FEATURES).src_features.k)),
        ("by= belongs to another flow",),
    ),
    "each of another flow": (
        lambda src: Sum().call(src.n, by=ops.each(DataFlow(features=FEATURES).src_features)),
        ("by= belongs to another flow",),
    ),
    "keys of two flows": (
        lambda src: ops.group_by({"a": src.k, "b": DataFlow(features=FEATURES).src_features.k}),
        ("belongs to another",),
    ),
    "filtered by another flow": (
        lambda src: ops.filter(src, DataFlow(features=FEATURES).src_features.yes),
        ("belong to different flows",),
    ),
    "sampled by another flow": (
        lambda src: ops.sample(src, 0.5, by=DataFlow(features=FEATURES).src_features.k),
        ("belong to different flows",),
    ),
    "distinct by another flow": (
        lambda src: ops.distinct(src, by=DataFlow(features=FEATURES).src_features.k),
        ("belong to different flows",),
    ),
    "rows by groups of groups": (
        lambda src: Count().call(src.n, by=ops.group_by({"k": ops.group_by({"k": src.k}).keys.k})),
        (
            "by= are groups of a value for each of the groups by k",
            "the rows of the source are aggregated",
            "by={'k': g.keys.k}",
        ),
    ),
    "by= a name": (
        lambda src: Sum().call(src.n, by="k"),
        ("by= takes a ref, or a mapping of names to refs, got 'k'", "by=src.group"),
    ),
    "by= nothing": (
        lambda src: Sum().call(src.n, by={}),
        ("by= takes a ref, or a mapping of names to refs, got {}",),
    ),
    "by= a list": (
        lambda src: Sum().call(src.n, by=[src.k, src.yes]),
        ("have no type in common", "a list is one key; for several write by="),
    ),
    "each of no ref": (
        lambda src: Sum().call(src.n, by=ops.each("src")),
        ("each() takes a ref, got 'src'", "start from flow.src_features"),
    ),
    "explode of the whole dataset": (
        lambda src: ops.explode(ops.collect([Sum().call(src.n)])),
        ("takes values of rows",),
    ),
}


@pytest.mark.parametrize("name", MIXED)
def test_it_is_an_error_on_its_line(src, name):
    write, says = MIXED[name]
    with pytest.raises(DefinitionError) as caught:
        write(src)
    message = str(caught.value)
    for part in says:
        assert part in message
    site = caught.value.site
    assert site is not None
    lines, start = inspect.getsourcelines(write)
    assert site.file == __file__
    assert start <= site.line < start + len(lines)


def test_the_message_says_where_rows_were_made(src):
    one = ops.filter(src, src.n > 0)
    other = words(src)
    with pytest.raises(DefinitionError) as caught:
        one.k + other
    told = str(caught.value)
    line = test_the_message_says_where_rows_were_made.__code__.co_firstlineno + 1
    assert (
        f"the rows of filter, made at {Path(__file__)}:{line}" in told
        or f"{Path(__file__).name}:{line}" in told
    )
    explode_line = words.__code__.co_firstlineno + 1
    assert f"{Path(__file__).name}:{explode_line}" in told


def test_what_belongs_together_is_no_error(src):
    one = positive(src)
    assert ops.feature(src.n + one.n).dtype == "int64"
    assert ops.feature(one.n - Mean().call(src.n, by=src.k)).dtype == "float64"
    assert (
        ops.feature(words(src).length() - src.n + Count().call(words(src), by=ops.each(src))).dtype == "int64"
    )
    assert ops.feature(Count().call(one.n, by=ops.group_by(src.k))).dtype == "int64"


def test_what_is_not_a_column_is_not_collected(src):
    flow = DataFlow(features=FEATURES)
    rows = flow.src_features
    with pytest.raises(DefinitionError, match="collect= takes values of rows"):
        flow.plan(collect={"n": Count().call(rows.n)})
    with pytest.raises(DefinitionError, match="'n' has one for each of the groups by k"):
        flow.plan(aggregators={"n": Count().call(rows.n, by=rows.k)})
    with pytest.raises(DefinitionError, match="aggregators= takes values of the whole dataset"):
        flow.plan(aggregators={"n": ops.filter(rows, rows.yes).n})
    with pytest.raises(DefinitionError, match="holds no ref"):
        flow.plan(collect=ops.group_by(rows.k))


def test_columns_of_other_rows_are_called_columns():
    flow = DataFlow(features=FEATURES)
    src = flow.src_features
    with pytest.raises(DefinitionError, match="the columns of collect= belong to different rows: 'n' has"):
        flow.plan(collect={"n": src.n, "m": Sum().call(words(src).length(), by=src.k)})
