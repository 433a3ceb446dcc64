"""Calls: names, types, constants and flows are checked on the line that writes them."""

from __future__ import annotations

import datetime
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from hyped_beam import DataFlow, Processor, processor
from hyped_beam.aggregators import Count
from hyped_beam.errors import DefinitionError, DefinitionTypeError, UnknownNameError
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types.patterns import AnyColumn, Int64Column, StringColumn

TABLE = pa.table({"text": ["a", None], "n": [1, 2], "inner": [{"x": 1, "label": "l"}] * 2})
SRC = flow_of(TABLE.schema)


class Join(Processor):
    def process(self, left: StringColumn, right: StringColumn) -> StringColumn:
        return pc.binary_join_element_wise(left, right, "-")


@processor
def show(value: object) -> str:
    return repr(value)


def test_a_node_with_one_input_takes_it_by_position():
    assert evaluate(show.call(SRC.n), TABLE).to_pylist() == ["1", "2"]
    with pytest.raises(DefinitionTypeError, match="takes its inputs by name") as caught:
        Join().call(SRC.text, SRC.text)
    assert caught.value.hint == "write .call(left=..., right=...)"
    with pytest.raises(DefinitionTypeError, match="got the input 'value' twice"):
        show.call(SRC.n, value=SRC.n)


def test_names_of_inputs_are_checked():
    with pytest.raises(UnknownNameError, match="has no input 'rigth'") as caught:
        Join().call(left=SRC.text, rigth=SRC.text)
    assert caught.value.hint == "did you mean 'right'?"
    with pytest.raises(DefinitionTypeError, match="Join needs the input 'right'"):
        Join().call(left=SRC.text)


def test_the_line_of_the_call_is_named():
    with pytest.raises(DefinitionTypeError) as caught:
        Join().call(left=SRC.n, right=SRC.text)  # this line
    site = caught.value.site
    assert site is not None
    assert Path(site.file).read_text(encoding="utf-8").splitlines()[site.line - 1].endswith("# this line")


@pytest.mark.parametrize(
    "literal",
    [
        1,
        -(2**60),
        1.5,
        "x",
        b"x",
        True,
        datetime.date(2020, 1, 2),
        datetime.timedelta(seconds=3),
        [1, 2],
        {"a": [1]},
    ],
    ids=repr,
)
def test_constants_are_the_same_in_every_row(literal: object):
    assert evaluate(_beside(literal), TABLE).to_pylist() == [repr(literal)] * 2


def _beside(literal: object):
    class Both(Processor):
        def process_row(self, value: object, beside: int) -> str:
            return repr(value)

    return Both().call(value=literal, beside=SRC.n)


def test_what_is_no_value_is_refused():
    with pytest.raises(DefinitionTypeError, match="is no value of the flow") as caught:
        show.call(SRC.text.lower)
    assert "call a method with ()" in str(caught.value)
    with pytest.raises(DefinitionTypeError, match="is no constant"):
        _beside(object())
    with pytest.raises(DefinitionTypeError, match="needs at least one ref"):
        show.call(3)


def test_a_literal_that_holds_refs_is_a_struct_or_a_list():
    made = show.call({"a": SRC.n, "b": [SRC.n, 7]})
    assert evaluate(made, TABLE).to_pylist() == ["{'a': 1, 'b': [1, 7]}", "{'a': 2, 'b': [2, 7]}"]


def test_refs_of_two_flows_do_not_meet():
    other = flow_of(TABLE.schema)
    with pytest.raises(DefinitionError, match="the inputs of Join come from different flows"):
        Join().call(left=SRC.text, right=other.text)


def test_a_struct_given_for_one_of_its_fields_is_answered_with_the_fields_that_fit():
    @processor
    def number(x: int) -> int:
        return x

    with pytest.raises(DefinitionTypeError, match="takes an integer as 'x'") as caught:
        number.call(SRC.inner)
    assert caught.value.hint == "give one of its fields: x"


def test_every_type_is_told_apart():
    class Exact(Processor):
        def process(self, value: Int64Column) -> Int64Column:
            return value

    with pytest.raises(DefinitionTypeError, match="Exact takes int64 as 'value', got int32"):
        Exact().call(flow_of({"a": datasets.Value("int32")}).a)


def test_nulls_without_a_type_get_the_one_that_is_taken():
    table = pa.table({"nothing": pa.nulls(2)})
    src = flow_of(table.schema)
    assert evaluate(Join().call(left=src.nothing, right="a"), table).equals(pa.nulls(2, pa.string()))


def test_values_of_the_whole_dataset_are_refused_at_rows_with_the_way_out():
    flow = DataFlow(features=TABLE.schema)
    src = flow.src_features
    count = Count().call(src.n)
    with pytest.raises(
        DefinitionError, match=r"the rows need 'count' of all rows .*, and a batch sees only some"
    ):
        flow.batch_process(TABLE, collect={"share": src.n / count})


def test_a_scalar_input_comes_as_a_column_unless_the_node_says_otherwise():
    kinds: list[list[bool]] = []

    class Columns(Processor):
        def process(self, left: AnyColumn, right: AnyColumn) -> Int64Column:
            kinds.append([isinstance(left, pa.Scalar), isinstance(right, pa.Scalar)])
            return pc.add(left, right)

    class Scalars(Columns):
        accepts_scalars = True

    for node in (Columns(), Scalars()):
        assert evaluate(node.call(left=SRC.n, right=5), TABLE).to_pylist() == [6, 7]
    assert kinds == [[False, False], [False, True]]
