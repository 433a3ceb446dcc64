"""Levels: how many scans of the source come before a value is known."""

from __future__ import annotations

import pyarrow as pa
import pytest

from hyped_beam import ops
from hyped_beam.aggregators import Count, Mean, Sum
from hyped_beam.dsl.outputs import Outputs, graph_of, plan_of
from hyped_beam.nodes.refs import builder_of, edge_of
from hyped_beam.plan.levels import Levels
from hyped_beam.testing import flow_of

SCHEMA = pa.schema({"n": pa.int64(), "k": pa.string(), "w": pa.list_(pa.int64())})


@pytest.fixture
def src():
    return flow_of(SCHEMA)


def level(src, ref):
    graph = graph_of(builder_of(src), Outputs({"n": src.n, "it": ref}))
    return Levels(graph)[edge_of(ref).node]


def scans(src, ref):
    return len(plan_of(graph_of(builder_of(src), Outputs({"it": ref}))).stages)


def test_rows_are_known_in_the_scan_that_reads_them(src):
    assert level(src, src.n + 1) == 0
    assert level(src, ops.explode(src.w)) == 0
    assert level(src, Count().call(ops.explode(src.w), by=ops.each(src))) == 0


def test_an_aggregate_at_rows_takes_another_scan(src):
    mean = Mean().call(src.n)
    off = src.n - mean
    assert [level(src, ref) for ref in (mean, mean * 2 + 1, off)] == [0, 0, 1]
    spread = Mean().call(abs(off), by=src.k)
    assert [level(src, ref) for ref in (spread, off / spread)] == [1, 2]
    assert scans(src, off / spread) == 3


def test_groups_are_put_together_in_the_scan_of_their_members(src):
    g = ops.group_by({"k": src.k})
    count = Count().call(src.n, by=g)
    of_groups = Sum().call(count, by={"count": count})
    assert [level(src, ref) for ref in (g.keys, count, of_groups, of_groups - count)] == [0, 0, 0, 0]
    assert scans(src, of_groups - count) == 1
    assert level(src, src.n - of_groups) == 1
    assert scans(src, src.n - of_groups) == 2


def test_what_depends_on_constants_alone_is_known_before(src):
    assert level(src, ops.if_else(src.n > 1, 1, 2)) == 0


def test_all_aggregates_of_a_level_share_a_scan_and_those_of_groups_a_combine(src):
    refs = {
        "a": src.n - Mean().call(src.n),
        "b": src.n - Sum().call(src.n),
        "c": Count().call(src.n, by=src.k),
        "d": Sum().call(src.n, by=src.k, where=src.n > 1),
    }
    plan = plan_of(graph_of(builder_of(src), Outputs(refs)))
    scan = plan.earlier[0].scan
    assert len(plan.stages) == 2
    groupings = [None if one.grouping is None else one.grouping.scope for one in scan.combines]
    assert sorted(len(one.steps) for one in scan.combines if one.grouping is None) in ([2], [1, 1])
    assert len(set(groupings)) == 2
    assert plan.scan.combines == ()


def test_rows_that_decide_about_rows(src):
    near = ops.filter(src, src.n < Mean().call(src.n))
    assert level(src, near.n) == 0, "the value is the source's, its rows are those of the filter"
    assert scans(src, near.n) == 2
    assert level(src, Count().call(near.n)) == 1
    assert scans(src, near.n - Count().call(near.n)) == 3
