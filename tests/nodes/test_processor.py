"""Processors: what users write, on columns and on rows."""

from __future__ import annotations

import pickle
from typing import Any, NamedTuple

import datasets
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from hyped_beam import DataFlow, Limits, NodeError, Processor, processor
from hyped_beam.errors import DefinitionError, DefinitionTypeError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types.patterns import Int64Column, StringColumn

TABLE = pa.table({"text": ["a b", None, ""], "n": pa.array([1, 2, None], pa.int64())})
SRC = flow_of(TABLE.schema)


class Words(Processor):
    """Words of a text, cut at a separator."""

    separator: str = " "

    def process(self, text: StringColumn) -> Int64Column:
        return pc.list_value_length(pc.split_pattern(text, self.separator))


def values(ref: Any, table: pa.Table = TABLE) -> list[Any]:
    return evaluate(ref, table).to_pylist()


def test_process_works_on_columns_and_its_result_gets_the_declared_type():
    ref = Words().call(SRC.text)
    assert evaluate(ref, TABLE).equals(pa.array([2, None, 1], pa.int64()))


def test_process_may_return_what_becomes_a_column():
    class Numpy(Processor):
        def process(self, n: Int64Column) -> Int64Column:
            return n.fill_null(0).to_numpy() + 1  # type: ignore[return-value]

    class Chunks(Processor):
        def process(self, n: Int64Column) -> Int64Column:
            return pa.chunked_array([n.slice(0, 1), n.slice(1)])  # type: ignore[return-value]

    class Same(Processor):
        def process(self, n: Int64Column) -> Int64Column:
            return pa.scalar(7)  # type: ignore[return-value]

    assert values(Numpy().call(SRC.n)) == [2, 3, 1]
    assert values(Chunks().call(SRC.n)) == [1, 2, None]
    assert values(Same().call(SRC.n)) == [7, 7, 7]


class Row(Processor):
    def process_row(self, text: str, n: int | None) -> str:
        return f"{text}-{n}"


class Optional(Processor):
    def process_row(self, text: str, n: int = None) -> str:  # type: ignore[assignment]  # noqa: RUF013
        return f"{text}+{n}"


def test_rows_with_a_null_are_skipped_unless_the_annotation_admits_none():
    assert values(Row().call(text=SRC.text, n=SRC.n)) == ["a b-1", None, "-None"]


def test_an_input_left_out_is_none_and_one_that_is_given_follows_the_rule_of_nulls():
    assert values(Optional().call(text=SRC.text)) == ["a b+None", None, "+None"]
    assert values(Optional().call(text=SRC.text, n=SRC.n)) == ["a b+1", None, None]


def test_an_optional_column_is_none_when_left_out():
    class Either(Processor):
        def process(self, n: Int64Column, plus: Int64Column | None = None) -> Int64Column:
            return n if plus is None else pc.add(n, plus)

    assert values(Either().call(SRC.n)) == [1, 2, None]
    assert values(Either().call(n=SRC.n, plus=10)) == [11, 12, None]


class Pair(NamedTuple):
    head: StringColumn
    length: Int64Column


class TwoOutputs(Processor):
    def process(self, text: StringColumn) -> Pair:
        return Pair(pc.utf8_slice_codeunits(text, 0, 1), pc.cast(pc.utf8_length(text), pa.int64()))


class PlainPair(NamedTuple):
    head: str
    length: int


def test_several_outputs_are_fields_of_the_ref():
    both = TwoOutputs().call(SRC.text)
    assert values(both.head) == ["a", None, ""]
    assert values(both.length) == [3, None, 0]


def test_several_outputs_of_rows_are_null_where_a_row_is_skipped():
    @processor
    def cut(text: str) -> PlainPair:
        return PlainPair(text[:1], len(text))

    made = cut.call(SRC.text)
    assert values(made.head) == ["a", None, ""]
    assert values(made.length) == [3, None, 0]


