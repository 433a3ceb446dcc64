from __future__ import annotations

import asyncio
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from hyped_beam import Processor
from hyped_beam.aggregators import Count, Sum
from hyped_beam.dsl.outputs import Outputs, graph_of
from hyped_beam.ir.graph import Edge, Graph, Kind
from hyped_beam.ir.scope import SOURCE_ROWS
from hyped_beam.ir.text import graph_text
from hyped_beam.ir.verify import BrokenGraphError, verify
from hyped_beam.nodes.call import constant
from hyped_beam.nodes.pack import pack
from hyped_beam.nodes.refs import Ref, builder_of, edge_of, feature_of
from hyped_beam.passes import PASSES, optimise, pipeline
from hyped_beam.passes.absorb import absorb
from hyped_beam.passes.common_subexpressions import common_subexpressions
from hyped_beam.passes.fold_constants import fold_constants
from hyped_beam.passes.forward_fields import forward_fields
from hyped_beam.passes.narrow_source import narrow_source
from hyped_beam.passes.prune import prune
from hyped_beam.plan.planner import make_plan
from hyped_beam.testing import flow_of
from hyped_beam.types.patterns import AnyColumn, Int64Column, IntegerColumn, ListColumn, StringColumn

SCHEMA = pa.schema(
    {"n": pa.int64(), "text": pa.string(), "meta": pa.struct({"title": pa.string()}), "label": pa.int8()}
)


class Plus(Processor):
    step: int = 0

    def process(self, left: IntegerColumn, right: IntegerColumn) -> IntegerColumn:
        return pc.add_checked(pc.add_checked(left, right), self.step)


class Divide(Processor):
    def process(self, left: IntegerColumn, right: IntegerColumn) -> IntegerColumn:
        return pc.divide_checked(left, right)


class Upper(Processor):
    def process(self, text: StringColumn) -> StringColumn:
        return pc.utf8_upper(text)


class Draw(Processor):
    """Never the same twice."""

    repeatable = False

    def process(self, value: AnyColumn) -> Int64Column:
        return pa.array(range(len(value)))


class Length(Processor):
    def process(self, items: ListColumn) -> Int64Column:
        return pc.list_value_length(items)


class WordCount(Processor):
    separator: str

    def process(self, text: StringColumn) -> Int64Column:
        return pc.add(pc.count_substring(text, self.separator), 1)


class Words(Processor):
    separator: str = " "

    def output(self, text):
        from hyped_beam.types import features

        return features.list_of(features.value("string"))

    def process(self, text: StringColumn):
        return pc.split_pattern(text, self.separator)

    def absorb(self, consumer):
        return WordCount(separator=self.separator) if isinstance(consumer, Length) else None


class Twice(Processor):
    """Does `WordCount` and `Plus` at once; for chains of what is absorbed."""

    def process(self, text: StringColumn) -> Int64Column:
        return pc.add(pc.count_substring(text, " "), 2)


@pytest.fixture
def source() -> Ref:
    return flow_of(SCHEMA)


def literal(source: Ref, value: object) -> Ref:
    """A ref to a constant."""
    builder = builder_of(source)
    edge = constant(builder, value)
    return Ref(builder, edge, builder.nodes[edge.node].feature)


def after(run, source: Ref, collect: object = None, aggregators: object = None) -> Graph:
    """What a pass makes of a flow; both sides keep to all rules, and what went in is as it was."""
    graph = graph_of(builder_of(source), Outputs(collect=collect, aggregators=aggregators))
    before = graph_text(graph)
    verify(graph)
    result = run(graph)
    verify(result)
    assert graph_text(graph) == before
    return result


def text_after(run, source: Ref, collect: object = None, aggregators: object = None) -> str:
    """The graph after a pass, without the alignment of types."""
    found = graph_text(after(run, source, collect, aggregators))
    return "\n".join(" ".join(line.split()) for line in found.splitlines())


def inputs_of(graph: Graph, ref: Ref) -> dict[str, str]:
    return {name: str(edge) for name, edge in graph.nodes[edge_of(ref).node].inputs.items()}


