"""Python values as Arrow integers: no fraction is ever cut off, which Arrow itself does in silence."""

from __future__ import annotations

import datasets
import numpy as np
import pyarrow as pa
import pytest

from hyped_beam import DataFlow, processor
from hyped_beam.errors import InputError, NodeError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types import features
from hyped_beam.types.arrays import from_values

LISTS = pa.list_(pa.int32())


@pytest.mark.parametrize(
    ("values", "arrow_type"),
    [
        ([1, 0.5], pa.int64()),
        ([None, np.float64(1.5)], pa.int8()),
        ([[1], [2, 2.5]], LISTS),
        ([[1], None, [2, 2.5]], pa.large_list(pa.int64())),
        ([[1, 2.5]], pa.list_(pa.int64(), 2)),
        ([{"a": 1, "b": "x"}, {"a": 0.5}], pa.struct({"a": pa.int64(), "b": pa.string(), "c": pa.int8()})),
        ([[{"a": [0.5]}]], pa.list_(pa.struct({"a": LISTS}))),
    ],
)
def test_a_fraction_is_refused(values, arrow_type):
    with pytest.raises(pa.ArrowInvalid, match="truncated"):
        from_values(values, arrow_type)


@pytest.mark.parametrize(
    ("values", "arrow_type", "expected"),
    [
        ([1, 2.0, None], pa.int16(), [1, 2, None]),
        ([], LISTS, []),
        ([None], pa.int64(), [None]),
        ([[1, 2.0], []], LISTS, [[1, 2], []]),
        ([2**63], pa.uint64(), [2**63]),
        ([(1, 2)], LISTS, [[1, 2]]),
        ([{"a": 1, "x": 0.5}], pa.struct({"a": pa.int64(), "x": pa.float32()}), [{"a": 1, "x": 0.5}]),
        ([{"a": 1.0, "b": 1}, None], pa.struct({"a": pa.int64()}), [{"a": 1}, None]),
        ((n for n in (1, 2)), pa.int64(), [1, 2]),
        (np.array([1, 2]), pa.int64(), [1, 2]),
    ],
)
def test_whole_numbers_are_taken(values, arrow_type, expected):
    made = from_values(values, arrow_type)
    assert made.type == arrow_type
    assert made.to_pylist() == expected


TABLE = pa.table({"n": pa.array([1, 2], pa.int8())})
SRC = flow_of(TABLE.schema)


def test_numbers_of_python_are_of_64_bits_whatever_they_are_made_from():
    @processor
    def half(x: float) -> float:
        return x / 2

    @processor
    def thousands(x: int) -> int:
        return x * 1000

    @processor
    def halves(x: int) -> list[float]:
        return [x, x / 2]

    for node, kind, expected in (
        (half, "float64", [0.5, 1.0]),
        (thousands, "int64", [1000, 2000]),
        (halves, "list<float64>", [[1.0, 0.5], [2.0, 1.0]]),
    ):
        made = node.call(SRC.n)
        assert features.describe(feature_of(made)) == kind
        assert evaluate(made, TABLE).to_pylist() == expected


def test_a_node_that_returns_a_fraction_as_an_integer_fails_at_its_row():
    @processor
    def wrong(x: int) -> int:
        return x / 2  # what a type checker would refuse

    with pytest.raises(NodeError, match=r"row 0: TypeError: returned 0.5, where int64 is declared"):
        evaluate(wrong.call(SRC.n), TABLE)


def test_a_batch_with_a_fraction_in_a_column_of_integers_is_refused():
    flow = DataFlow(features=datasets.Features({"n": datasets.Value("int64")}))
    with pytest.raises(InputError, match="'n' does not hold int64"):
        flow.batch_process({"n": [1.5]}, collect={"n": flow.src_features.n})
