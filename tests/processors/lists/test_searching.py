"""`contains` against Python's `in`."""

from __future__ import annotations

import pyarrow as pa
import pytest
from datasets import ClassLabel, List, Value
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionTypeError, UnknownNameError
from hyped_beam.testing import evaluate, flow_of

SMALL = {
    pa.int16(): st.integers(0, 3),
    pa.float64(): st.sampled_from([0.0, -0.0, 1.5, float("inf")]),
    pa.string(): st.sampled_from(["", "a", "b"]),
    pa.bool_(): st.booleans(),
}


@pytest.mark.parametrize("element", SMALL, ids=str)
@given(data=st.data())
def test_contains(element, same_as_python, data):
    item = SMALL[element]
    values = data.draw(st.lists(st.none() | st.lists(st.none() | item, max_size=4), max_size=5))
    wanted = data.draw(item)
    own = data.draw(st.lists(st.none() | item, min_size=len(values), max_size=len(values)))
    same_as_python(lambda src: src.x.contains(wanted), lambda items: wanted in items, values, element)
    same_as_python(
        lambda src: src.x.contains(src.y),
        lambda items, value: value in items,
        values,
        element,
        y=pa.array(own, element),
    )


def test_nulls_and_nans():
    table = pa.table({"x": pa.array([[None, 1.0], [float("nan")], [], None])})
    src = flow_of(table.schema)
    assert evaluate(src.x.contains(float("nan")), table).to_pylist() == [False, True, False, None]
    assert evaluate(src.x.contains(None), table).to_pylist() == [None] * 4
    assert evaluate(src.x.contains(1), table).to_pylist() == [True, False, False, None]


def test_values_wider_than_the_elements():
    table = pa.table({"x": pa.array([[1, 2], [44]], pa.list_(pa.int8()))})
    assert evaluate(flow_of(table.schema).x.contains(300), table).to_pylist() == [False, False]
    assert evaluate(flow_of(table.schema).x.contains(2.0), table).to_pylist() == [True, False]


def test_labels_by_name():
    table = pa.table({"x": [[0, 1], [1], None]})
    src = flow_of({"x": List(ClassLabel(names=["ham", "spam"]))})
    assert evaluate(src.x.contains("ham"), table).to_pylist() == [True, False, None]
    with pytest.raises(UnknownNameError, match="no label 'hamm'") as raised:
        src.x.contains("hamm")
    assert raised.value.hint == "did you mean 'ham'?"


def test_a_value_that_no_element_can_equal_is_refused():
    src = flow_of({"x": List(Value("string"))})
    with pytest.raises(DefinitionTypeError, match="list<string> never contains int64"):
        src.x.contains(1)