def test_an_output_method_computes_the_type_from_inputs_and_configuration():
    class Labels(Processor):
        names: list[str]

        def output(self, text: Any) -> Any:
            return datasets.ClassLabel(names=self.names)

        def process_row(self, text: str) -> Any:
            return len(text.split())

    ref = Labels(names=["none", "one", "two"]).call(SRC.text)
    assert feature_of(ref).names == ["none", "one", "two"]
    assert values(ref) == [2, None, 0]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_setup_and_teardown_run_once_on_a_copy_that_no_two_nodes_share(asynchronous: bool):
    events: list[Any] = []

    class Sync(Processor):
        plus: int

        def setup(self) -> None:
            self.seen: list[int] = []
            events.append(("setup", self.plus, id(self)))

        def teardown(self) -> None:
            events.append(("teardown", self.plus, id(self), self.seen))

        def process_row(self, n: int) -> int:
            self.seen.append(n)
            return n + self.plus

    class Async(Sync):
        async def setup(self) -> None:  # type: ignore[override]
            Sync.setup(self)

        async def teardown(self) -> None:  # type: ignore[override]
            Sync.teardown(self)

    node = (Async if asynchronous else Sync)(plus=1)
    flow = DataFlow(features=TABLE.schema)
    first = node.options(name="one").call(flow.src_features.n)
    second = node.options(name="other", batch_size=2).call(flow.src_features.n)
    assert flow.batch_process(TABLE, collect={"a": first, "b": second}).to_pydict() == {
        "a": [2, 3, None],
        "b": [2, 3, None],
    }
    assert [event[0] for event in events] == ["setup", "setup", "teardown", "teardown"]
    assert len({event[2] for event in events}) == 2
    assert all(event[3] == [1, 2] for event in events[2:])
    assert not hasattr(node, "seen")


def test_a_node_is_frozen_outside_setup_and_process():
    node = Words()
    with pytest.raises(DefinitionError, match=r"frozen.*'separator'"):
        node.separator = ","
    values(node.call(SRC.text))
    assert node == Words()


def test_an_error_in_setup_names_the_node_and_tears_down_those_that_were_set_up():
    torn: list[str] = []

    class Good(Processor):
        def teardown(self) -> None:
            torn.append("good")

        def process_row(self, n: int) -> int:
            return n

    class Bad(Processor):
        def setup(self) -> None:
            msg = "no server"
            raise ConnectionError(msg)

        def process_row(self, n: int) -> int:
            return n

    ref = Bad().call(Good().call(SRC.n))
    with pytest.raises(NodeError, match="'bad' failed: ConnectionError: no server"):
        evaluate(ref, TABLE)
    assert torn == ["good"]


def test_a_node_that_is_not_repeatable_is_neither_merged_nor_folded():
    calls: list[Any] = []

    class Ticket(Processor):
        repeatable = False

        def process_row(self, n: int) -> int:
            calls.append(n)
            return len(calls)

    flow = DataFlow(features={"n": datasets.Value("int64")})
    src = flow.src_features
    made = flow.batch_process(
        {"n": [5]},
        collect={"a": Ticket().call(src.n), "b": Ticket().call(src.n)},
    )
    assert sorted(made["a"] + made["b"]) == [1, 2]
    assert calls == [5, 5]


def test_a_node_that_is_not_repeatable_is_not_run_again_to_find_the_row_at_fault():
    runs: list[int] = []

    class Once(Processor):
        repeatable = False

        def process(self, n: Int64Column) -> Int64Column:
            runs.append(len(n))
            msg = "broken"
            raise ValueError(msg)

    with pytest.raises(NodeError) as caught:
        evaluate(Once().call(SRC.n), TABLE)
    assert runs == [3]
    assert caught.value.row is None


@processor
def clean(text: str) -> str:
    """Without white space around."""
    return text.strip()


@processor
def shout(text: StringColumn) -> StringColumn:
    return pc.utf8_upper(text)


@processor(repeatable=False)
async def later(text: str) -> str:
    return text + "!"


def test_functions_are_nodes_and_still_functions():
    table = pa.table({"text": [" a ", None, "b"]})
    src = flow_of(table.schema)
    assert clean("  a ") == "a"
    assert values(clean.call(src.text), table) == ["a", None, "b"]
    assert values(shout.call(src.text), table) == [" A ", None, "B"]
    assert values(later.call(src.text), table) == [" a !", None, "b!"]
    assert clean.__doc__ == "Without white space around."
    assert not later.repeatable


def test_functions_of_a_module_travel_by_name_and_others_with_their_code():
    assert pickle.loads(pickle.dumps(clean)) is clean  # noqa: S301 - our own

    @processor
    def local(text: str) -> str:
        return text + "?"

    import cloudpickle

    limited = local.options(name="asked", limits=Limits(concurrency=3))
    there = pickle.loads(cloudpickle.dumps(limited))  # noqa: S301 - our own
    assert there("a") == "a?"
    assert there._options.name == "asked"
    assert there._options.limits.concurrency == 3


