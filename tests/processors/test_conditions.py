"""Choices by condition, and nulls."""

from __future__ import annotations

import datetime
import decimal
import math

import datasets
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.refs import feature_of
from hyped_beam.processors.conditions import Coalesce, IfElse
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types.patterns import IntegerColumn, ListColumn, StringColumn

LABELS = datasets.ClassLabel(names=["ham", "spam"])


def if_else(condition, then, otherwise):
    return IfElse().call(condition=condition, then=then, otherwise=otherwise)


def coalesce(*values):
    return Coalesce().call(**{str(number): value for number, value in enumerate(values)})


@given(
    st.lists(
        st.tuples(st.none() | st.booleans(), st.none() | st.integers(-9, 9), st.none() | st.floats(-9, 9))
    )
)
def test_a_null_condition_is_not_true(rows):
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    table = pa.table(
        {
            name: pa.array(column, kind)
            for name, column, kind in zip("cab", columns, (pa.bool_(), pa.int64(), pa.float64()), strict=True)
        }
    )
    src = flow_of(table.schema)
    result = evaluate(if_else(src.c, src.a, src.b), table)
    assert result.type == pa.float64()
    assert result.to_pylist() == [a if c else b for c, a, b in rows]


def test_constants_are_branches():
    table = pa.table({"c": [True, False, None], "x": pa.array([1, 2, 3], pa.int32())})
    src = flow_of(table.schema)
    assert evaluate(if_else(src.c, "yes", "no"), table).to_pylist() == ["yes", "no", "no"]
    assert evaluate(if_else(src.c, None, src.x), table).to_pylist() == [None, 2, 3]
    assert evaluate(if_else(src.c, src.x, 0), table).to_pylist() == [1, 0, 0]
    assert feature_of(if_else(src.c, src.x, 0)).dtype == "int32"
    assert feature_of(if_else(src.c, 1.5, src.x)).dtype == "float64"
    assert evaluate(if_else(True, src.x, 0), table).to_pylist() == [1, 2, 3]
    assert evaluate(if_else(None, src.x, 0), table).to_pylist() == [0, 0, 0]


def test_branches_keep_their_feature():
    src = flow_of({"c": datasets.Value("bool"), "label": LABELS, "image": datasets.Array2D((1, 2), "int32")})
    assert feature_of(if_else(src.c, src.label, None)) == LABELS
    assert feature_of(if_else(src.c, src.label, "spam")) == LABELS
    schema = datasets.Features({"c": datasets.Value("bool"), "image": datasets.Array2D((1, 2), "int32")})
    table = pa.table({"c": [True, None]}).append_column(
        "image",
        pa.ExtensionArray.from_storage(
            schema.arrow_schema.field("image").type,
            pa.array([[[1, 2]], [[3, 4]]], pa.list_(pa.list_(pa.int32()))),
        ),
    )
    src = flow_of(schema)
    result = evaluate(if_else(src.c, src.image, None), table)
    assert result.type == table.schema.field("image").type
    assert result.is_valid().to_pylist() == [True, False]
    assert evaluate(src.image.is_null(), table).to_pylist() == [False, False]
    assert evaluate(coalesce(None, src.image), table).type == result.type


def test_nested_values_are_chosen_and_filled():
    table = pa.table({"c": [True, False, None], "x": [{"a": [1]}, None, {"a": None}], "l": [[1], None, []]})
    src = flow_of(table.schema)
    assert evaluate(if_else(src.c, src.x, None), table).to_pylist() == [{"a": [1]}, None, None]
    assert evaluate(src.l.fill_null([0]), table).to_pylist() == [[1], [0], []]
    assert evaluate(coalesce(src.x, {"a": [7]}), table).to_pylist() == [{"a": [1]}, {"a": [7]}, {"a": None}]


def test_branches_of_no_common_type_are_refused():
    src = flow_of({"c": datasets.Value("bool"), "x": datasets.Value("int64"), "n": datasets.Value("int64")})
    with pytest.raises(DefinitionError, match="IfElse: int64 and string have no type in common") as raised:
        if_else(src.c, src.x, "none")
    assert '.cast("string")' in raised.value.hint
    with pytest.raises(DefinitionError, match="takes bool as 'condition', got int64") as raised:
        if_else(src.x, 1, 2)
    assert '.cast("bool")' in raised.value.hint


def test_coalesce_takes_the_first_that_is_not_null():
    table = pa.table({"a": pa.array([1, None, None], pa.int8()), "b": [None, 2.5, None]})
    src = flow_of(table.schema)
    assert evaluate(coalesce(src.a, src.b), table).to_pylist() == [1.0, 2.5, None]
    assert evaluate(coalesce(src.a, src.b, 0), table).to_pylist() == [1.0, 2.5, 0.0]
    assert evaluate(coalesce(src.a), table).to_pylist() == [1, None, None]
    assert feature_of(coalesce(src.a, 0)).dtype == "int8"


