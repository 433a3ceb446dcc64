"""`index`: the place of a value, or of each value of a list, in a list."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionTypeError
from hyped_beam.testing import evaluate, flow_of

WORD = st.none() | st.sampled_from("abc")
LIST = st.none() | st.lists(WORD, max_size=4)


def place(items: Any, value: Any, default: int | None) -> int | None:
    if items is None or value is None:
        return None
    return items.index(value) if value in items else default


@given(st.lists(st.tuples(LIST, WORD, LIST), max_size=8), st.sampled_from([None, -1]))
def test_of_each_row(rows, default):
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    kinds = [pa.list_(pa.string()), pa.string(), pa.list_(pa.string())]
    arrays = [pa.array([None, *column], kind).slice(1) for column, kind in zip(columns, kinds, strict=True)]
    table = pa.table(arrays, ["items", "one", "many"])
    src = flow_of(table.schema)
    ones = evaluate(src["items"].index(src.one, default=default), table).to_pylist()
    assert ones == [place(items, one, default) for items, one, _ in rows]
    many = evaluate(src["items"].index(src.many, default=default), table).to_pylist()
    assert many == [
        None if items is None or values is None else [place(items, value, default) for value in values]
        for items, _, values in rows
    ]


@given(st.lists(WORD, max_size=6), st.lists(st.tuples(WORD, LIST), max_size=8), st.sampled_from([None, 7]))
def test_in_one_list_for_all_rows(items, rows, default):
    from hyped_beam.processors.lists.indexing import ListIndex

    def found(values, kind, output):
        node = ListIndex(default=default).runtime_copy(output)
        vocabulary = pa.scalar(items, pa.list_(pa.string()))
        return node.process(vocabulary, pa.array(values, kind)).to_pylist()

    ones, many = [one for one, _ in rows], [values for _, values in rows]
    assert found(ones, pa.string(), pa.int64()) == [place(items, one, default) for one in ones]
    assert found(many, pa.list_(pa.string()), pa.list_(pa.int64())) == [
        None if values is None else [place(items, value, default) for value in values] for values in many
    ]


def test_numbers_are_compared_as_numbers_and_nan_is_found():
    table = pa.table(
        {"items": [[1.0, math.nan, -0.0]] * 4, "n": [1, 0, 2, None], "f": [math.nan, 0.0, 1.0, 5.0]}
    )
    src = flow_of(table.schema)
    assert evaluate(src["items"].index(src.n), table).to_pylist() == [0, 2, None, None]
    assert evaluate(src["items"].index(src.f), table).to_pylist() == [1, 2, 0, None]
    assert evaluate(src["items"].index(1), table).to_pylist() == [0] * 4


def test_what_can_never_be_found_is_refused():
    src = flow_of({"words": pa.list_(pa.string()), "n": "int64"})
    with pytest.raises(DefinitionTypeError, match="list<string> never contains int64"):
        src.words.index(src.n)
