"""Three-valued logic, and the bits of integers."""

from __future__ import annotations

import itertools
import operator

import datasets
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError
from hyped_beam.testing import evaluate, flow_of

THREE = [True, False, None]
PAIRS = list(itertools.product(THREE, THREE))


def kleene(symbol, left, right):
    """Null stands for either: the result is known where both agree."""
    outcomes = {
        symbol(a, b)
        for a in ([True, False] if left is None else [left])
        for b in ([True, False] if right is None else [right])
    }
    return outcomes.pop() if len(outcomes) == 1 else None


@pytest.mark.parametrize("symbol", [operator.and_, operator.or_, operator.xor])
def test_logic_is_three_valued(symbol):
    table = pa.table({"a": [pair[0] for pair in PAIRS], "b": [pair[1] for pair in PAIRS]})
    src = flow_of(table.schema)
    assert evaluate(symbol(src.a, src.b), table).to_pylist() == [kleene(symbol, *pair) for pair in PAIRS]


@pytest.mark.parametrize("symbol", [operator.and_, operator.or_, operator.xor])
@pytest.mark.parametrize("constant", THREE)
def test_constants_are_as_columns(symbol, constant):
    table = pa.table({"a": THREE})
    src = flow_of(table.schema)
    expected = [kleene(symbol, value, constant) for value in THREE]
    assert evaluate(symbol(src.a, constant), table).to_pylist() == expected
    assert evaluate(symbol(constant, src.a), table).to_pylist() == expected


def test_not_keeps_null():
    table = pa.table({"a": THREE})
    assert evaluate(~flow_of(table.schema).a, table).to_pylist() == [False, True, None]


@given(st.lists(st.tuples(st.none() | st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))))
def test_bits_of_integers_are_those_of_python(pairs):
    table = pa.table(
        {"a": pa.array([a for a, _ in pairs], pa.int64()), "b": pa.array([b for _, b in pairs], pa.int64())}
    )
    src = flow_of(table.schema)
    for symbol in (operator.and_, operator.or_, operator.xor):
        expected = [None if a is None else symbol(a, b) for a, b in pairs]
        assert evaluate(symbol(src.a, src.b), table).to_pylist() == expected
    assert evaluate(~src.a, table).to_pylist() == [None if a is None else ~a for a, _ in pairs]


def test_other_types_are_refused():
    src = flow_of(
        {"flag": datasets.Value("bool"), "number": datasets.Value("int64"), "f": datasets.Value("float64")}
    )
    with pytest.raises(
        DefinitionError, match="takes two conditions or two whole numbers, got bool and int64"
    ):
        src.flag & src.number
    with pytest.raises(DefinitionError, match="'&' means nothing for float64"):
        src.f & src.f