class TestPrune:
    def test_what_no_sink_needs_is_dropped_whatever_it_is(self, source):
        Draw().call(source.n)
        Count().call(source.n)
        Plus().call(left=source.n, right=1)
        assert text_after(prune, source, {"n": source.n}) == (
            "%0 = source : {n: int64, text: string, meta: {title: string}, label: int8} [rows]\n"
            "%5 = map pack_struct(n=%0.n) : {n: int64} [rows]\n"
            "sink 'rows' <- %5"
        )

    def test_what_is_needed_stays_in_order(self, source):
        total = Plus().call(left=source.n, right=1)
        drawn = Draw().call(total)
        graph = after(prune, source, {"drawn": drawn}, {"n": Count().call(total)})
        assert list(graph.nodes) == list(range(9))

    def test_the_source_stays_when_nothing_needs_it(self, source):
        assert text_after(prune, source, aggregators={"one": literal(source, 1)}).startswith("%0 = source")


class TestForwardFields:
    def test_a_field_comes_from_the_input_however_deep(self, source):
        inner = pack({"title": source.meta.title, "n": source.n})
        outer = pack({"inner": inner, "meta": source.meta})
        loud, quiet = Upper().call(outer.inner.title), Upper().call(outer.meta.title)
        graph = after(forward_fields, source, {"loud": loud, "quiet": quiet})
        assert inputs_of(graph, loud) == {"text": "%0.meta.title"}
        assert inputs_of(graph, quiet) == {"text": "%0.meta.title"}

    def test_the_whole_struct_stays_packed(self, source):
        packed = pack({"n": source.n})
        drawn = Draw().call(packed)
        assert inputs_of(after(forward_fields, source, {"drawn": drawn}), drawn) == {"value": "%1"}

    def test_the_attribute_decides_not_the_class(self, source):
        class Columns(Processor):
            passes_inputs = True

            def output(self, **columns):
                return dict(columns)

            def process(self, **columns: AnyColumn):
                return columns

        class Reversed(Columns):
            passes_inputs = False

        passed = Upper().call(Columns().call(text=source.text).text)
        other = Upper().call(Reversed().call(text=source.text).text)
        graph = after(forward_fields, source, {"passed": passed, "other": other})
        assert inputs_of(graph, passed) == {"text": "%0.text"}
        assert inputs_of(graph, other) == {"text": "%3.text"}

    def test_a_field_of_a_nullable_struct_is_not_forwarded_past_it(self, source):
        loud = Upper().call(source.meta.title)
        assert inputs_of(after(forward_fields, source, {"loud": loud}), loud) == {"text": "%0.meta.title"}

    def test_a_node_keeps_its_rows_where_its_inputs_leave_them(self, source):
        packed = pack({"n": source.n, "one": 1})
        beside = Plus().call(left=packed.n, right=packed.one)
        alone = Plus().call(left=packed.one, right=packed.one)
        total = Sum().call(packed.one)
        graph = after(forward_fields, source, {"beside": beside, "alone": alone}, {"total": total})
        assert inputs_of(graph, beside) == {"left": "%0.n", "right": "%1"}
        assert inputs_of(graph, alone) == {"left": "%1", "right": "%1"}
        assert inputs_of(graph, total) == {"value": "%1"}
        assert graph.nodes[edge_of(alone).node].scope == SOURCE_ROWS
        assert graph.nodes[edge_of(total).node].input_scope == SOURCE_ROWS


