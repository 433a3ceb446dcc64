"""Wherever a ref may stand, a mapping or a list of refs stands for what `ops.collect` makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import datasets
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import ArgMax, ArgMin, Count, CountDistinct, First, Last
from hyped_beam.errors import DefinitionError, FlowError
from hyped_beam.testing import aggregate, evaluate, flow_of

TABLE = pa.table(
    {
        "a": pa.array([1, 2, None, 2, 5, 1], pa.int64()),
        "b": pa.array([1, None, 3, 2, 4, 1], pa.int64()),
        "s": ["x", "y", "x", "y", None, "x"],
        "l": pa.array([[1], [], [2, 3], None, [4, 5], [6]], pa.list_(pa.int64())),
        "ok": [True, False, True, None, True, True],
    }
)
USERS = datasets.Dataset.from_dict({"id": [{"n": 1}, {"n": 2}], "name": ["one", "two"]})


def mapped(src: Any) -> dict[str, Any]:
    return {"n": src.a, "more": {"s": src.s, "pair": [src.a, src.b]}}


def listed(src: Any) -> list[Any]:
    return [src.a, src.b]


# Of each function in `ops` that takes a ref: how it is called, by what stands for the ref.
TAKES_ONE: dict[str, Callable[[Any, Any], Any]] = {
    "align": lambda src, value: ops.align(value, to=value),
    "cast": lambda src, value: ops.cast(value, ops.feature(value)),
    "coalesce": lambda src, value: ops.coalesce(value, value),
    "collect": lambda src, value: ops.collect({"value": value}),
    "distinct": lambda src, value: ops.distinct(value, by=value),
    "fill_null": lambda src, value: ops.fill_null(value, value),
    "filter": lambda src, value: ops.filter(value, src.ok),
    "group_by": lambda src, value: ops.group_by({"key": value}).keys,
    "hash": lambda src, value: ops.hash(value),
    "if_else": lambda src, value: ops.if_else(src.ok, value, value),
    "is_not_null": lambda src, value: ops.is_not_null(value),
    "is_null": lambda src, value: ops.is_null(value),
    "partition": lambda src, value: ops.partition(value, src.ok)[1],
    "repeat": lambda src, value: ops.repeat(value, 2),
    "sample": lambda src, value: ops.sample(value, 0.5, by=value),
    "split": lambda src, value: ops.split(value, by=value, train=0.5, test=0.5).train,
}
# Of the others: with what they take.
TAKES_OTHERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
    "drop": (mapped, lambda src, value: ops.drop(value, "n")),
    "each": (mapped, lambda src, value: Count().call(ops.explode(src.l), by=ops.each(value))),
    "explode": (lambda src: {"x": src.l, "y": src.l}, lambda src, value: ops.explode(value)),
    "feature": (mapped, lambda src, value: ops.collect(kind=str(ops.feature(value)), a=src.a)),
    "format": (listed, lambda src, value: ops.format("{}", ops.is_null(value).cast("string"))),
    "is_in": (lambda src: src.a, lambda src, value: ops.is_in(value, [1, 2])),
    "lookup": (lambda src: {"n": src.a}, lambda src, value: ops.lookup(value, in_=USERS, key="id")),
    "rename": (mapped, lambda src, value: ops.rename(value, n="m")),
    "select": (mapped, lambda src, value: ops.select(value, "more")),
    "with_columns": (mapped, lambda src, value: ops.with_columns(value, added=value)),
}
CASES = [
    *((name, make, call) for name, call in TAKES_ONE.items() for make in (mapped, listed)),
    *((name, make, call) for name, (make, call) in TAKES_OTHERS.items()),
]


def test_every_function_of_ops_is_tried_here():
    assert {*TAKES_ONE, *TAKES_OTHERS} == set(dir(ops))


@pytest.mark.parametrize(
    ("name", "make", "call"), CASES, ids=[f"{case[0]}-{case[1].__name__}" for case in CASES]
)
def test_a_mapping_or_list_gives_what_the_collected_ref_gives(name, make, call):
    src = flow_of(TABLE.schema)
    given_as_it_is = call(src, make(src))
    collected = call(src, ops.collect({"value": make(src)}).value)
    assert evaluate(given_as_it_is, TABLE).equals(evaluate(collected, TABLE))


AGGREGATORS = {
    "Count": lambda value, src, how: Count().call(value, **how),
    "CountDistinct": lambda value, src, how: CountDistinct().call(value, **how),
    "First": lambda value, src, how: First().call(value, **how),
    "Last": lambda value, src, how: Last().call(value, **how),
    "ArgMax": lambda value, src, how: ArgMax().call(value=src.a, payload=value, **how),
    "ArgMin": lambda value, src, how: ArgMin().call(value=src.a, payload=value, **how),
}


@given(
    aggregator=st.sampled_from(sorted(AGGREGATORS)),
    make=st.sampled_from([mapped, listed]),
    filtered=st.booleans(),
    by=st.sampled_from([None, "ref", "mapping", "list", "nested"]),
    where=st.booleans(),
)
def test_aggregators_take_mappings_as_they_take_collected_refs(aggregator, make, filtered, by, where):
    values = []
    for collected in (False, True):
        src = flow_of(TABLE.schema)
        rows = ops.filter(src, src.ok) if filtered else src
        keys: dict[str, Any] = {
            "ref": rows.s,
            "mapping": {"s": rows.s, "b": rows.b},
            "list": [rows.a, rows.b],
            "nested": {"k": {"s": rows.s, "pair": [rows.a, rows.b]}},
        }
        how = {name: value for name, value in (("by", keys.get(str(by))),) if value is not None}
        if where:
            how["where"] = rows.b.is_not_null()
        value = make(rows)
        if collected:
            value = ops.collect({"value": value}).value
        ref = AGGREGATORS[aggregator](value, rows, how)
        values.append(aggregate(ref, TABLE) if by is None else evaluate(ref, TABLE).to_pylist())
    assert values[0] == values[1]


def test_rows_inside_mappings_are_those_of_the_aggregate():
    src = flow_of(TABLE.schema)
    rows = ops.filter(src, src.a == 2)
    groups = Count().call({"id": rows.b}, by=src.s)  # groups of all rows, of which these are some
    plain = Count().call(ops.collect({"id": rows.b}), by=src.s)
    assert evaluate(groups, TABLE).equals(evaluate(plain, TABLE))
    assert aggregate(ArgMin().call(value=src.b, payload={"id": rows.a}), TABLE) == {"id": 2}


MIXED = [
    lambda src, good, bad: Count().call({"n": good.a, "m": bad.a}),
    lambda src, good, bad: Count().call({"n": good.a}, by=bad.s),
    lambda src, good, bad: Count().call({"n": good.a}, by={"k": [bad.a, bad.b]}),
    lambda src, good, bad: Count().call({"n": good.a}, where=bad.b > 1),
    lambda src, good, bad: ArgMax().call(value=good.a, payload={"n": bad.a}),
    lambda src, good, bad: ops.hash([good.a, bad.a]),
    lambda src, good, bad: ops.coalesce({"n": good.a}, {"n": bad.a}),
    lambda src, good, bad: ops.filter({"n": good.a}, bad.b > 1),
    lambda src, good, bad: ops.distinct({"n": good.a}, by=[bad.a, bad.b]),
    lambda src, good, bad: ops.sample({"n": good.a}, 0.5, by=[bad.a]),
    lambda src, good, bad: ops.align({"n": good.a}, to=[bad.a]),
    lambda src, good, bad: ops.explode({"x": good.l, "y": bad.l}),
]


@pytest.mark.parametrize("call", MIXED, ids=map(str, range(len(MIXED))))
def test_different_rows_inside_mappings_are_refused_on_the_line_that_mixes_them(call):
    src = flow_of(TABLE.schema)
    good, bad = ops.partition(src, src.a > 1)
    with pytest.raises(DefinitionError) as caught:
        call(src, good, bad)
    assert caught.value.site is not None
    assert caught.value.site.file.endswith("test_mappings_as_refs.py")
    assert "rows" in str(caught.value)


REFUSED = [
    (lambda src: ops.hash({"n": 1}), "a mapping or list of refs will do"),
    (lambda src: ops.each("src"), "a mapping or list of refs will do"),
    (lambda src: ops.explode({1: src.l}), "1 is no name of a field"),
    (lambda src: ops.group_by([src.a, src.s]), "for several write by="),
    (lambda src: Count().call(src.a, by={"k": "a"}), "by= takes a ref, or a mapping of names to refs"),
    (lambda src: Count().call(src.a, where={"x": src.ok}), "where= takes a condition"),
    (lambda src: ops.filter(src, {"x": src.ok}), "takes a condition"),
]


@pytest.mark.parametrize(("call", "says"), REFUSED, ids=map(str, range(len(REFUSED))))
def test_what_stands_for_no_ref_is_refused(call, says):
    src = DataFlow(features=TABLE.schema).src_features
    with pytest.raises(FlowError) as caught:
        call(src)
    assert says in str(caught.value)
