"""Reductions of lists against plain Python."""

from __future__ import annotations

import datetime
import decimal
import math
from fractions import Fraction

import pyarrow as pa
import pytest
from datasets import ClassLabel, List, Value
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionTypeError, NodeError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import evaluate, flow_of

INTEGERS = {
    "int8": st.integers(-128, 127),
    "uint8": st.integers(0, 255),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63) // 8, 2**63 // 8),
    "uint64": st.integers(0, 2**61),
}
FLOATS = st.floats(width=32)
ORDERED = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.string(): st.text(max_size=3),
    pa.large_binary(): st.binary(max_size=2),
    pa.bool_(): st.booleans(),
    pa.decimal128(9, 2): st.decimals(-1000, 1000, places=2),
    pa.timestamp("us"): st.datetimes(),
    pa.date32(): st.dates(),
    pa.time64("us"): st.times(),
    pa.duration("us"): st.timedeltas(datetime.timedelta(-1000), datetime.timedelta(1000)),
}


def columns_of(elements, size=8):
    return st.lists(st.none() | st.lists(st.none() | elements, max_size=size), max_size=6)


def present(items):
    return [item for item in items if item is not None]


def number(items):
    return [item for item in present(items) if not math.isnan(item)]


@pytest.mark.parametrize("dtype", INTEGERS)
@given(data=st.data())
def test_integers(dtype, same_as_python, data):
    element = pa.type_for_alias(dtype)
    values = data.draw(columns_of(INTEGERS[dtype], size=7))
    same_as_python(lambda src: src.x.sum(), lambda items: sum(present(items)), values, element)
    same_as_python(
        lambda src: src.x.mean(),
        lambda items: float(Fraction(sum(present(items)), len(present(items)))) if present(items) else None,
        values,
        element,
    )


@given(data=st.data())
def test_floats(same_as_python, data):
    values = data.draw(columns_of(FLOATS))
    for element in (pa.float32(), pa.float64()):
        same_as_python(lambda src: src.x.sum(), lambda items: float(sum(present(items))), values, element)
        same_as_python(
            lambda src: src.x.mean(),
            lambda items: sum(present(items)) / len(present(items)) if present(items) else None,
            values,
            element,
        )
        for name, python in (("min", min), ("max", max)):
            same_as_python(
                lambda src, name=name: getattr(src.x, name)(),
                lambda items, python=python: python(number(items), default=next(iter(present(items)), None)),
                values,
                element,
            )


@pytest.mark.parametrize("element", ORDERED, ids=str)
@given(data=st.data())
def test_extremes(element, same_as_python, data):
    values = data.draw(columns_of(ORDERED[element]))
    for name, python in (("min", min), ("max", max)):
        same_as_python(
            lambda src, name=name: getattr(src.x, name)(),
            lambda items, python=python: python(present(items), default=None),
            values,
            element,
        )


@given(data=st.data())
def test_booleans(same_as_python, data):
    values = data.draw(columns_of(st.booleans()))
    same_as_python(lambda src: src.x.any(), lambda items: any(present(items)), values, pa.bool_())
    same_as_python(lambda src: src.x.all(), lambda items: all(present(items)), values, pa.bool_())
    same_as_python(lambda src: src.x.sum(), lambda items: sum(present(items)), values, pa.bool_())


@given(data=st.data())
def test_decimals_and_durations(same_as_python, data):
    values = data.draw(columns_of(ORDERED[pa.decimal128(9, 2)]))
    same_as_python(
        lambda src: src.x.sum(),
        lambda items: sum(present(items), decimal.Decimal("0.00")),
        values,
        pa.decimal128(9, 2),
    )
    values = data.draw(columns_of(ORDERED[pa.duration("us")]))
    same_as_python(
        lambda src: src.x.sum(),
        lambda items: sum(present(items), datetime.timedelta()),
        values,
        pa.duration("us"),
    )
    same_as_python(
        lambda src: src.x.mean(),
        lambda items: (
            (
                sum(present(items), datetime.timedelta())
                // datetime.timedelta.resolution
                // len(present(items))
            )
            * datetime.timedelta.resolution
            if present(items)
            else None
        ),
        values,
        pa.duration("us"),
    )


