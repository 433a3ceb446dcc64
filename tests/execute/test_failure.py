"""From an exception to the row at fault: which row, shown how."""

from __future__ import annotations

import pickle
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam import DataFlow, NodeError, Processor
from hyped_beam.errors import DefinitionError
from hyped_beam.execute.failure import LINE, find_row, row_line
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types.patterns import Int64Column


@given(st.sets(st.integers(0, 40)), st.integers(0, 41))
def test_the_first_bad_row_is_found_by_halving(bad: set[int], rows: int):
    runs = 0

    def run(inputs: Any, length: int) -> None:
        nonlocal runs
        runs += 1
        assert len(inputs["n"]) == length
        if bad & set(inputs["n"].to_pylist()):
            raise ValueError

    found = find_row(run, {"n": pa.array(range(rows))}, rows)
    assert found == min((row for row in bad if row < rows), default=None)
    assert runs <= 8


def test_no_row_is_at_fault_where_each_alone_passes():
    def run(inputs: Any, length: int) -> None:
        if length > 2:
            raise MemoryError

    assert find_row(run, {"n": pa.array(range(20))}, 20) is None


@pytest.mark.parametrize(
    "value",
    ["x" * 5000, "a\nb\tc\r\n" * 50, list(range(3000)), {"k": "v" * 900}, b"\x00" * 999, None],
    ids=["text", "lines", "list", "struct", "bytes", "null"],
)
def test_a_row_is_shown_on_one_line_of_bounded_length(value: Any):
    shown = row_line({"first": pa.array([1, 2]), "second": pa.array([None, value])}, 1)
    assert shown.startswith("first=2, second=")
    assert len(shown.splitlines()) == 1
    assert len(shown) <= LINE + 50


def test_constants_and_structs_of_columns_are_shown_too():
    inputs = {"a": pa.scalar("same"), "b": {"x": pa.array([1, 2]), "y": pa.scalar(3)}}
    assert row_line(inputs, 1) == "a='same', b={'x': 2, 'y': 3}"


class Fails(Processor):
    at: int

    def process(self, n: Int64Column) -> Int64Column:
        if self.at in n.to_pylist():
            raise ZeroDivisionError(self.at)
        return n


TABLE = pa.table({"n": range(100)})


def test_the_error_holds_all_that_one_needs():
    ref = Fails(at=57).call(flow_of(TABLE.schema).n)
    with pytest.raises(NodeError) as caught:
        evaluate(ref, TABLE)
    error = caught.value
    assert (error.node, error.row, error.values, error.cause) == (
        "fails",
        57,
        "n=57",
        "ZeroDivisionError: 57",
    )
    assert "raise ZeroDivisionError(self.at)" in error.trace
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert error.site is not None
    assert error.site.file == __file__
    there = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert str(there) == str(error)
    assert (there.row, there.trace, there.site) == (57, error.trace, error.site)


def test_the_first_row_is_named_of_several_nodes_by_the_order_of_the_program():
    src = flow_of(TABLE.schema)
    with pytest.raises(NodeError, match="row 30"):
        evaluate(Fails(at=5).call(Fails(at=30).call(src.n)), TABLE)


def test_a_hint_of_what_was_raised_is_passed_on():
    class Hints(Processor):
        def process_row(self, n: int) -> int:
            raise DefinitionError("no such word", hint="look it up")

    with pytest.raises(NodeError, match="hint: look it up"):
        evaluate(Hints().call(flow_of(TABLE.schema).n), TABLE)


@pytest.mark.parametrize("batch_size", [None, 1, 7])
def test_the_index_of_a_batch_gives_the_row_its_number(batch_size: int | None):
    flow = DataFlow(features=TABLE.schema)
    node = Fails(at=57).options(batch_size=batch_size)
    built, _ = flow.build(collect={"n": node.call(flow.src_features.n)})
    with pytest.raises(NodeError, match="at row 1057"):
        built.batch_process(TABLE, index=range(1000, 1100))
    with pytest.raises(NodeError, match="at row 57"):
        built.batch_process(TABLE)
