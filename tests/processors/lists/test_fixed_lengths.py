"""Lists whose types say how long they are: what keeps the length, and what is refused for it."""

from __future__ import annotations

import datasets
import pyarrow as pa
import pytest

from hyped_beam import ops
from hyped_beam.errors import DefinitionTypeError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types import features

NUMBER = datasets.Value("int64")
PAIRS = datasets.List(datasets.List(NUMBER, length=2), length=3)
VALUES = [[[1, 2], None, [3, None]], None, [[4, 5], [6, 7], [8, 9]]]


def length_of(ref):
    return features.fixed_length(feature_of(ref))


def column(values, feature):
    return pa.table({"x": pa.array([values[0], *values], features.to_arrow(feature)).slice(1)})


def test_flattening_multiplies_lengths_and_counts_inner_nulls():
    table = column(VALUES, PAIRS)
    flat = flow_of({"x": PAIRS}).x.flatten()
    assert length_of(flat) == 6
    assert evaluate(flat, table).type == pa.list_(pa.int64(), 6)
    assert evaluate(flat, table).to_pylist() == [[1, 2, None, None, 3, None], None, [4, 5, 6, 7, 8, 9]]


def test_flattening_with_one_length_known_knows_none():
    inner = datasets.List(datasets.List(NUMBER), length=3)
    flat = flow_of({"x": inner}).x.flatten()
    assert length_of(flat) is None
    assert evaluate(flat, column(VALUES, inner)).to_pylist()[0] == [1, 2, 3, None]


@pytest.mark.parametrize(("start", "stop"), [(0, 2), (1, None), (-2, None), (0, -1), (2, 1), (0, 9), (-9, 1)])
def test_slices(start, stop):
    feature = datasets.List(NUMBER, length=3)
    values = [[1, 2, 3], None, [4, None, 6]]
    cut = flow_of({"x": feature}).x[start:stop]
    assert length_of(cut) == len(range(3)[start:stop])
    expected = [None if value is None else value[start:stop] for value in values]
    assert evaluate(cut, column(values, feature)).to_pylist() == expected


def test_collected_lists_have_as_many_elements_as_were_given():
    table = pa.table({"a": [1, None], "b": [2, 3]})
    src = flow_of(table.schema)
    both = ops.collect([src.a, src.b, 0])
    assert length_of(both) == 3
    assert evaluate(both, table).to_pylist() == [[1, 2, 0], [None, 3, 0]]
    nested = ops.collect([[src.a, src.b], [src.b, src.a]])
    assert length_of(nested.flatten()) == 4
    assert evaluate(nested.flatten(), table).to_pylist() == [[1, 2, 2, 1], [None, 3, 3, None]]


def test_what_stands_beside_lists_of_one_length_keeps_it():
    feature = {"x": datasets.List(NUMBER, length=2), "y": datasets.List(datasets.Value("int8"), length=2)}
    src = flow_of(feature)
    assert length_of(ops.coalesce(src.x, src.y)) == 2
    assert length_of(ops.coalesce(src.x, [0, 0])) == 2
    assert length_of(ops.coalesce(src.x, [0])) is None
    assert length_of(src.x.sort()) == 2
    assert length_of(src.y.index(src.x)) == 2
    assert length_of(src.x.unique()) is None
    table = pa.table({"x": [[2, 1], None], "y": [[1, 1], [2, 1]]}, schema=features.arrow_schema(feature))
    assert evaluate(src.y.index(src.x), table).to_pylist() == [[None, 0], None]
    assert evaluate(ops.coalesce(src.x, src.y), table).to_pylist() == [[2, 1], [2, 1]]
    assert evaluate(ops.coalesce(src.x, [0, 0]), table).to_pylist() == [[2, 1], [0, 0]]
    assert evaluate(ops.coalesce(src.x, [0]), table).to_pylist() == [[2, 1], [0]]


def test_lists_of_different_lengths_are_not_zipped():
    src = flow_of(
        {
            "x": datasets.List(NUMBER, length=2),
            "y": datasets.List(NUMBER, length=3),
            "z": datasets.List(NUMBER),
        }
    )
    with pytest.raises(DefinitionTypeError, match="'x' has 2 elements in each row, 'y' 3") as error:
        ops.explode({"x": src.x, "z": src.z, "y": src.y})
    assert error.value.site.file == __file__
    ops.explode({"x": src.x, "y": src.y[:2], "z": src.z})
