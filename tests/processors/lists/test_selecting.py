"""Elements and slices of lists against plain Python."""

from __future__ import annotations

import pyarrow as pa
import pytest
from datasets import Array2D, ClassLabel, LargeList, List, Value
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.dsl.ops import collect
from hyped_beam.errors import DefinitionTypeError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types import arrays, features

ITEMS = st.lists(st.none() | st.lists(st.none() | st.text(max_size=3), max_size=6), max_size=6)
PLACES = st.integers(-8, 8)


def element(items, place):
    return items[place] if -len(items) <= place < len(items) else None


@given(data=st.data())
def test_elements(same_as_python, data):
    values, place = data.draw(ITEMS), data.draw(PLACES)
    same_as_python(lambda src: src.x[place], lambda items: element(items, place), values, pa.string())


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint64"])
@given(data=st.data())
def test_elements_at_places_of_their_own(dtype, same_as_python, data):
    values = data.draw(ITEMS)
    place = PLACES if dtype != "uint64" else st.sampled_from([0, 1, 2**64 - 1])
    places = data.draw(st.lists(st.none() | place, min_size=len(values), max_size=len(values)))
    column = pa.array(places, pa.type_for_alias(dtype))
    same_as_python(lambda src: src.x[src.i], element, values, pa.string(), i=column)


@given(data=st.data())
def test_slices(same_as_python, data):
    values = data.draw(ITEMS)
    start, stop = data.draw(st.none() | PLACES), data.draw(st.none() | PLACES)
    same_as_python(lambda src: src.x[start:stop], lambda items: items[start:stop], values, pa.string())


@pytest.mark.parametrize("place", [2**80, -(2**80)])
def test_slices_far_beyond_the_ends(same_as_python, place):
    same_as_python(
        lambda src: src.x.slice(place), lambda items: items[place:], [["a", "b"], [], None], pa.string()
    )
    same_as_python(
        lambda src: src.x.slice(0, place), lambda items: items[:place], [["a", "b"], [], None], pa.string()
    )


@given(data=st.data())
def test_lengths(same_as_python, data):
    same_as_python(lambda src: src.x.length(), len, data.draw(ITEMS), pa.string())


def test_what_an_element_is():
    kinds = {
        "label": List(ClassLabel(names=["a", "b"])),
        "fixed": List(Value("int8"), length=2),
        "large": LargeList(Value("string")),
        "struct": List({"a": Value("int64")}),
        "matrix": List(Array2D((2, 2), "int32")),
    }
    src = flow_of(kinds)
    for name, kind in kinds.items():
        assert features.same(feature_of(src[name][0]), kind.feature)
    assert feature_of(src.fixed[:1]) == List(Value("int8"), length=1)
    assert feature_of(src.large[:1]) == LargeList(Value("string"))
    rows = {
        "label": [[0, 1], None],
        "fixed": [[1, 2], None],
        "large": [["a"], []],
        "struct": [[{"a": 1}], [None]],
        "matrix": [[[[1, 2], [3, 4]]], []],
    }
    table = pa.table({name: arrays.from_values(rows[name], features.to_arrow(kinds[name])) for name in rows})
    assert evaluate(src.label[1], table).to_pylist() == [1, None]
    assert evaluate(src.fixed[-1], table).to_pylist() == [2, None]
    assert evaluate(src.fixed[1:], table).to_pylist() == [[2], None]
    assert evaluate(src.large[0], table).to_pylist() == ["a", None]
    assert evaluate(src.struct[0].a, table).to_pylist() == [1, None]
    assert evaluate(src.matrix[0], table).to_pylist() == [[[1, 2], [3, 4]], None]
    assert evaluate(src.matrix[:1], table).to_pylist() == rows["matrix"]
    matrix = evaluate(src.matrix[0], table)
    assert matrix.type == features.to_arrow(kinds["matrix"].feature)
    assert matrix.storage.to_pylist() == [[[1, 2], [3, 4]], None]


def test_elements_of_a_list_that_is_the_same_everywhere():
    table = pa.table({"i": [1, -3, None]})
    src = flow_of(table.schema)
    names = collect([src.i, src.i])
    assert evaluate(names[src.i], table).to_pylist() == [1, None, None]


def test_only_integers_are_places():
    src = flow_of({"x": List(Value("string")), "name": Value("string")})
    with pytest.raises(DefinitionTypeError, match="an integer as 'index'"):
        src.x[src.name]
    with pytest.raises(DefinitionTypeError, match="no step"):
        src.x[::2]
    with pytest.raises(DefinitionTypeError):
        src.x[0.5]
