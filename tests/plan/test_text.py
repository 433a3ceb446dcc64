from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam import Processor, processor
from hyped_beam.aggregators import Count, Mean
from hyped_beam.dsl.outputs import Outputs, graph_with_sinks, plan_of
from hyped_beam.nodes.options import Limits
from hyped_beam.nodes.refs import Ref, builder_of
from hyped_beam.plan.planner import Plan
from hyped_beam.plan.text import plan_text
from hyped_beam.testing import flow_of
from hyped_beam.types.patterns import Float64Column, Int64Column, StringColumn

SCHEMA = pa.schema({"n": pa.int64(), "text": pa.string(), "other": pa.float64()})


class Times(Processor):
    factor: float = 1.0

    def process(self, left: Int64Column, right: Int64Column) -> Float64Column:
        return pc.multiply(pc.multiply(left, right), self.factor)


class Upper(Processor):
    def process(self, input: StringColumn) -> StringColumn:
        return pc.utf8_upper(input)


class Log(Processor):
    repeatable = False

    def process(self, value: Float64Column) -> Float64Column:
        return value


@processor
async def ask(question: str) -> str:
    return question


@processor
def clean(text: str) -> str:
    return text.strip()


def plan_for(source: Ref, outputs: Outputs, **further: object) -> Plan:
    rows = {"rows": outputs.collect, **further}
    return plan_of(graph_with_sinks(builder_of(source), rows, outputs.aggregators))


def test_a_plan_reads_stage_by_stage():
    source = flow_of(SCHEMA)
    score = Times(factor=0.5).call(left=source.n, right=3)
    answer = ask.options(limits=Limits(concurrency=8), batch_size=100).call(Upper().call(source.text))
    plan = plan_for(
        source,
        Outputs(
            collect={"score": Log().call(score), "answer": answer},
            aggregators={"mean": Mean().call(score), "count": Count().call(answer)},
        ),
        texts={"text": clean.call(source.text)},
    )
    assert (
        plan_text(plan)
        == """\
plan: 1 scan, 1 combine of 2 aggregates, 3 outputs

scan: reads 2 of 3 columns: n, text
  %2 = times[factor=0.5](left=%0.n, right=3)  : float64
  %3 = upper(%0.text)                         : string
  %4 = ask(question=%3)                       : string  (async, 8 rows at once; at most 100 rows a call)
  %5 = log(value=%2)                          : float64  (not repeatable)
  %8 = clean(text=%0.text)                    : string  (row by row)
  %9 = pack_struct(score=%5, answer=%4)       : {score: float64, answer: string}
  %11 = pack_struct(text=%8)                  : {text: string}
  output 'rows' <- %9                         : {score: float64, answer: string}
  output 'texts' <- %11                       : {text: string}
  combine, 2 aggregates, one state each
    %6 = mean(value=%2)                       : float64  state {total: double, count: int64}, in source order
    %7 = count(value=%4)                      : int64  state {count: int64}, in any order

reduce: once, from %6, %7
  %13 = pack_struct(mean=%6, count=%7)  : {mean: float64, count: int64}
  output 'aggregates' <- %13            : {mean: float64, count: int64}
"""
    )


def test_a_plan_without_aggregates_has_one_stage():
    source = flow_of(SCHEMA)
    assert (
        plan_text(plan_for(source, Outputs(collect=source)))
        == """\
plan: 1 scan, 1 output

scan: reads 3 of 3 columns: n, text, other
  output 'rows' <- %0  : {n: int64, text: string, other: float64}
"""
    )


def test_what_is_only_combined_is_read_too():
    source = flow_of(SCHEMA)
    packed = plan_for(source, Outputs(aggregators={"n": Count().call(source.n)}))
    assert "scan: reads 1 of 3 columns: n\n" in plan_text(packed)


def test_sites_are_told_when_asked_for():
    source = flow_of(SCHEMA)
    plan = plan_for(source, Outputs(collect={"text": Upper().call(source.text)}))
    told = [line for line in plan_text(plan, sites=True).splitlines() if "upper" in line]
    line = test_sites_are_told_when_asked_for.__code__.co_firstlineno + 2
    assert told[0].endswith(f"{Path(__file__).name}:{line}")
    assert Path(__file__).name not in plan_text(plan)


def test_the_text_is_the_same_each_time():
    def text() -> str:
        source = flow_of(SCHEMA)
        return plan_text(plan_for(source, Outputs(collect={"text": clean.call(source.text)})))

    assert text() == text()