@pytest.mark.parametrize(
    ("dtype", "fitting", "beyond"),
    [
        ("int64", [2**63 - 1, 1, -1], [2**63 - 1, 1]),
        ("int64", [-(2**63), -1, 1], [-(2**63), -1]),
        ("uint64", [2**64 - 2, 1], [2**64 - 1, 1]),
    ],
)
def test_sums_are_exact_up_to_the_last_and_an_error_beyond(dtype, fitting, beyond):
    table = pa.table({"x": pa.array([fitting, [1]], pa.list_(pa.type_for_alias(dtype)))})
    assert evaluate(flow_of(table.schema).x.sum(), table).to_pylist() == [sum(fitting), 1]

    table = pa.table({"x": pa.array([[1], beyond], pa.list_(pa.type_for_alias(dtype)))})
    with pytest.raises(NodeError, match="does not fit") as raised:
        evaluate(flow_of(table.schema).x.sum(), table)
    assert raised.value.row == 1
    means = evaluate(flow_of(table.schema).x.mean(), table).to_pylist()
    assert means == [1.0, pytest.approx(sum(beyond) / len(beyond))]


def test_neighbours_change_no_bit_of_a_sum():
    values = [[0.1] * count for count in range(1, 40)]
    table = pa.table({"x": [[1e300], *values, [float("inf"), float("nan")]]})
    together = evaluate(flow_of(table.schema).x.sum(), table).to_pylist()[1:-1]
    alone = [
        evaluate(flow_of(table.schema).x.sum(), table.slice(row + 1, 1)).to_pylist()[0]
        for row in range(len(values))
    ]
    assert together == alone


def test_result_types():
    src = flow_of(
        {
            "small": List(Value("int8")),
            "unsigned": List(Value("uint16")),
            "half": List(Value("float16")),
            "label": List(ClassLabel(names=["a", "b"])),
            "fixed": List(Value("string"), length=2),
        }
    )
    assert feature_of(src.small.sum()).dtype == "int64"
    assert feature_of(src.unsigned.sum()).dtype == "uint64"
    assert feature_of(src.half.sum()).dtype == "float64"
    assert feature_of(src.half.min()).dtype == "float16"
    assert feature_of(src.label.max()) == ClassLabel(names=["a", "b"])
    assert feature_of(src.fixed.min()).dtype == "string"


def test_lists_of_nulls_and_empty_batches():
    table = pa.table({"x": pa.array([[None], [], None], pa.list_(pa.null()))})
    src = flow_of(table.schema)
    assert evaluate(src.x.sum(), table).to_pylist() == [0, 0, None]
    assert evaluate(src.x.mean(), table).to_pylist() == [None, None, None]
    assert evaluate(src.x.max(), table).to_pylist() == [None, None, None]
    for element in (pa.int64(), pa.string(), pa.decimal128(5, 1), pa.bool_()):
        empty = pa.table({"x": pa.array([], pa.list_(element))})
        assert evaluate(flow_of(empty.schema).x.min(), empty).to_pylist() == []


def test_fixed_size_lists():
    kind = pa.list_(pa.int64(), 2)
    table = pa.table({"x": pa.array([[9, 9], [1, 2], None, [None, 5]], kind).slice(1)})
    src = flow_of(table.schema)
    assert evaluate(src.x.sum(), table).to_pylist() == [3, None, 5]
    assert evaluate(src.x.min(), table).to_pylist() == [1, None, 5]
    assert evaluate(src.x.length(), table).to_pylist() == [2, None, 2]


def test_what_cannot_be_summed_is_refused():
    src = flow_of({"words": List(Value("string")), "flags": List(Value("int64"))})
    with pytest.raises(DefinitionTypeError, match="a list of numbers, booleans or durations"):
        src.words.sum()
    with pytest.raises(DefinitionTypeError, match="a list of booleans"):
        src.flags.any()
