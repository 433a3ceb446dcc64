"""The parts of a job are told apart, whatever they are called."""

from __future__ import annotations

import pyarrow as pa

from hyped_beam.aggregators import Mean
from hyped_beam.dsl.outputs import graph_with_sinks, plan_of
from hyped_beam.execute.timing import READ, Timings, add_timing, add_timings, node_key, write_key
from hyped_beam.launch.times import node_times, unambiguous
from hyped_beam.nodes.refs import builder_of
from hyped_beam.testing import flow_of

SRC = flow_of(pa.schema([("a", pa.string()), ("b", pa.string()), ("n", pa.int64())]))


def test_nodes_of_one_name_are_told_apart_by_their_lines_and_then_by_numbers():
    first = SRC.a.upper()
    second, third = SRC.b.upper(), SRC.a.strip().upper()
    plan = plan_of(graph_with_sinks(builder_of(SRC), {"rows": {"x": first, "y": second, "z": third}}, None))
    names = unambiguous(plan.scan.steps)
    assert len(set(names)) == len(names)
    assert names.count("strip") == 1
    lines = [name for name in names if name.startswith("upper (")]
    assert len(lines) == 3
    assert sum(name.endswith(("#1", "#2")) for name in lines) == 2


def test_parts_come_in_the_order_of_the_flow_and_only_those_that_ran():
    aggregates = {"mean": Mean().call(SRC.n)}
    plan = plan_of(graph_with_sinks(builder_of(SRC), {"rows": {"x": SRC.a.upper()}}, aggregates))
    (upper, _), (mean,) = plan.scan.steps, plan.scan.aggregates
    timings: Timings = {}
    for key in (write_key("rows"), node_key(mean.node), node_key(upper.node), READ):
        add_timing(timings, key, 1.0, 3)
    add_timings(timings, {READ: (0.5, 2)})
    times = node_times(plan, timings)
    assert [(time.name, time.seconds, time.rows) for time in times] == [
        ("read", 1.5, 5),
        ("upper", 1.0, 3),
        ("mean", 1.0, 3),
        ("write rows", 1.0, 3),
    ]
    assert [time.name for time in node_times(plan, {READ: (0.0, 0)})] == ["read"]
