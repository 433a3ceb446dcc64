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
from hyped_beam.execute.bindings import PriorResults
from hyped_beam.execute.stage import StageRunner
from hyped_beam.execute.states import FAN_OUT, StateMerger, StateTrees
from hyped_beam.nodes.refs import builder_of
from hyped_beam.tasks.reduce import reduce_states
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


def parts_of(numbers: int) -> list[list[pa.RecordBatch]]:
    """The states of parts whose sums depend on the order in which they are added."""
    source = random.Random(0)  # noqa: S311 - for repeatable tests
    return [
        states_of([source.uniform(-1, 1) * 10.0 ** source.randint(-8, 8) for _ in range(3)])
        for _ in range(numbers)
    ]


def states_of(values: list[float | None]) -> list[pa.RecordBatch]:
    with StageRunner(PLAN.scan) as runner:
        return runner.run(runner.source_batch(pa.record_batch({"x": pa.array(values, pa.float64())}))).states


PARTS = parts_of(37)


def values_of(trees: StateTrees) -> dict[str, Any]:
    assert PLAN.reduce is not None
    (row,) = reduce_states(PLAN.scan.combines, PLAN.reduce, trees.total(), PriorResults()).outputs.values()
    return dict(row.to_pylist()[0])


def bits(trees: StateTrees) -> list[bytes]:
    return [struct.pack("<d", value) for value in values_of(trees).values()]


def tree_of(parts: list[tuple[int, Any]]) -> StateTrees:
    trees = StateTrees(PLAN.scan.combines)
    for number, states in parts:
        trees.add((0, number), states)
    return trees


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
    merged = StateTrees(PLAN.scan.combines)
    for tree in grown:
        if order.random() < 0.5:  # by way of bytes, as between workers
            merged.add_bytes(tree.to_bytes())
        else:
            merged.absorb(tree)
    assert bits(merged) == expected


def test_the_order_would_matter_without_the_tree():
    shuffle = random.Random(1)  # noqa: S311 - for repeatable tests
    orders = [shuffle.sample(PARTS, len(PARTS)) for _ in range(20)]
    ordered = next(at for at, combine in enumerate(PLAN.scan.combines) if not combine.commutative)
    merger = StateMerger(PLAN.scan.combines[ordered])
    sums = set()
    for parts in orders:
        _, values = merger.finish(merger.merge([states[ordered] for states in parts]))
        sums.add(next(iter(values.values()))[0].as_py())
    assert len(sums) > 1


@pytest.mark.parametrize(("parts", "digits"), [(16, [1]), (37, [2, 1, 1])])
def test_a_tree_holds_as_many_nodes_as_the_digits_of_its_number_of_parts_add_up_to(
    parts: int, digits: list[int]
):
    assert FAN_OUT == 4
    order = list(enumerate(PARTS[:parts]))
    random.Random(3).shuffle(order)  # noqa: S311
    assert [len(tree._nodes) for tree in tree_of(order).trees] == [sum(digits)] * 2


def test_nothing_to_merge_is_an_error():
    with pytest.raises(ValueError, match="no states"):
        StateTrees(PLAN.scan.combines).total()


def test_an_empty_tree_travels():
    trees = StateTrees(PLAN.scan.combines)
    trees.add_bytes(StateTrees(PLAN.scan.combines).to_bytes())
    assert not any(tree._nodes for tree in trees.trees)


def test_of_two_zeros_and_of_several_nans_the_first_to_come_does_not_show():
    for values in ([0.0, -0.0], [math.nan, struct.unpack("<d", b"\1" * 6 + b"\xf8\xff")[0]]):
        parts = [states_of([value]) for value in values]
        made = {bits(tree_of(order))[3] for order in (list(enumerate(parts)), list(enumerate(parts))[::-1])}
        assert len(made) == 1


def test_values_are_those_of_python():
    parts = [states_of([value]) for value in (1.5, None, 2.5, -4.0)]
    values = values_of(tree_of(list(enumerate(parts))))
    assert list(values.values()) == [0.0, 0.0, 3, 2.5]
