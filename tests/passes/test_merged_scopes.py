"""Equal filters, exploded rows and groups become one, and with them what is computed for these rows."""

from __future__ import annotations

import pyarrow as pa
import pytest

from hyped_beam import Augmentor, Rows, ops
from hyped_beam.aggregators import Count, Mean
from hyped_beam.dsl.outputs import Outputs, graph_of
from hyped_beam.ir.graph import Kind
from hyped_beam.ir.verify import verify
from hyped_beam.nodes.refs import builder_of
from hyped_beam.passes import optimise
from hyped_beam.passes.common_subexpressions import common_subexpressions
from hyped_beam.passes.prune import prune
from hyped_beam.plan.planner import make_plan
from hyped_beam.tasks.memory import run_here
from hyped_beam.testing import flow_of
from hyped_beam.types.patterns import Int64Column

TABLE = pa.table({"k": ["a", "b", "a", None], "n": [1, 2, 3, 4], "w": [[1], [2, 3], [], None]})


@pytest.fixture
def src():
    return flow_of(TABLE.schema)


def merged(src, collect):
    graph = common_subexpressions(prune(graph_of(builder_of(src), Outputs(collect))))
    verify(prune(graph))
    return graph


def number_of(graph, kind):
    return sum(node.kind is kind for node in graph.nodes.values())


def test_equal_conditions_make_the_same_rows(src):
    one, two = (ops.filter(src, src.n > 1) for _ in range(2))
    graph = merged(src, {"sum": Mean().call(one.n) + Mean().call(two.n) + src.n})
    assert number_of(graph, Kind.ROWS) == 1
    assert number_of(graph, Kind.AGGREGATE) == 1
    other = merged(src, {"sum": Mean().call(one.n) + Mean().call(ops.filter(src, src.n > 2).n) + src.n})
    assert number_of(other, Kind.ROWS) == 2


def test_equal_groups_of_equal_rows_are_one(src):
    keys = [Count().call(src.n, by=(src.k + "x")) for _ in range(2)]
    graph = merged(src, {"n": src.n + keys[0] + keys[1]})
    assert (number_of(graph, Kind.KEYS), number_of(graph, Kind.AGGREGATE)) == (1, 1)
    rows = ops.filter(src, src.n > 1)
    graph = merged(src, {"n": rows.n, "off": rows.n - Mean().call(rows.n, by=rows.k)})
    assert number_of(graph, Kind.KEYS) == 1


def test_groups_of_other_keys_or_names_are_others(src):
    graph = merged(
        src,
        {
            "n": src.n
            + Count().call(src.n, by={"x": src.k})
            + Count().call(src.n, by={"y": src.k})
            + Count().call(src.n, by={"x": src.n})
        },
    )
    assert number_of(graph, Kind.KEYS) == 3


def test_other_options_make_other_rows(src):
    graph = merged(
        src,
        {"n": Count().call(ops.explode(src.w)) + Count().call(ops.explode(src.w, keep_empty=True)) + src.n},
    )
    assert number_of(graph, Kind.ROWS) == 2


class Drawn(Augmentor):
    repeatable = False

    def process(self, n: Int64Column) -> Rows:
        return Rows(range(len(n)))


def test_what_is_not_repeatable_stays_apart(src):
    one, two = (ops.align(src.n, to=Drawn().call(src.n)) for _ in range(2))
    graph = merged(src, {"n": Count().call(one) + Count().call(two) + src.n})
    assert number_of(graph, Kind.ROWS) == 2


def test_merged_rows_hold_what_they_held(src):
    long = [ops.filter(src, src.n > bound) for bound in (1, 1, 2)]
    collect = {
        "k": src.k,
        "one": Count().call(long[0].n) + Count().call(long[1].n) - Count().call(long[2].n),
        "by": src.n + Count().call(src.n, by=src.k + "x") + Count().call(src.n, by=src.k + "x"),
    }
    graph = graph_of(builder_of(src), Outputs(collect))
    for one in (prune(graph), optimise(graph, verify=True)):
        found = pa.Table.from_batches(run_here(make_plan(one), TABLE.to_batches())["rows"])
        assert found.to_pydict() == {"k": ["a", "b", "a", None], "one": [4] * 4, "by": [5, 4, 7, 6]}
