"""Count, Sum, Min, Max and Mean over the whole dataset."""

from __future__ import annotations

import datetime
import decimal
import math
import struct
from typing import Any

import datasets
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam import NodeError
from hyped_beam.aggregators import Count, Max, Mean, Min, Sum
from hyped_beam.errors import DefinitionTypeError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import aggregate, flow_of
from hyped_beam.types import features

ALL = (Count, Sum, Min, Max, Mean)


def over(aggregator: Any, values: Any, kind: pa.DataType | None = None, batches: int = 1) -> Any:
    column = pa.array(values, kind)
    size = max(-(-len(column) // batches), 1)
    parts = [column.slice(start, size) for start in range(0, max(len(column), 1), size)]
    table = pa.table({"value": pa.chunked_array(parts, column.type)})
    return aggregate(aggregator().call(flow_of(table.schema).value), table)


@given(st.lists(st.none() | st.integers(-(2**50), 2**50)), st.integers(1, 4))
def test_integers(values: list[int | None], batches: int):
    there = [value for value in values if value is not None]
    made = [over(aggregator, values, pa.int64(), batches) for aggregator in ALL]
    assert made[:4] == [len(there), sum(there), min(there, default=None), max(there, default=None)]
    assert made[4] == pytest.approx(sum(there) / len(there)) if there else made[4] is None


@pytest.mark.parametrize("values", [[], [None], [None] * 3], ids=str)
@pytest.mark.parametrize("kind", [pa.int32(), pa.float32(), pa.null()], ids=str)
def test_without_values(values: list[None], kind: pa.DataType):
    assert [over(aggregator, values, kind) for aggregator in ALL] == [0, 0, None, None, None]


def test_types_of_values():
    src = flow_of(
        {
            "i": datasets.Value("int8"),
            "u": datasets.Value("uint8"),
            "f": datasets.Value("float32"),
            "d": datasets.Value("decimal128(5, 2)"),
            "l": datasets.ClassLabel(names=["a", "b"]),
            "t": datasets.Value("timestamp[ns, tz=UTC]"),
        }
    )

    def kinds(aggregator: Any, *refs: Any) -> list[str]:
        return [features.describe(feature_of(aggregator().call(ref))) for ref in refs]

    assert kinds(Sum, src.i, src.u, src.f, src.d, src.l) == [
        "int64",
        "uint64",
        "float64",
        "decimal128(38, 2)",
        "int64",
    ]
    assert kinds(Mean, src.i, src.d, src.l) == ["float64"] * 3
    assert kinds(Max, src.i, src.f, src.l, src.t) == ["int8", "float32", "int64", "timestamp[ns, tz=UTC]"]
    assert kinds(Count, src.l) == ["int64"]


def test_decimals_are_exact_and_may_grow():
    values = [decimal.Decimal("999.99")] * 11
    assert over(Sum, values, pa.decimal128(5, 2), 3) == decimal.Decimal("10999.89")
    assert over(Max, values, pa.decimal128(5, 2), 3) == decimal.Decimal("999.99")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.string(), ["b", "a", None, "ä"]),
        (pa.large_string(), ["b", "a", None]),
        (pa.binary(), [b"b", b"a"]),
        (pa.bool_(), [True, None, False]),
        (pa.date32(), [datetime.date(2020, 1, 1), datetime.date(1960, 1, 1)]),
        (pa.duration("us"), [datetime.timedelta(1), None, datetime.timedelta(-1)]),
        (pa.timestamp("us"), [datetime.datetime(2020, 1, 1), datetime.datetime(1960, 1, 1)]),  # noqa: DTZ001
    ],
    ids=str,
)
def test_extremes_of_what_has_an_order(kind: pa.DataType, values: list[Any]):
    there = [value for value in values if value is not None]
    for batches in (1, 3):
        assert over(Min, values, kind, batches) == min(there)
        assert over(Max, values, kind, batches) == max(there)


def test_what_has_no_order_is_refused():
    src = flow_of({"words": datasets.List(datasets.Value("string"))})
    with pytest.raises(DefinitionTypeError, match="takes numbers, text, booleans or times, got list<string>"):
        Max().call(src.words)
    with pytest.raises(DefinitionTypeError, match="Sum takes a number"):
        Sum().call(src.words)
    assert feature_of(Count().call(src.words)).dtype == "int64"


def test_integers_that_overflow_are_an_error_and_their_mean_is_not():
    assert over(Sum, [2**63, 2**62], pa.uint64()) == 2**63 + 2**62
    for batches in (1, 2):
        with pytest.raises(NodeError, match="overflows 64 bits"):
            over(Sum, [2**62, 2**62], pa.int64(), batches)
    assert over(Mean, [2**62, 2**62], pa.int64()) == 2.0**62


def test_nan_spreads_in_sums_and_stands_back_in_extremes():
    assert math.isnan(over(Sum, [1.0, math.nan]))
    assert math.isnan(over(Mean, [1.0, math.nan]))
    assert (over(Min, [math.nan, 1.0]), over(Max, [math.nan, 1.0])) == (1.0, 1.0)
    assert math.isnan(over(Min, [math.nan, None]))


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=60))
def test_the_sum_of_floats_is_the_same_bits_however_the_column_lies_in_memory(values: list[float]):
    array = pa.array(values)
    shifted = pa.array([0.5, *values]).slice(1)
    large = [over(Sum, column) for column in (array, shifted)]
    assert struct.pack("<d", large[0]) == struct.pack("<d", large[1])