class TestFoldConstants:
    def test_a_chain_folds_to_its_value_at_once(self, source):
        one = literal(source, 1)
        three = Plus().call(left=one, right=2)
        ten = Plus(step=3).call(left=three, right=4)
        graph = after(fold_constants, source, {"sum": Plus().call(left=source.n, right=ten)})
        folded = graph.nodes[edge_of(ten).node]
        assert folded.kind is Kind.CONST
        assert folded.operation.scalar.as_py() == 10
        assert folded.feature == feature_of(ten)
        assert folded.inputs == {}

    def test_fields_of_constants_nulls_and_several_outputs(self, source):
        loud = Upper().call(literal(source, {"text": "ab"}).text)
        missing = Upper().call(literal(source, pa.scalar(None, pa.string())))
        both = pack({"loud": loud, "missing": missing})
        graph = after(prune, source, {"n": source.n}, {"both": both})
        folded = fold_constants(graph).nodes[edge_of(both).node]
        assert folded.operation.scalar.as_py() == {"loud": "AB", "missing": None}

    def test_hooks_run_on_a_copy(self, source):
        ran = []

        class Prefixed(Processor):
            def setup(self):
                self.prefix = ">"
                ran.append("setup")

            def teardown(self):
                ran.append("teardown")

            def process_row(self, text: str) -> str:
                return self.prefix + text

        node = Prefixed()
        folded = node.call(literal(source, "a"))
        graph = after(fold_constants, source, {"n": source.n}, {"folded": folded})
        assert graph.nodes[edge_of(folded).node].operation.scalar.as_py() == ">a"
        assert ran == ["setup", "teardown"]
        assert not hasattr(node, "prefix")

    def test_what_is_not_repeatable_or_async_is_left(self, source):
        class Later(Processor):
            async def process_row(self, text: str) -> str:
                await asyncio.sleep(0)
                return text

        drawn = Draw().call(literal(source, 1))
        later = Later().call(literal(source, "a"))
        graph = after(fold_constants, source, {"n": source.n}, {"drawn": drawn, "later": later})
        assert [graph.nodes[edge_of(ref).node].kind for ref in (drawn, later)] == [Kind.MAP, Kind.MAP]

    def test_an_error_is_left_to_where_a_row_needs_it(self, source):
        never = Divide().call(left=literal(source, 1), right=0)
        behind = Plus().call(left=never, right=1)
        graph = after(fold_constants, source, {"n": source.n}, {"never": behind})
        assert graph.nodes[edge_of(never).node].kind is Kind.MAP
        assert graph.nodes[edge_of(behind).node].kind is Kind.MAP

    def test_rows_are_no_constants(self, source):
        total = Plus().call(left=source.n, right=1)
        graph = after(fold_constants, source, {"total": total}, {"count": Count().call(total)})
        assert [node.kind for node in graph.nodes.values()].count(Kind.CONST) == 1


class TestCommonSubexpressions:
    def test_equal_expressions_are_one_with_the_name_and_site_of_the_first(self, source):
        first = Plus().options(name="first").call(left=source.n, right=1)
        second = Plus().options(name="second").call(left=source.n, right=1)
        loud = Plus().call(left=first, right=2)
        same = Plus().call(left=second, right=2)
        graph = after(common_subexpressions, source, {"a": loud, "b": same}, {"n": Sum().call(same)})
        assert edge_of(second).node not in graph.nodes
        assert edge_of(same).node not in graph.nodes
        kept = graph.nodes[edge_of(first).node]
        before = builder_of(source).nodes[edge_of(first).node]
        assert (kept.name, kept.site) == ("first", before.site)
        assert inputs_of(graph, loud)["left"] == f"%{edge_of(first).node}"

    def test_aggregates_merge_too(self, source):
        counts = {"a": Count().call(source.n), "b": Count().call(source.n)}
        graph = after(common_subexpressions, source, aggregators=counts)
        assert [node.kind for node in graph.nodes.values()].count(Kind.AGGREGATE) == 1

    @pytest.mark.parametrize(
        ("left", "right"),
        [
            pytest.param(lambda s: Upper().call(s.text), lambda s: Upper().call(s.meta.title), id="inputs"),
            pytest.param(
                lambda s: Plus(step=1).call(left=s.n, right=s.n),
                lambda s: Plus(step=2).call(left=s.n, right=s.n),
                id="configuration",
            ),
            pytest.param(
                lambda s: Upper().call(s.text),
                lambda s: Upper().options(batch_size=8).call(s.text),
                id="options",
            ),
            pytest.param(lambda s: Draw().call(s.n), lambda s: Draw().call(s.n), id="not repeatable"),
            pytest.param(
                lambda s: pack({"a": s.n, "b": s.text}), lambda s: pack({"b": s.text, "a": s.n}), id="order"
            ),
            pytest.param(lambda s: literal(s, 1), lambda s: literal(s, True), id="types of constants"),
            pytest.param(lambda s: literal(s, 0.0), lambda s: literal(s, -0.0), id="signs of zero"),
            pytest.param(
                lambda s: Fixed(value=float("inf")).call(s.text),
                lambda s: Fixed(value=float("-inf")).call(s.text),
                id="infinities",
            ),
            pytest.param(
                lambda s: Fixed(value="YQ==").call(s.text),
                lambda s: Fixed(value=b"a").call(s.text),
                id="bytes",
            ),
        ],
    )
    def test_what_differs_stays_apart(self, source, left, right):
        first, second = left(source), right(source)
        number = edge_of(second).node
        beside = {"n": source.n, "first": first, "second": second}
        assert number in after(common_subexpressions, source, beside).nodes

    def test_equal_constants_are_one(self, source):
        first, second = literal(source, float("nan")), literal(source, float("nan"))
        graph = after(common_subexpressions, source, {"n": source.n, "a": first, "b": second})
        assert edge_of(second).node not in graph.nodes


