from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam import Processor
from hyped_beam.aggregators import Count
from hyped_beam.dsl.outputs import Outputs, graph_of
from hyped_beam.ir.text import graph_text
from hyped_beam.nodes.refs import builder_of
from hyped_beam.testing import flow_of
from hyped_beam.types.patterns import IntegerColumn, StringColumn


class Plus(Processor):
    step: int = 1

    def process(self, left: IntegerColumn, right: IntegerColumn) -> IntegerColumn:
        return pc.add(pc.add(left, right), self.step)


class Upper(Processor):
    def process(self, input: StringColumn) -> StringColumn:
        return pc.utf8_upper(input)


def test_a_graph_reads_one_node_a_line():
    source = flow_of(pa.schema({"n": pa.int64(), "meta": pa.struct({"title": pa.string()})}))
    total = Plus(step=2).call(left=source.n, right=40)
    title = Upper().call(source.meta.title)
    graph = graph_of(
        builder_of(source),
        Outputs(collect={"total": total, "title": title}, aggregators={"rows": Count().call(title)}),
    )
    assert (
        graph_text(graph)
        == """\
%0 = source                                 : {n: int64, meta: {title: string}}  [rows]
%1 = const 40                               : int64  [dataset]
%2 = map plus[step=2](left=%0.n, right=%1)  : int64  [rows]
%3 = map upper(%0.meta.title)               : string  [rows]
%4 = aggregate count(value=%3)              : int64  [dataset]
%5 = map pack_struct(total=%2, title=%3)    : {total: int64, title: string}  [rows]
sink 'rows' <- %5
%7 = map pack_struct(rows=%4)               : {rows: int64}  [dataset]
sink 'aggregates' <- %7
"""
    )


def test_a_line_that_is_very_long_moves_only_its_own_type():
    source = flow_of(pa.schema({"text": pa.string(), "n": pa.int64()}))
    long = Plus().options(name="n" * 90).call(left=source.n, right=1)
    lines = graph_text(graph_of(builder_of(source), Outputs(collect={"long": long}))).splitlines()
    assert lines[0].index(" : ") == 73
    assert lines[2].index(" : ") > 73
