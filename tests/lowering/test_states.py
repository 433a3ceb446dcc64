"""The combine of a job: any bundles, any order, equal bytes."""

from __future__ import annotations

import pickle
import random
from typing import Any

import cloudpickle
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.aggregators import Max, Mean, Sum
from hyped_beam.dsl.outputs import Outputs, graph_of, plan_of
from hyped_beam.execute.stage import StageRunner
from hyped_beam.lowering.states import AccumulatorCoder, CombineRanges
from hyped_beam.nodes.refs import builder_of
from hyped_beam.testing import flow_of

SRC = flow_of(pa.schema([("x", pa.float64())]))
PLAN = plan_of(
    graph_of(
        builder_of(SRC),
        Outputs(aggregators={"s": Sum().call(SRC.x), "m": Mean().call(SRC.x), "max": Max().call(SRC.x)}),
    )
)
COMBINE = CombineRanges(cloudpickle.dumps(PLAN.scan.combines))


def report(number: int) -> tuple[int, str, bytes, str]:
    """What range `number` reports."""
    source = random.Random(number)  # noqa: S311 - for repeatable tests
    values = [source.uniform(-1, 1) * 10.0 ** source.randint(-8, 8) for _ in range(4)]
    with StageRunner(PLAN.scan) as runner:
        states = runner.run(runner.source_batch(pa.record_batch({"x": values}))).states
    trees = COMBINE.no_states()
    trees.add((0, number), states)
    return number, f'{{"number": {number}}}', trees.to_bytes(), f'{{"read": [{number}, 4]}}'


REPORTS = [report(number) for number in range(21)]


def combined(order: list[Any], bundles: int, source: random.Random) -> bytes:
    accumulators = [COMBINE.create_accumulator() for _ in range(bundles)]
    for element in order:
        at = source.randrange(bundles)
        accumulators[at] = COMBINE.add_input(accumulators[at], element)
        if source.random() < 0.2:
            coder = COMBINE.get_accumulator_coder()
            accumulators[at] = coder.decode(coder.encode(accumulators[at]))
    source.shuffle(accumulators)
    cut = source.randrange(bundles + 1)
    parts = [COMBINE.merge_accumulators(accumulators[:cut]), COMBINE.merge_accumulators(accumulators[cut:])]
    return COMBINE.extract_output(COMBINE.merge_accumulators(parts))


EXPECTED = combined(REPORTS, 1, random.Random(0))  # noqa: S311


@given(st.randoms(use_true_random=False), st.integers(1, 6))
def test_every_order_and_every_number_of_bundles_gives_the_same_bytes(source: random.Random, bundles: int):
    order = list(REPORTS)
    source.shuffle(order)
    assert combined(order, bundles, source) == EXPECTED


def test_the_output_holds_all_records_in_order_and_one_total():
    records, trees, timings = AccumulatorCoder(COMBINE).decode(EXPECTED)
    assert timings == {"read": (sum(range(21)), 4 * 21)}
    assert [records[number] for number in sorted(records)] == [record for _, record, *_ in REPORTS]
    assert [states.num_rows for states in trees.total()] == [1, 1]


def test_it_travels_and_knows_no_states_where_there_are_none():
    there = pickle.loads(pickle.dumps(COMBINE))  # noqa: S301 - our own
    assert there.add_input(there.create_accumulator(), REPORTS[0])[0] == {0: REPORTS[0][1]}
    plain = CombineRanges(cloudpickle.dumps(()))
    accumulator = plain.add_input(plain.create_accumulator(), (3, "{}", b"", "{}"))
    records, *_ = AccumulatorCoder(plain).decode(plain.extract_output(accumulator))
    assert records == {3: "{}"}


def test_the_coder_is_deterministic():
    coder = COMBINE.get_accumulator_coder()
    assert coder.is_deterministic()
    left = COMBINE.merge_accumulators(
        [COMBINE.add_input(COMBINE.create_accumulator(), one) for one in REPORTS]
    )
    right = COMBINE.merge_accumulators(
        [COMBINE.add_input(COMBINE.create_accumulator(), one) for one in REPORTS[::-1]]
    )
    assert coder.encode(left) == coder.encode(right)


@pytest.mark.parametrize("missing", [0, 7])
def test_a_range_that_does_not_report_is_missed_in_the_records(missing: int):
    accumulator = COMBINE.create_accumulator()
    for element in REPORTS:
        if element[0] != missing:
            accumulator = COMBINE.add_input(accumulator, element)
    assert missing not in accumulator[0]