class Fixed(Processor):
    value: object = None

    def process(self, text: StringColumn) -> StringColumn:
        return text


class TestAbsorb:
    def test_the_node_between_is_not_made(self, source):
        count = Length().call(Words(separator=",").call(source.text))
        assert text_after(absorb, source, {"count": count}) == (
            "%0 = source : {n: int64, text: string, meta: {title: string}, label: int8} [rows]\n"
            "%2 = map word_count[separator=','](text=%0.text) : int64 [rows]\n"
            "%3 = map pack_struct(count=%2) : {count: int64} [rows]\n"
            "sink 'rows' <- %3"
        )

    def test_the_place_and_the_name_are_those_of_the_consumer(self, source):
        words = Words().call(source.text)
        count = Length().options(name="size").call(words)
        node = after(absorb, source, {"count": count}).nodes[edge_of(count).node]
        assert node.name == "size"
        assert node.site == builder_of(source).nodes[edge_of(count).node].site

    def test_what_absorbed_absorbs_again(self, source):
        class Count(WordCount):
            def absorb(self, consumer):
                return Twice() if isinstance(consumer, Next) else None

        class Next(Processor):
            def process(self, value: IntegerColumn) -> IntegerColumn:
                return pc.add(value, 1)

        class Split(Words):
            def absorb(self, consumer):
                return Count(separator=" ")

        last = Next().call(Length().call(Split().call(source.text)))
        graph = after(absorb, source, {"last": last})
        assert isinstance(graph.nodes[edge_of(last).node].operation, Twice)
        assert len(graph.nodes) == 4

    @pytest.mark.parametrize(
        "make",
        [
            pytest.param(lambda s, words: {"n": Length().call(words), "words": words}, id="another user"),
            pytest.param(
                lambda s, words: {"n": Length().options(batch_size=2).call(words)}, id="other batch size"
            ),
            pytest.param(lambda s, words: {"n": Draw().call(words)}, id="another consumer"),
            pytest.param(lambda s, words: {"n": Beside().call(items=words, text=s.text)}, id="further input"),
            pytest.param(lambda s, words: {"words": words}, id="a sink"),
        ],
    )
    def test_the_node_between_stays(self, source, make):
        words = Words().call(source.text)
        graph = after(absorb, source, make(source, words))
        assert isinstance(graph.nodes[edge_of(words).node].operation, Words)

    def test_a_field_of_the_output_is_not_the_whole(self, source):
        class Both(Processor):
            def output(self, text):
                return {"text": text}

            def process(self, text: StringColumn):
                return {"text": text}

            def absorb(self, consumer):
                return Upper()

        both = Both().call(source.text)
        assert edge_of(both).node in after(absorb, source, {"loud": Upper().call(both.text)}).nodes

    def test_what_is_not_repeatable_stays(self, source):
        class Once(Words):
            repeatable = False

        words = Once().call(source.text)
        assert edge_of(words).node in after(absorb, source, {"n": Length().call(words)}).nodes

    def test_nodes_absorb_nothing_unless_they_say_so(self, source):
        assert Upper().absorb(Length()) is None
        assert Count().absorb(Length()) is None


class Beside(Processor):
    def process(self, items: ListColumn, text: StringColumn) -> Int64Column:
        return pc.list_value_length(items)


class TestNarrowSource:
    def test_columns_that_are_named_stay_in_the_order_of_the_source(self, source):
        graph = after(narrow_source, source, {"title": source.meta.title, "n": source.n})
        assert graph.source.operation.columns == ("n", "meta")
        assert list(graph.source.feature) == ["n", "meta"]
        assert graph.source.operation.unread == 2
        assert narrow_source(graph) is graph

    def test_taking_the_whole_source_takes_all_columns(self, source):
        assert after(narrow_source, source, source).source.operation.columns == tuple(SCHEMA.names)

    def test_no_column_may_be_needed(self, source):
        graph = after(narrow_source, source, aggregators={"one": literal(source, 1)})
        assert graph.source.operation.columns == ()
        assert make_plan(graph).scan.columns == ()