def test_the_same_function_is_merged_and_another_is_not():
    @processor
    def other(text: str) -> str:
        return text

    assert clean.identity() == clean.options(name="x").identity()
    assert clean.identity() != other.identity()


def test_an_argument_of_another_type_is_refused_at_the_call():
    with pytest.raises(DefinitionTypeError, match=r"Words takes a string as 'text', got int64") as caught:
        Words().call(SRC.n)
    assert caught.value.site is not None
    assert caught.value.site.file == __file__
    assert caught.value.hint == 'write .cast("string")'


def test_wrong_configuration_is_refused_where_it_is_written():
    with pytest.raises(DefinitionError, match="separator") as caught:
        Words(separator=3)  # type: ignore[arg-type]
    assert caught.value.site is not None
    assert caught.value.site.file == __file__
    with pytest.raises(DefinitionError, match="did you mean 'separator'"):
        Words(seperator=" ")  # type: ignore[call-arg]


def test_a_class_that_says_two_things_or_nothing_is_refused():
    with pytest.raises(DefinitionTypeError, match="Child has both") as caught:

        class Child(Words):
            def process_row(self, text: str) -> str:
                return text

    assert caught.value.site is not None
    assert caught.value.site.file == __file__

    class Nothing(Processor):
        pass

    with pytest.raises(DefinitionTypeError, match="neither `process` nor `process_row`"):
        Nothing().call(SRC.text)

    class Silent(Processor):
        def process_row(self, text: str):
            return text

    with pytest.raises(DefinitionTypeError, match="the output has no type"):
        Silent().call(SRC.text)


class Wrong(Processor):
    kind: str

    def process(self, n: Int64Column) -> Int64Column:
        made: Any = {
            "short": n.slice(1),
            "text": pa.array(["x"] * len(n)),
            "nothing": None,
            "fields": {"n": n},
            "fraction": pa.array([1.5] * len(n)),
        }[self.kind]
        return made


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("short", r"returned \d rows for \d"),
        ("text", "returned string, where int64 is declared"),
        ("nothing", "returned NoneType, where a column of int64 is declared"),
        ("fields", "returned dict, where a column of int64 is declared"),
        ("fraction", "returned double, where int64 is declared"),
    ],
)
def test_a_result_that_is_not_what_was_declared_says_what_it_is(kind: str, message: str):
    with pytest.raises(NodeError, match=message):
        evaluate(Wrong(kind=kind).call(SRC.n), TABLE)


def test_a_row_that_is_not_what_was_declared_is_named():
    @processor
    def length(text: str) -> int:
        return "long" if len(text) > 2 else len(text)  # type: ignore[return-value]

    table = pa.table({"text": ["a", None, "bb", "ccc"]})
    with pytest.raises(NodeError, match="returned 'long', where int64 is declared") as caught:
        evaluate(length.call(flow_of(table.schema).text), table)
    assert caught.value.row == 3
    assert caught.value.values == "text='ccc'"


def test_what_a_row_gave_instead_is_shortened():
    @processor
    def length(text: str) -> int:
        return text  # type: ignore[return-value]

    table = pa.table({"text": ["a" * 1000]})
    with pytest.raises(NodeError, match=r"returned 'aa{70,80}\.\.\.', where int64 is declared"):
        evaluate(length.call(flow_of(table.schema).text), table)


def test_several_outputs_must_all_be_there():
    class Half(Processor):
        def process(self, text: StringColumn) -> Pair:
            return {"head": text}  # type: ignore[return-value]

    with pytest.raises(NodeError, match=r"returned the outputs \['head'\], where \['head', 'length'\]"):
        evaluate(Half().call(SRC.text).head, TABLE)


def test_kernels_get_texts_whose_offsets_begin_at_zero():
    class Ascii(Processor):
        def process(self, text: StringColumn) -> StringColumn:
            return pc.ascii_upper(text)

    # Arrow 25 makes a broken array of this one: its offsets begin at 2, and it is no slice
    text = pc.cast(pa.array(["xx", "yy", "zz"], pa.large_string()).slice(1), pa.string())
    table = pa.table({"text": text})
    made = evaluate(Ascii().call(flow_of(table.schema).text), table)
    made.validate(full=True)
    assert made.to_pylist() == ["YY", "ZZ"]
