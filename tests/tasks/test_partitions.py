"""Groups in partitions of their keys: the same bits at rows as from one place, whatever the keys."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyped_beam import ops
from hyped_beam.aggregators import CollectList, Count, First, Mean, Sum
from hyped_beam.dsl.outputs import ROWS, Outputs, graph_of
from hyped_beam.execute.stage import StageRunner
from hyped_beam.execute.states import StateTree, StateTrees
from hyped_beam.execute.streams import from_bytes, to_bytes
from hyped_beam.nodes.refs import builder_of
from hyped_beam.passes import optimise
from hyped_beam.plan.planner import Plan, make_plan
from hyped_beam.tasks.memory import run_here
from hyped_beam.tasks.partitions import StateSplitter, partition_of
from hyped_beam.testing import flow_of

KEYS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "text": (pa.string(), ["a", "b", "", None, "a long one, of more than eight bytes"]),
    "float": (pa.float64(), [math.nan, -math.nan, 0.0, -0.0, 1.5, None, math.inf]),
    "half": (pa.float16(), [np.float16(0.5), np.float16(-0.0), np.float16(0.0), None]),
    "list": (pa.list_(pa.int64()), [[], [1], [1, None], None, [2, 3]]),
    "floats": (pa.list_(pa.float64()), [[-0.0], [0.0], [math.nan], None]),
    "struct": (
        pa.struct([("x", pa.string()), ("y", pa.list_(pa.int64()))]),
        [{"x": "a", "y": [1]}, {"x": None, "y": None}, None, {"x": "a", "y": []}],
    ),
    "bool": (pa.bool_(), [True, False, None]),
    "null": (pa.null(), [None]),
    "whole": (pa.int64(), [*range(40), None, 2**62, -(2**62)]),
}
# numbers whose sums depend on the order in which they are added
numbers = st.none() | st.floats(-1, 1).map(lambda x: x * 10.0 ** (round(abs(x) * 1e6) % 17 - 8))


def flow_over(schema: pa.Schema, join: str) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A source, values at its rows that come from groups, and values of the groups."""
    src = flow_of(schema)
    g = ops.group_by({"k": src.k}, join=join)
    mean, count = Mean().call(src.x, by=g), Count().call(src.n, by=g)
    above = Sum().call(src.x, by=g, where=src.x > mean)
    of_both = ops.group_by({"k": src.k, "n": src.n % 3}, join=join)
    share = Sum().call(src.x, by=g) / Sum().call(src.x)
    per_group = {
        "mean": mean,
        "above": above,
        "ratio": above / count,
        "share": share,
        "first": First().call(src.n, by=g),
        "some": CollectList(limit=3).call(src.n, by=g),
    }
    of_value = ops.group_by({"count": count, "odd": src.n % 2}, join=join)  # a key that is a group's value
    rows = {
        "n": src.n,
        "off": src.x - mean,
        "both": Count().call(src.n, by=of_both),
        "alike": Sum().call(src.x, by=of_value),
        **per_group,
    }
    return src, rows, {"k": g.keys.k, **per_group}


def plan_for(src: Any, collect: dict[str, Any]) -> Plan:
    return make_plan(optimise(graph_of(builder_of(src), Outputs(collect)), verify=True))


