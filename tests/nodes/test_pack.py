"""Refs and constants put together to lists and structs, in each row."""

from __future__ import annotations

import datasets
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionTypeError
from hyped_beam.nodes.pack import pack
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types import arrays

VALUES = {
    pa.int32(): st.integers(-9, 9),
    pa.float64(): st.floats(-9, 9),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(max_size=3),
    pa.large_string(): st.text(max_size=3),
    pa.list_(pa.int64()): st.lists(st.none() | st.integers(0, 3), max_size=3),
    pa.struct([("a", pa.int8()), ("b", pa.string())]): st.fixed_dictionaries(
        {"a": st.none() | st.integers(0, 3), "b": st.none() | st.text(max_size=2)}
    ),
    pa.timestamp("us"): st.datetimes(),
}


@pytest.mark.parametrize("kind", VALUES, ids=str)
@given(data=st.data())
def test_lists_hold_their_items_in_each_row(kind, data):
    value = st.none() | VALUES[kind]
    rows = data.draw(st.lists(st.tuples(value, value), max_size=6))
    columns = [pa.array([None, *(row[number] for row in rows)], kind).slice(1) for number in range(2)]
    table = pa.table(columns, names=["a", "b"])
    src = flow_of(table.schema)
    found = evaluate(pack([src.a, src.b, src.a]), table)
    found.validate(full=True)
    assert found.to_pylist() == [[a, b, a] for a, b in rows]


@given(
    st.lists(st.none() | st.text(max_size=3), max_size=5),
    st.lists(st.none() | st.text(max_size=3), min_size=1, max_size=3),
)
def test_constants_stand_beside_columns(column, constants):
    table = pa.table({"x": pa.array(column, pa.string())})
    src = flow_of(table.schema)
    found = evaluate(pack([*constants, src.x, *constants]), table)
    assert found.type == pa.list_(pa.string(), 2 * len(constants) + 1)
    assert found.to_pylist() == [[*constants, value, *constants] for value in column]


def test_constants_take_the_type_of_the_columns():
    table = pa.table({"n": pa.array([1, None], pa.int16())})
    src = flow_of(table.schema)
    assert feature_of(pack([src.n, 1])) == datasets.List(datasets.Value("int16"), length=2)
    assert evaluate(pack([0, src.n, None]), table).to_pylist() == [[0, 1, None], [0, None, None]]
    assert evaluate(pack([0.5, src.n]), table).to_pylist() == [[0.5, 1.0], [0.5, None]]
    with pytest.raises(DefinitionTypeError, match="string and int16 have no type in common"):
        pack(["a", src.n])


def test_structs_and_nested_lists_beside_constants():
    table = pa.table({"n": [1, 2]})
    src = flow_of(table.schema)
    found = evaluate(pack([{"k": src.n}, {"k": 0}]), table)
    assert found.to_pylist() == [[{"k": 1}, {"k": 0}], [{"k": 2}, {"k": 0}]]
    assert evaluate(pack([[src.n], [5, 6]]), table).to_pylist() == [[[1], [5, 6]], [[2], [5, 6]]]


def test_extension_types():
    feature = datasets.Array2D((1, 2), "int32")
    described = datasets.Features({"x": feature, "y": feature})
    kind = described.arrow_schema.field("x").type
    table = pa.table(
        {
            "x": arrays.from_values([[[1, 2]], None], kind),
            "y": arrays.from_values([[[3, 4]], [[5, 6]]], kind),
        }
    )
    src = flow_of(described)
    found = evaluate(pack([src.x, src.y]), table)
    assert found.type.value_type == kind
    assert found.values.storage.to_pylist() == [[[1, 2]], [[3, 4]], None, [[5, 6]]]


@pytest.mark.parametrize(("empty", "kind"), [({}, "struct"), ([], "list"), ((), "list")])
def test_nothing_is_refused(empty, kind):
    with pytest.raises(DefinitionTypeError, match=f"an empty {kind} .* no ref") as raised:
        pack(empty)
    assert "src.text" in raised.value.hint


@pytest.mark.parametrize("constant", [5, {"a": 1}, [None], "text"])
def test_constants_alone_are_refused(constant):
    with pytest.raises(DefinitionTypeError, match="there is no ref in"):
        pack(constant)


@pytest.mark.parametrize("name", [1, "", None, "a\0b"])
def test_fields_have_names(name):
    src = flow_of({"n": datasets.Value("int64")})
    with pytest.raises(DefinitionTypeError, match="is no name of a field"):
        pack({name: src.n})