def test_nulls_are_seen_and_filled():
    table = pa.table({"x": [1, None, 3], "f": [math.nan, None, 1.0], "t": ["a", None, ""], "n": pa.nulls(3)})
    src = flow_of(table.schema)
    assert evaluate(src.x.is_null(), table).to_pylist() == [False, True, False]
    assert evaluate(src.f.is_null(), table).to_pylist() == [False, True, False]
    assert evaluate(src.n.is_null(), table).to_pylist() == [True, True, True]
    assert evaluate(src.t.is_not_null(), table.slice(1)).to_pylist() == [False, True]
    assert evaluate(src.f.is_nan(), table).to_pylist() == [True, None, False]
    assert evaluate(src.x.is_nan(), table).to_pylist() == [False, None, False]
    assert evaluate(src.x.fill_null(0), table).to_pylist() == [1, 0, 3]
    assert evaluate(src.x.fill_null(0.5), table).to_pylist() == [1.0, 0.5, 3.0]
    assert evaluate(src.t.fill_null("?"), table).to_pylist() == ["a", "?", ""]
    assert evaluate(src.n.fill_null(1), table).to_pylist() == [1, 1, 1]
    assert evaluate(src.x.fill_null(src.f), table).to_pylist()[1] is None


def test_labels_are_filled_by_name():
    src = flow_of({"label": LABELS})
    table = pa.table({"label": pa.array([0, None], pa.int64())})
    filled = src.label.fill_null("spam")
    assert feature_of(filled) == LABELS
    assert evaluate(filled, table).to_pylist() == [0, 1]
    with pytest.raises(DefinitionError, match="no label 'eggs'"):
        src.label.fill_null("eggs")


MEMBERS = [
    (pa.int32(), [1, 2, None], [2, 7]),
    (pa.float64(), [0.0, math.nan, None, 1.5], [-0.0, math.nan]),
    (pa.float16(), [0.5, None], [0.5]),
    (pa.string(), ["a", "b", None], ["b", "c"]),
    (pa.large_string(), ["a", None], ["a"]),
    (pa.binary(1), [b"a", None], [b"a"]),
    (pa.bool_(), [True, False], [True]),
    (pa.date32(), [datetime.date(2024, 1, 1), None], [datetime.date(2024, 1, 1)]),
    (pa.timestamp("s"), [datetime.datetime(2024, 1, 1)], [datetime.datetime(2024, 1, 1)]),  # noqa: DTZ001 - no zone
    (pa.decimal128(5, 2), [decimal.Decimal("1.50"), None], [decimal.Decimal("1.5")]),
    (pa.uint64(), [2**64 - 1, 1], [2**64 - 1]),
    (pa.int8(), [1, 2], [300, 1]),
    (pa.int8(), [1, 2], [1.0, 2.5]),
]


@pytest.mark.parametrize(
    ("kind", "values", "members"), MEMBERS, ids=[str(number) for number in range(len(MEMBERS))]
)
def test_is_in_finds_members(kind, values, members):
    table = pa.table({"x": pa.array(values, kind)})

    def found(value):
        return any(value == member or (value != value and member != member) for member in members)  # noqa: PLR0124 - NaN

    expected = [None if value is None else found(value) for value in values]
    src = flow_of(table.schema)
    assert evaluate(src.x.is_in(members), table).to_pylist() == expected
    assert evaluate(src.x.is_in([*members, None]), table).to_pylist() == expected
    assert evaluate(src.x.is_in(tuple(members)), table.slice(1)).to_pylist() == expected[1:]
    assert evaluate(src.x.is_in([]), table).to_pylist() == [
        None if value is None else False for value in values
    ]


def test_each_row_may_have_its_own_list():
    table = pa.table({"x": [1, 2, None, 4, 5], "l": [[1.0, 2.0], [3.0], [1.0], None, [None, 5.0]]})
    src = flow_of(table.schema)
    assert evaluate(src.x.is_in(src.l), table).to_pylist() == [True, False, None, None, True]
    assert evaluate(src.x.is_in([src.x, 7]), table).to_pylist() == [True, True, None, True, True]
    assert evaluate(src.x.is_in(src.l), table.slice(1, 1)).to_pylist() == [False]


def test_labels_are_members_by_name():
    src = flow_of({"label": LABELS})
    table = pa.table({"label": [0, 1, None]})
    assert evaluate(src.label.is_in(["spam"]), table).to_pylist() == [False, True, None]
    assert evaluate(src.label.is_in([0]), table).to_pylist() == [True, False, None]
    with pytest.raises(DefinitionError, match="no label 'spamm'") as raised:
        src.label.is_in(["ham", "spamm"])
    assert "did you mean 'spam'?" in raised.value.hint


def test_wrong_members_are_refused():
    src = flow_of({"x": datasets.Value("int64")})
    with pytest.raises(DefinitionError, match="int64 is never one of string") as raised:
        src.x.is_in(["1"])
    assert "cast" in raised.value.hint
    with pytest.raises(DefinitionError, match="takes a list as 'values', got int64"):
        src.x.is_in(1)


def test_literals_beside_labels_are_only_labels_where_they_meet():
    from hyped_beam.nodes.pack import pack

    src = flow_of({"label": LABELS, "x": datasets.Value("int8")})
    packed = feature_of(pack({"label": src.label, "kind": "mail", "x": src.x, "one": 1}))
    assert packed["kind"].dtype == "string"
    assert packed["one"].dtype == "int64"

    class Ask(Processor):
        def process(self, label: IntegerColumn, question: StringColumn, answers: ListColumn) -> StringColumn:
            return question

    table = pa.table({"label": [1], "x": pa.array([1], pa.int8())})
    asked = Ask().call(label=src.label, question="which?", answers=["eggs"])
    assert evaluate(asked, table).to_pylist() == ["which?"]
