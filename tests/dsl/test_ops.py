"""Functions on refs: structs put together and reshaped."""

from __future__ import annotations

from typing import NamedTuple

import datasets
import pyarrow as pa
import pytest

from hyped_beam import ops
from hyped_beam.errors import DefinitionError, DefinitionTypeError, UnknownNameError
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.refs import builder_of, edge_of, feature_of
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types.patterns import Int64Column

TABLE = pa.table(
    {
        "n": [1, 2, 3],
        "s": pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}]),
        "text": ["u", None, "v"],
    }
)


class Halves(Processor):
    """A number in two."""

    class Parts(NamedTuple):
        """Both parts."""

        low: Int64Column
        high: Int64Column

    def process(self, number: Int64Column) -> Parts:
        return self.Parts(number, number)


@pytest.fixture
def src():
    return flow_of(TABLE.schema)


def rows(ref):
    found = evaluate(ref, TABLE)
    found.validate(full=True)
    return found.to_pylist()


def node_of(ref):
    return type(builder_of(ref).nodes[edge_of(ref).node].operation).__name__


def test_collect(src):
    assert rows(ops.collect(n=src.n, one=1)) == [{"n": n, "one": 1} for n in (1, 2, 3)]
    assert rows(ops.collect({"n": src.n}, one=1)) == rows(ops.collect(n=src.n, one=1))
    assert rows(ops.collect([src.n, 0])) == [[1, 0], [2, 0], [3, 0]]
    nested = ops.collect({"deep": {"list": [src.n, {"wrong": 1}["wrong"]]}})
    assert rows(nested) == [{"deep": {"list": [n, 1]}} for n in (1, 2, 3)]
    assert ops.collect(src.n) is src.n or rows(ops.collect(src.n)) == [1, 2, 3]


@pytest.mark.parametrize("nothing", [{}, [], None])
def test_collecting_nothing_is_refused(nothing):
    with pytest.raises(DefinitionTypeError, match="empty") as raised:
        ops.collect(nothing)
    assert raised.value.site.file == __file__
    assert "src.text" in raised.value.hint


def test_fields_beside_a_list_are_refused(src):
    with pytest.raises(DefinitionTypeError, match="a mapping, a list, or fields by name"):
        ops.collect([src.n], more=src.n)


def test_with_columns_keeps_places(src):
    changed = ops.with_columns(src, n=src.n + 1, more=src.n)
    assert list(feature_of(changed)) == ["n", "s", "text", "more"]
    assert [row["n"] for row in rows(changed)] == [2, 3, 4]
    assert [row["more"] for row in rows(changed)] == [1, 2, 3]


def test_a_null_struct_stays_null(src):
    assert rows(ops.with_columns(src.s, c=src.n)) == [
        {"a": 1, "b": "x", "c": 1},
        None,
        {"a": None, "b": "y", "c": 3},
    ]
    assert rows(ops.select(src.s, "b")) == [{"b": "x"}, None, {"b": "y"}]
    assert rows(ops.drop(src.s, "b")) == [{"a": 1}, None, {"a": None}]
    assert rows(ops.rename(src.s, a="z")) == [{"z": 1, "b": "x"}, None, {"z": None, "b": "y"}]
    assert rows(ops.with_columns(src.s, c=src.n).c) == [1, None, 3]
    renamed = ops.rename(ops.drop(src.s, "b"), a="z")
    assert rows(ops.is_null(renamed)) == [False, True, False]


def test_a_null_struct_of_a_slice(src):
    found = evaluate(ops.with_columns(src.s, c=src.n), TABLE.slice(1))
    assert found.to_pylist() == [None, {"a": None, "b": "y", "c": 3}]
    assert evaluate(ops.select(src.s, "a"), TABLE.slice(0, 0)).to_pylist() == []


def test_structs_that_are_never_null_cost_nothing(src):
    packed = ops.collect(inner={"n": src.n})
    halves = Halves().call(number=src.n)
    for struct in (src, packed, packed.inner, halves):
        assert node_of(ops.with_columns(struct, more=1)) == "PackStruct"
    nested = ops.collect(inner=src.s).inner
    assert rows(ops.select(nested, "a")) == [{"a": 1}, None, {"a": None}]


def test_select_drop_and_rename(src):
    assert list(feature_of(ops.select(src, "text", "n"))) == ["text", "n"]
    assert list(feature_of(ops.drop(src, "s", "text"))) == ["n"]
    assert list(feature_of(ops.rename(src, {"text": "a text"}, n="m"))) == ["m", "s", "a text"]
    assert list(feature_of(ops.rename(src, n="text", text="n"))) == ["text", "s", "n"]


@pytest.mark.parametrize("function", [ops.select, ops.drop])
def test_unknown_fields_are_named(src, function):
    with pytest.raises(UnknownNameError, match="the struct has no field 'txt'") as raised:
        function(src, "txt")
    assert raised.value.hint == "did you mean 'text'?"


def test_renaming_to_a_name_that_is_taken(src):
    with pytest.raises(UnknownNameError, match="no field 'm'"):
        ops.rename(src, m="n")
    with pytest.raises(DefinitionTypeError, match="two fields would be 'text'"):
        ops.rename(src, n="text")


def test_a_struct_keeps_a_field(src):
    with pytest.raises(DefinitionTypeError, match="needs the name of a field"):
        ops.select(src)
    with pytest.raises(DefinitionTypeError, match="would leave no field"):
        ops.drop(src.s, "a", "b")


@pytest.mark.parametrize("function", [ops.select, ops.drop, ops.rename, ops.with_columns])
def test_only_structs_are_reshaped(src, function):
    with pytest.raises(DefinitionTypeError, match="takes a struct, got int64") as raised:
        function(src.n)
    assert "src_features" in raised.value.hint
    with pytest.raises(DefinitionTypeError, match="takes a ref, got 5"):
        function(5)


def test_feature(src):
    assert ops.feature(src.n) == datasets.Value("int64")
    assert list(ops.feature(src)) == ["n", "s", "text"]
    with pytest.raises(DefinitionTypeError, match="takes a ref"):
        ops.feature("n")


def test_nulls_of_structs(src):
    assert rows(ops.is_null(src.s)) == [False, True, False]
    assert rows(ops.is_not_null(src.s)) == [True, False, True]
    filled = ops.fill_null(src.s, {"a": 0, "b": "none"})
    assert rows(filled) == [{"a": 1, "b": "x"}, {"a": 0, "b": "none"}, {"a": None, "b": "y"}]


def test_choices(src):
    assert rows(ops.if_else(src.n > 1, src.text, "few")) == ["few", None, "v"]
    assert rows(ops.coalesce(src.text, "none")) == ["u", "none", "v"]
    assert rows(ops.is_in(src.n, [1, 3])) == [True, False, True]
    with pytest.raises(DefinitionError, match="at least one"):
        ops.coalesce()


def test_functions_of_any_type(src):
    assert rows(ops.cast(src.n, str)) == ["1", "2", "3"]
    assert rows(ops.format("{}-{t}", src.n, t=src.text)) == ["1-u", None, "3-v"]
    hashes = rows(ops.hash(src.s))
    assert len(set(hashes)) == 3
    assert rows(ops.hash(src.s, seed=1)) != hashes
