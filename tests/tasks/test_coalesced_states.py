"""Batches that are put together before they are aggregated: the same values, errors that name their row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam import Aggregator, ops
from hyped_beam.aggregators import CollectList, Count, CountDistinct, Max, Sum
from hyped_beam.dsl.outputs import Outputs, graph_of, plan_of
from hyped_beam.errors import NodeError
from hyped_beam.execute.stage import StageRunner
from hyped_beam.execute.states import StateMerger
from hyped_beam.nodes.refs import builder_of
from hyped_beam.plan.planner import Plan
from hyped_beam.tasks.coalesced_states import JOINED_BATCHES, JOINED_BYTES, JOINED_ROWS, CoalescedStates
from hyped_beam.testing import flow_of
from hyped_beam.types.patterns import Int64Column
from hyped_beam.types.spans import Span

SCHEMA = pa.schema(
    [
        ("n", pa.int64()),
        ("key", pa.string()),
        ("list", pa.list_(pa.int64())),
        ("pair", pa.struct([("a", pa.int64()), ("b", pa.string())])),
    ]
)


def whole(src: Any) -> Mapping[str, Any]:
    return {
        "sum": Sum().call(src.n),
        "most": Max().call(src.key),
        "all": CollectList(limit=100).call(src.pair),
    }


def of_groups(src: Any) -> Mapping[str, Any]:
    by = ops.group_by(src.key)
    return {"sum": Sum().call(src.n, by=by), "most": Max().call(src.n, by=by)}


def of_chosen(src: Any) -> Mapping[str, Any]:
    return {"sum": Sum().call(src.n, where=src.n > 3), "count": Count().call(src.key, where=src.n > 5)}


def of_exploded(src: Any) -> Mapping[str, Any]:
    item = ops.explode(src.list)
    return {"sum": Sum().call(item), "largest": Max().call(item), "key": Max().call(src.key, where=item > 1)}


def of_groups_with_exploded(src: Any) -> Mapping[str, Any]:
    by = ops.group_by(src.key)
    return {"sum": Sum().call(ops.explode(src.list), by=by), "count": Count().call(src.n, by=by)}


def of_groups_of_exploded(src: Any) -> Mapping[str, Any]:
    by = ops.group_by(ops.explode(src.list))
    return {"n": Sum().call(src.n, by=by), "kinds": CountDistinct().call(src.key, by=by)}


def of_constants(src: Any) -> Mapping[str, Any]:
    return {"ones": Sum().call(src.n * 0 + 1), "n": Count().call(src.n)}


FLOWS: list[Callable[[Any], Mapping[str, Any]]] = [
    whole,
    of_groups,
    of_chosen,
    of_exploded,
    of_groups_with_exploded,
    of_groups_of_exploded,
    of_constants,
]

ROWS = st.fixed_dictionaries(
    {
        "n": st.none() | st.integers(-9, 9),
        "key": st.none() | st.sampled_from("abc"),
        "list": st.none() | st.lists(st.integers(0, 3), max_size=3),
        "pair": st.none()
        | st.fixed_dictionaries({"a": st.none() | st.integers(0, 2), "b": st.sampled_from("xy")}),
    }
)


def plan_for(asked: Callable[[Any], Mapping[str, Any]]) -> Plan:
    flow = flow_of(SCHEMA)
    wanted = dict(asked(flow))
    outputs = Outputs(collect=wanted) if "groups" in asked.__name__ else Outputs(aggregators=wanted)
    return plan_of(graph_of(builder_of(flow), outputs))


def values_of(plan: Plan, batches: list[list[dict[str, Any]]], *, joins: bool) -> Any:
    held = CoalescedStates({}, None, 0, joins=joins)
    with StageRunner(plan.scan) as runner:
        for rows in batches:
            batch = pa.RecordBatch.from_pylist(rows, SCHEMA).select(plan.scan.columns)
            held.add(runner.run(runner.source_batch(batch)), None)
        held.flush()
    values = []
    for number, combine in enumerate(plan.scan.combines):
        merger = StateMerger(combine)
        together = joins and combine.coalesced
        assert len(held.states[number]) == (1 if together else len(batches))
        keys, found = merger.finish(merger.merge(held.states[number]))
        values.append((keys and keys.to_pylist(), [column.to_pylist() for column in found.values()]))
    return values


@pytest.mark.parametrize("asked", FLOWS, ids=lambda asked: asked.__name__)
@given(batches=st.lists(st.lists(ROWS, max_size=6), min_size=1, max_size=JOINED_BATCHES))
def test_together_or_apart_the_values_are_the_same(
    asked: Callable[[Any], Mapping[str, Any]], batches: list[list[dict[str, Any]]]
):
    plan = plan_for(asked)
    assert values_of(plan, batches, joins=True) == values_of(plan, batches, joins=False)


class _Seen(NamedTuple):
    count: Int64Column


class FailsOnSeven(Aggregator):
    State = _Seen

    def update(self, value: Int64Column, by: Any) -> _Seen:
        if 7 in value.to_pylist():
            msg = "it is seven"
            raise ValueError(msg)
        return _Seen(by.count(value))

    def merge(self, state: _Seen, by: Any) -> _Seen:
        return _Seen(by.sum(state.count))

    def finish(self, state: _Seen) -> Int64Column:
        return state.count


@pytest.mark.parametrize("where", [0, 4, 9])
def test_the_row_that_fails_is_named(where: int):
    flow = flow_of(pa.schema([("n", pa.int64())]))
    plan = plan_of(
        graph_of(
            builder_of(flow),
            Outputs(aggregators={"n": FailsOnSeven().call(flow.n, where=flow.n >= 0)}),
        )
    )
    numbers = [-1 if row % 2 else 0 for row in range(10)]
    numbers[where] = 7
    held = CoalescedStates({}, 10, 80, joins=True)
    with StageRunner(plan.scan) as runner:
        for start in range(0, 10, 5):
            batch = pa.record_batch({"n": pa.array(numbers[start : start + 5], pa.int64())})
            spans = (Span(5, 100 + start, "file", start),)
            held.add(runner.run(runner.source_batch(batch, spans)), start)
        with pytest.raises(NodeError, match="it is seven") as caught:
            held.flush()
    assert (caught.value.row, caught.value.data_file, caught.value.data_row) == (100 + where, "file", where)


def parts_of(rows: int | None, size: int, firsts: list[int | None]) -> list[int]:
    """How many of some batches of a segment, which begin at these rows, are put together each time."""
    flow = flow_of(pa.schema([("n", pa.int64())]))
    plan = plan_of(graph_of(builder_of(flow), Outputs(aggregators={"n": Count().call(flow.n)})))
    held = CoalescedStates({}, rows, size, joins=True)
    with StageRunner(plan.scan) as runner:
        for first in firsts:
            batch = pa.record_batch({"n": pa.array([1], pa.int64())})
            held.add(runner.run(runner.source_batch(batch)), first)
        held.flush()
    return [states.column(0).field(0)[0].as_py() for states in held.states[0]]


MOST = JOINED_ROWS


@pytest.mark.parametrize(
    ("rows", "size", "firsts", "parts"),
    [
        (3 * MOST, 8 * 3 * MOST, [0, MOST // 2, MOST - 1, MOST, 2 * MOST], [3, 1, 1]),
        (3 * MOST, 8 * 3 * MOST, [MOST // 2, 2 * MOST, 2 * MOST + 1], [1, 2]),  # others were left out
        (1000, 10 * JOINED_BYTES, [0, 50, 99, 100, 199, 250], [3, 2, 1]),
        (None, 0, [None] * (JOINED_BATCHES + 1), [JOINED_BATCHES, 1]),
        (10, 80, [0, None, None], [1, 2]),
    ],
)
def test_what_is_put_together_follows_from_where_rows_stand(
    rows: int | None, size: int, firsts: list[int | None], parts: list[int]
):
    assert parts_of(rows, size, firsts) == parts


def joined_of(asked: Mapping[str, Any], flow: Any, of: str) -> list[bool]:
    """For each aggregator of a kind whether it is given several batches."""
    plan = plan_of(graph_of(builder_of(flow), Outputs(aggregators=dict(asked))))
    return [
        combine.coalesced
        for combine in plan.scan.combines
        for step in combine.steps
        if type(step.operation).__name__ == of
    ]


def test_an_aggregator_is_given_the_same_whatever_stands_beside_it():
    flow = flow_of(SCHEMA)
    item = ops.explode(flow.list)
    beside = {
        "text": Count().call(flow.key),
        "pairs": CollectList(limit=3).call(flow.pair),
        "items": Max().call(item),
    }
    total = {"sum": Sum().call(flow.n, where=flow.n > 1)}
    assert joined_of(total, flow, "Sum") == joined_of({**total, **beside}, flow, "Sum") == [True]
    assert joined_of(beside, flow, "Count") == joined_of({**total, **beside}, flow, "Count") == [False]
    assert joined_of({**total, **beside}, flow, "Max") == [False]
    kept = ops.filter(flow, flow.n > 1)
    assert joined_of({"max": Max().call(kept.n)}, flow, "Max") == [True]
