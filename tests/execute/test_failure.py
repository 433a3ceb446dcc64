"""From an exception to the row at fault: which row, shown how."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam import Aggregator, Augmentor, DataFlow, Groups, Limits, NodeError, Processor, Rows
from hyped_beam.errors import DefinitionError
from hyped_beam.execute.failure import LINE, find_row, row_line
from hyped_beam.testing import aggregate, evaluate, flow_of
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

    found = find_row(run, {"n": pa.array(range(rows))}, rows, ValueError())
    first = min((row for row in bad if row < rows), default=None)
    assert (None if found is None else found[0]) == first
    assert runs <= 8


def test_no_row_is_at_fault_where_each_alone_passes():
    def run(inputs: Any, length: int) -> None:
        if length > 2:
            raise MemoryError

    assert find_row(run, {"n": pa.array(range(20))}, 20, MemoryError()) is None


def test_a_row_that_fails_in_another_way_is_not_at_fault():
    def run(inputs: Any, length: int) -> None:
        if length > 1:
            raise MemoryError
        raise KeyError

    assert find_row(run, {"n": pa.array(range(20))}, 20, MemoryError()) is None


def columns_node(
    returned: Callable[[pa.Array], Any], *, is_async: bool = False, limits: Limits | None = None
) -> Any:
    class Sync(Processor):
        def process(self, n: Int64Column) -> Int64Column:
            return returned(n)

    class Async(Processor):
        async def process(self, n: Int64Column) -> Int64Column:
            return returned(n)

    return (Async() if is_async else Sync()).options(name="node", limits=limits or Limits())


WAYS = [(False, None), (False, Limits(concurrency=2)), (True, None)]


@pytest.mark.parametrize(("is_async", "limits"), WAYS, ids=["sync", "threads", "async"])
@pytest.mark.parametrize(
    ("returned", "cause", "row"),
    [
        (lambda _: pa.array(["a", "b", "c"]), "TypeError: returned string, where int64 is declared", None),
        (lambda _: pa.array([1, 2, 3, 4]), "ValueError: returned 4 rows for 3", None),
        (lambda n: n[:2], "ValueError: returned 2 rows for 3", None),
        (lambda n: n.filter(pc.not_equal(n, 1)), "ValueError: returned 2 rows for 3", 1),
        (lambda n: n.cast("string"), "TypeError: returned string, where int64 is declared", 0),
        (lambda _: 7, "TypeError: returned int, where a column of int64 is declared", 0),
        (
            lambda n: [None if one == 1 else "x" * (one == 2) or one for one in n.to_pylist()],
            "TypeError: returned list that is not a column of int64: Could not convert 'x'",
            2,
        ),
    ],
    ids=[
        "always three texts",
        "always four",
        "shorter",
        "drops a row",
        "all of another type",
        "no column",
        "one row",
    ],
)
def test_what_was_returned_for_the_batch_is_told_and_a_row_only_if_it_fails_so_alone(
    is_async: bool, limits: Limits | None, returned: Callable[[pa.Array], Any], cause: str, row: int | None
):
    ref = columns_node(returned, is_async=is_async, limits=limits).call(flow_of(TABLE.schema).n)
    with pytest.raises(NodeError) as caught:
        evaluate(ref, TABLE[:3])
    assert caught.value.cause.startswith(cause)
    assert caught.value.row == row


def test_what_an_augmentor_or_an_aggregator_returns_is_told_of_the_batch():
    class Three(Augmentor):
        def process(self, n: Int64Column) -> Rows:
            return Rows(pa.array([0, 1, 2]))  # whatever it is given

    class Wrong(Aggregator):
        class State(NamedTuple):
            total: Int64Column

        def update(self, n: Int64Column, by: Groups) -> State:
            return self.State(pa.array(["a", "b"]))

        def merge(self, state: State, by: Groups) -> State:
            return state

        def finish(self, state: State) -> Int64Column:
            return state.total

    src = flow_of(TABLE.schema)
    with pytest.raises(
        NodeError, match="ValueError: returned a parent that is no row of the batch"
    ) as caught:
        evaluate(Three().call(src.n), TABLE[:2])
    assert "of 2 rows" in caught.value.cause
    with pytest.raises(NodeError, match=r"failed.*: TypeError: state 'total': returned string, where int64"):
        aggregate(Wrong().call(src.n), TABLE[:3])


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
