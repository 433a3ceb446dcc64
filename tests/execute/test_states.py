"""States of aggregators: the same bits whatever arrives when, and wherever it is merged."""

from __future__ import annotations

import math
import random
import struct
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.aggregators import Count, Max, Mean, Sum
from hyped_beam.dsl.outputs import Outputs, graph_of, plan_of
from hyped_beam.execute.stage import StageRunner
from hyped_beam.execute.states import StateMerger, StateTree, from_bytes, to_bytes
from hyped_beam.nodes.refs import builder_of
from hyped_beam.testing import flow_of

SRC = flow_of(pa.schema([("x", pa.float64())]))
PLAN = plan_of(
    graph_of(
        builder_of(SRC),
        Outputs(
            aggregators={
                "sum": Sum().call(SRC.x),
                "mean": Mean().call(SRC.x),
                "n": Count().call(SRC.x),
                "max": Max().call(SRC.x),
            }
        ),
    )
)
MERGER = StateMerger(PLAN.scan.aggregates)


def parts_of(numbers: int) -> list[list[pa.StructArray]]:
    """The states of parts whose sums depend on the order in which they are added."""
    source = random.Random(0)  # noqa: S311 - for repeatable tests
    return [
        states_of([source.uniform(-1, 1) * 10.0 ** source.randint(-8, 8) for _ in range(3)])
        for _ in range(numbers)
    ]


def states_of(values: list[float | None]) -> list[pa.StructArray]:
    with StageRunner(PLAN.scan) as runner:
        return runner.run(runner.source_batch(pa.record_batch({"x": pa.array(values, pa.float64())}))).states


PARTS = parts_of(37)


def bits(tree: StateTree) -> list[bytes]:
    values = MERGER.finish(tree.total())
    return [struct.pack("<d", value[0].as_py()) for value in values]


def tree_of(parts: list[tuple[int, Any]]) -> StateTree:
    tree = StateTree(MERGER)
    for number, states in parts:
        tree.add((0, number), states)
    return tree


@given(st.integers(1, len(PARTS)), st.randoms(use_true_random=False), st.integers(1, 5))
def test_any_order_of_arrival_over_any_number_of_trees_gives_the_same_bits(
    numbers: int, order: random.Random, trees: int
):
    expected = bits(tree_of(list(enumerate(PARTS[:numbers]))))
    shuffled = list(enumerate(PARTS[:numbers]))
    order.shuffle(shuffled)
    split: list[list[tuple[int, Any]]] = [[] for _ in range(trees)]
    for part in shuffled:
        split[order.randrange(trees)].append(part)
    grown = [tree_of(parts) for parts in split]
    order.shuffle(grown)
    merged = StateTree(MERGER)
    for tree in grown:
        if order.random() < 0.5:  # by way of bytes, as between workers
            merged.add_batch(from_bytes(to_bytes(tree.to_batch())))
        else:
            merged.absorb(tree)
    assert bits(merged) == expected


def test_the_order_would_matter_without_the_tree():
    shuffle = random.Random(1)  # noqa: S311 - for repeatable tests
    orders = [shuffle.sample(PARTS, len(PARTS)) for _ in range(20)]
    assert len({MERGER.finish(MERGER.merge(parts))[0][0].as_py() for parts in orders}) > 1


def test_a_tree_holds_as_many_nodes_as_its_number_of_parts_has_ones_in_binary():
    order = list(enumerate(PARTS[:32]))
    random.Random(3).shuffle(order)  # noqa: S311
    assert len(tree_of(order)._nodes) == 1
    assert len(tree_of(list(enumerate(PARTS[:37])))._nodes) == 3


def test_nothing_to_merge_is_an_error():
    with pytest.raises(ValueError, match="no states"):
        StateTree(MERGER).total()


def test_an_empty_tree_travels():
    batch = from_bytes(to_bytes(StateTree(MERGER).to_batch()))
    tree = StateTree(MERGER)
    tree.add_batch(batch)
    assert not tree._nodes


def test_of_two_zeros_and_of_several_nans_the_first_to_come_does_not_show():
    for values in ([0.0, -0.0], [math.nan, struct.unpack("<d", b"\1" * 6 + b"\xf8\xff")[0]]):
        parts = [states_of([value]) for value in values]
        made = {bits(tree_of(order))[3] for order in (list(enumerate(parts)), list(enumerate(parts))[::-1])}
        assert len(made) == 1


def test_values_are_those_of_python():
    parts = [states_of([value]) for value in (1.5, None, 2.5, -4.0)]
    values = MERGER.finish(tree_of(list(enumerate(parts))).total())
    assert [value[0].as_py() for value in values] == [0.0, 0.0, 3, 2.5]
