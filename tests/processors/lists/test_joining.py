"""`join` and `flatten` against plain Python."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest
from datasets import LargeList, List, Value
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionTypeError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import evaluate, flow_of

TEXTS = st.lists(st.none() | st.lists(st.none() | st.text(max_size=3), max_size=5), max_size=5)
NESTED = st.lists(
    st.none() | st.lists(st.none() | st.lists(st.none() | st.integers(0, 9), max_size=3), max_size=4),
    max_size=5,
)


def joined(items, separator):
    return separator.join(item for item in items if item is not None)


@pytest.mark.parametrize("element", [pa.string(), pa.large_string()], ids=str)
@given(data=st.data())
def test_join(element, same_as_python, data):
    values = data.draw(TEXTS)
    separators = data.draw(
        st.lists(st.none() | st.text(max_size=2), min_size=len(values), max_size=len(values))
    )
    same_as_python(lambda src: src.x.join(", "), lambda items: joined(items, ", "), values, element)
    same_as_python(
        lambda src: src.x.join(src.y), joined, values, element, y=pa.array(separators, pa.string())
    )


@given(data=st.data())
def test_flatten(same_as_python, data):
    values = data.draw(NESTED)
    for inner in (pa.list_(pa.int64()), pa.large_list(pa.int64())):
        same_as_python(
            lambda src: src.x.flatten(),
            lambda items: list(itertools.chain.from_iterable(item or [] for item in items)),
            values,
            inner,
        )


def test_flatten_of_fixed_lengths_and_nulls():
    kind = pa.list_(pa.list_(pa.int64(), 2))
    table = pa.table({"x": pa.array([[[9, 9]], [[1, 2], None, [3, 4]], None], kind).slice(1)})
    assert evaluate(flow_of(table.schema).x.flatten(), table).to_pylist() == [[1, 2, 3, 4], None]
    nulls = pa.table({"x": pa.array([[None], None], pa.list_(pa.null()))})
    assert evaluate(flow_of(nulls.schema).x.flatten(), nulls).to_pylist() == [[], None]
    assert evaluate(flow_of(nulls.schema).x.join("-"), nulls).to_pylist() == ["", None]


def test_result_types():
    src = flow_of({"a": List(LargeList(Value("int8"))), "b": LargeList(Value("large_string"))})
    assert feature_of(src.a.flatten()) == LargeList(Value("int8"))
    assert feature_of(src.b.join("")).dtype == "large_string"


def test_flat_lists_are_refused():
    src = flow_of({"x": List(Value("int64"))})
    with pytest.raises(DefinitionTypeError, match="a list of lists as 'items', got list<int64>"):
        src.x.flatten()
    with pytest.raises(DefinitionTypeError, match="a list of strings"):
        src.x.join(",")