class TestOptimise:
    def test_passes_make_way_for_each_other(self, source):
        record = pack({"text": source.text, "n": source.n})
        first = Length().call(Words().call(record.text))
        second = Length().call(Words().call(source.text))
        limit = Plus().call(left=literal(source, 1), right=2)
        collect = {"a": Plus().call(left=first, right=limit), "b": Plus().call(left=second, right=limit)}
        assert text_after(lambda graph: optimise(graph, verify=True), source, collect) == (
            "%0 = source : {text: string} [rows]\n"
            "%3 = map word_count[separator=' '](text=%0.text) : int64 [rows]\n"
            "%8 = const 3 : int64 [dataset]\n"
            "%9 = map plus(left=%3, right=%8) : int64 [rows]\n"
            "%11 = map pack_struct(a=%9, b=%9) : {a: int64, b: int64} [rows]\n"
            "sink 'rows' <- %11"
        )

    def test_a_second_time_changes_nothing(self, source):
        collect = {"n": Length().call(Words().call(pack({"t": source.text}).t)), "m": source.n}
        once = after(optimise, source, collect, {"count": Count().call(source.text)})
        assert graph_text(optimise(once)) == graph_text(once)

    def test_a_pass_that_breaks_a_rule_is_named(self, source, monkeypatch):
        def swap(graph: Graph) -> Graph:
            return graph.rewire(lambda edge: Edge(99))

        monkeypatch.setattr(pipeline, "PASSES", (prune, swap))
        graph = graph_of(builder_of(source), Outputs(collect={"n": source.n}))
        with pytest.raises(BrokenGraphError, match=r"^after swap: %1 uses %99"):
            optimise(graph, verify=True)


def chain(length: int) -> Graph:
    source = flow_of(SCHEMA)
    last = source.n
    for number in range(length):
        last = Plus(step=number % 7).call(left=last, right=number % 3)
    return graph_of(builder_of(source), Outputs(collect={"last": last}))


def wide(width: int) -> Graph:
    source = flow_of(SCHEMA)
    packed = pack({f"c{number}": Plus(step=number).call(left=source.n, right=1) for number in range(width)})
    taken = {f"d{name}": Plus().call(left=packed[f"c{name}"], right=1) for name in range(width)}
    return graph_of(builder_of(source), Outputs(collect=taken))


def nested(depth: int) -> Graph:
    source = flow_of(SCHEMA)
    last = source.n
    for _ in range(depth):
        last = Plus().call(left=pack({"n": last, "one": 1}).n, right=1)
    return graph_of(builder_of(source), Outputs(collect={"last": last}))


def folding(length: int) -> Graph:
    source = flow_of(SCHEMA)
    last = literal(source, 0)
    for _ in range(length):
        last = Plus().call(left=last, right=1)
    return graph_of(builder_of(source), Outputs(collect={"sum": Plus().call(left=source.n, right=last)}))


def calls_of(function, argument: object) -> int:
    """How many functions, of Python and of C, a call comes to: its work, the same on every machine."""
    counted = 0

    def count(_frame, event, _argument) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function(argument)
    finally:
        sys.setprofile(before)
    return counted


@pytest.mark.parametrize("run", dict.fromkeys((*PASSES, make_plan)), ids=lambda run: run.__name__)
@pytest.mark.parametrize("shape", [chain, wide, nested, folding])
def test_work_grows_with_the_number_of_nodes(shape, run):
    if run is make_plan and shape in (nested, folding):
        graphs = [optimise(shape(size)) for size in (100, 400)]
    else:
        graphs = [shape(size) for size in (100, 400)]
    run(graphs[0])  # fills caches
    small, large = (calls_of(run, graph) for graph in graphs)
    assert large <= 4.4 * small


@pytest.mark.parametrize("shape", [chain, wide, nested, folding])
def test_building_grows_with_the_number_of_nodes(shape):
    shape(10)
    assert calls_of(shape, 400) <= 4.4 * calls_of(shape, 100)