def run(plan: Plan, batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    return [batch.replace_schema_metadata() for batch in run_here(plan, batches)[ROWS]]


def cut(table: pa.Table, ends: list[int]) -> list[pa.RecordBatch]:
    whole = (
        table.combine_chunks().to_batches()[0]
        if table.num_rows
        else pa.RecordBatch.from_pylist([], schema=table.schema)
    )
    marks = [0, *sorted(end % (table.num_rows + 1) for end in ends), table.num_rows]
    return [whole.slice(start, stop - start) for start, stop in pairwise(marks)]


@st.composite
def tables(draw: Callable[..., Any]) -> pa.Table:
    kind, keys = KEYS[draw(st.sampled_from(sorted(KEYS)))]
    rows = draw(st.lists(st.tuples(st.sampled_from(keys), numbers), max_size=60))
    return pa.table(
        {
            "k": pa.array([key for key, _ in rows], kind),
            "x": pa.array([x for _, x in rows], pa.float64()),
            "n": pa.array(range(len(rows)), pa.int64()),
        }
    )


@settings(max_examples=60)
@given(tables(), st.lists(st.integers(0, 60), max_size=12))
def test_values_come_back_to_rows_with_the_same_bits(table, ends):
    made = {}
    for join in ("broadcast", "shuffle"):
        src, rows, _ = flow_over(table.schema, join)
        plan = plan_for(src, rows)
        assert {choice.shuffled for choice in plan.joins.values()} == {join == "shuffle"}
        made[join] = to_bytes(run(plan, cut(table, ends)))
    assert made["shuffle"] == made["broadcast"]


@settings(max_examples=30)
@given(tables(), st.lists(st.integers(0, 60), max_size=12))
def test_groups_come_in_the_same_order_with_the_same_bits(table, ends):
    made = []
    for join in ("broadcast", "shuffle"):
        src, _, groups = flow_over(table.schema, join)
        plan = plan_for(src, groups)
        assert [one.name for one in plan.row_outputs] == [ROWS]
        made.append(to_bytes(run(plan, cut(table, ends))))
    assert made[0] == made[1]


def test_a_key_is_in_the_same_partition_everywhere():
    keys = pa.array([{"k": 7}, {"k": None}, {"k": -(2**40)}], pa.struct([("k", pa.int64())]))
    assert partition_of(keys).tolist() == [13, 14, 1]
    floats = pa.array([{"k": 0.0}, {"k": -0.0}, {"k": math.nan}, {"k": -math.nan}])
    zero, minus_zero, nan, minus_nan = partition_of(floats).tolist()
    assert (zero, nan) == (minus_zero, minus_nan)


def states_of_ranges(plan: Plan, batches: list[pa.RecordBatch]) -> list[bytes]:
    found = []
    with StageRunner(plan.stages[0].scan) as runner:
        for number, batch in enumerate(batches):
            trees = StateTrees(plan.stages[0].scan.combines)
            columns = batch.select(plan.stages[0].scan.columns)
            trees.add((0, number), runner.run(runner.source_batch(columns)).states)
            found.append(trees.to_bytes())
    return found


def test_states_of_a_range_are_split_without_losing_or_repeating_any():
    table = pa.table({"k": [row * row % 101 for row in range(500)], "x": [0.5] * 500, "n": range(500)})
    src, rows, _ = flow_over(table.schema, "shuffle")
    plan = plan_for(src, rows)
    scan = plan.stages[0].scan
    (states,) = states_of_ranges(plan, table.to_batches())
    together, split = StateSplitter(scan.combines).split(states)
    assert len(from_bytes(together)) == len(scan.gathered) > 0
    held = [batch for batch, one in zip(from_bytes(states), scan.combines, strict=True) if one.shuffled]
    for at, whole in enumerate(held):
        parts = {number: from_bytes(data)[at] for number, data in split.items()}
        for number, part in parts.items():
            assert set(partition_of(part["keys"]).tolist()) <= {number}
        found = [key for part in parts.values() for key in part["keys"].to_pylist()]
        assert sorted(map(repr, found)) == sorted(map(repr, whole["keys"].to_pylist()))


@pytest.mark.parametrize("missing", [[0], [1, 2], [4, 6], [7, 8, 9], [0, 3, 5, 9, 10]])
def test_a_range_without_groups_leaves_the_brackets_as_they_are(missing):
    plan_of_sums = plan_for(*_sum_per_key())
    scan = plan_of_sums.stages[0].scan
    values = [(-1) ** row * 10.0 ** (row * 5 % 17 - 8) / 3 for row in range(11)]
    batches = [
        pa.record_batch({"k": pa.array(["there" if row not in missing else "other"]), "x": [x]})
        for row, x in enumerate(values)
    ]
    parts = [
        from_bytes(held)[0].replace_schema_metadata() for held in states_of_ranges(plan_of_sums, batches)
    ]
    trees = StateTrees(scan.combines)
    whole, sparse = trees.mergers[0], {}
    for number, part in enumerate(parts):
        trees.trees[0].add((0, number), part)
        if number not in missing:
            sparse[number] = part
    of_all = {key["k"]: state for key, state in zip(*trees.total()[0].to_pydict().values(), strict=True)}
    (state,) = StateTree.of_parts(whole, sparse, len(parts)).total()["state0"].to_pylist()
    assert state == of_all["there"]


def _sum_per_key() -> tuple[Any, dict[str, Any]]:
    src = flow_of(pa.schema({"k": pa.string(), "x": pa.float64()}))
    return src, {"sum": src.x - Sum().call(src.x, by=src.k)}


def test_what_takes_all_groups_keeps_them_in_one_place():
    src = flow_of(pa.schema({"k": pa.string(), "x": pa.float64()}))
    g = ops.group_by(src.k, join="shuffle")
    count = Count().call(src.x, by=g)
    plan = plan_for(src, {"x": src.x, "share": count / Sum().call(count)})
    (choice,) = plan.joins.values()
    assert not choice.shuffled
    assert "takes all groups" in choice.reason
