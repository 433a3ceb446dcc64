"""Aggregators of one's own."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from hyped_beam import Aggregator, DataFlow, Groups, NodeError
from hyped_beam.errors import DefinitionError, DefinitionTypeError
from hyped_beam.testing import aggregate, flow_of
from hyped_beam.types.patterns import Float64Column, Int64Column, StringColumn

TABLE = pa.table({"text": ["a", "bcd", None, ""], "n": [1.0, 2.0, 3.0, 4.0]})
SRC = flow_of(TABLE.schema)


class Lengths(NamedTuple):
    count: Int64Column
    mean: Float64Column


class Longest(Aggregator):
    """The longest text of at least a length, and how many there are; the first of several."""

    at_least: int = 0

    class State(NamedTuple):
        text: StringColumn
        count: Int64Column

    class Value(NamedTuple):
        text: StringColumn
        count: Int64Column

    def update(self, text: StringColumn, by: Groups) -> State:
        long = pc.if_else(pc.greater_equal(pc.utf8_length(text), self.at_least), text, None)
        return self.State(self._longest(long, by), by.count(long))

    def merge(self, state: State, by: Groups) -> State:
        return self.State(self._longest(state.text, by), by.sum(state.count))

    def finish(self, state: State) -> Value:
        return self.Value(state.text, state.count)

    @staticmethod
    def _longest(text: pa.Array, by: Groups) -> pa.Array:
        lengths = pc.utf8_length(text)
        best = pc.equal(lengths, by.max(lengths).take(by.ids))
        return by.first(pc.if_else(best, text, None))


def test_a_value_of_several_fields_computed_over_batches():
    ref = Longest(at_least=1).call(SRC.text)
    parts = pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1, 2), TABLE.slice(3)])
    assert aggregate(ref, TABLE) == aggregate(ref, parts) == {"text": "bcd", "count": 2}
    assert aggregate(ref.count, TABLE) == 2


def test_values_are_computed_further():
    longest = Longest().call(SRC.text)
    assert aggregate(longest.text.upper() + "!", TABLE) == "BCD!"


def test_no_rows_have_a_value_too():
    assert aggregate(Longest().call(SRC.text), TABLE.slice(0, 0)) == {"text": None, "count": 0}


def test_what_it_takes_is_checked_where_it_is_called():
    with pytest.raises(DefinitionTypeError, match="Longest takes a string as 'text', got float64"):
        Longest().call(SRC.n)
    with pytest.raises(DefinitionError, match="at_least"):
        Longest(at_least="x")  # type: ignore[arg-type]


def test_a_missing_function_is_said():
    class Half(Aggregator):
        class State(NamedTuple):
            n: Int64Column

        def update(self, text: StringColumn, by: Groups) -> State:
            return self.State(by.count(text))

    with pytest.raises(DefinitionTypeError, match="Half has no `merge`\n  hint: write def merge"):
        Half().call(SRC.text)


class Strict(Aggregator):
    class State(NamedTuple):
        n: Int64Column

    def update(self, text: StringColumn, by: Groups) -> State:
        if pc.any(pc.equal(text, "")).as_py():
            msg = "an empty text"
            raise ValueError(msg)
        return self.State(by.count(text))

    def merge(self, state: State, by: Groups) -> State:
        return self.State(by.sum(state.n))

    def finish(self, state: State) -> Int64Column:
        return state.n


def test_an_error_names_the_row():
    flow = DataFlow(features=TABLE.schema)
    built, _ = flow.build(aggregators={"n": Strict().call(flow.src_features.text)})
    with pytest.raises(
        NodeError, match="node 'strict' failed at row 43: ValueError: an empty text"
    ) as caught:
        built.batch_process(TABLE, index=range(40, 44))
    assert caught.value.values == "text=''"
    assert caught.value.site is not None
    assert caught.value.site.file == __file__


def test_a_state_of_the_wrong_size_is_an_error():
    class TooMany(Strict):
        def update(self, text: StringColumn, by: Groups) -> Strict.State:
            return self.State(pc.utf8_length(text))

    with pytest.raises(NodeError, match="state 'n' has 4 rows for 1 groups"):
        aggregate(TooMany().call(SRC.text), TABLE)


class NoGroups(Strict):
    def update(self, text: StringColumn, groups: Groups) -> Strict.State:  # not called `by`
        return self.State(groups.count(text))


class NoState(Strict):
    def update(self, text: StringColumn, by: Groups) -> Strict.State:
        return by.count(text)


class OtherType(Strict):
    def update(self, text: StringColumn, by: Groups) -> Strict.State:
        return self.State(pc.cast(by.count(text), pa.float64()))


class OneScalar(Strict):
    def update(self, text: StringColumn, by: Groups) -> Strict.State:
        return self.State(pc.sum(by.count(text)))


class OneNumber(Strict):
    def update(self, text: StringColumn, by: Groups) -> Strict.State:
        return self.State(len(text))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            OneScalar,
            "state 'n' is of type Int64Scalar, where an array of int64 is due with a row for each group",
        ),
        (OneNumber, "state 'n' is of type int, where an array of int64 is due with a row for each group"),
        (NoGroups, "`update` takes no groups `by`\n  hint: .* def update"),
        (NoState, "returned Int64Array, where a state of n is due"),
        (OtherType, "state 'n': returned double, where int64 is declared"),
    ],
)
def test_a_function_that_is_written_wrongly_is_told(node, message):
    with pytest.raises((DefinitionTypeError, NodeError), match=message):
        aggregate(node().call(SRC.text), TABLE)


def test_what_is_inherited_is_found_by_annotations_too():
    class Twice(Longest):
        def finish(self, state: State) -> Value:  # noqa: F821 - of the class above
            return self.Value(state.text, pc.multiply(state.count, 2))

    assert aggregate(Twice().call(SRC.text), TABLE) == {"text": "bcd", "count": 6}
