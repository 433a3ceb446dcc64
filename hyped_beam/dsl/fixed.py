"""Outputs that `build`, `fit`, `freeze` or `load` have fixed: planned once, run on batch after batch."""

from __future__ import annotations

from collections.abc import Sequence

from hyped_beam.dsl.aggregates import AggregateState
from hyped_beam.dsl.outputs import ROWS, Outputs, plan_of
from hyped_beam.dsl.rows import Split
from hyped_beam.execute.lazy_runner import LazyRunner
from hyped_beam.ir.builder import GraphBuilder
from hyped_beam.ir.graph import Edge, Graph, Kind, Node
from hyped_beam.ir.scope import Scope
from hyped_beam.nodes.refs import Ref
from hyped_beam.plan.planner import AGGREGATES
from hyped_beam.types import features


class FixedOutputs:
    """The outputs of a flow whose outputs are fixed, with their graph and plan.

    Args:
        outputs: What was asked for, as refs of the builder that the flow records into.
        graph: The nodes of that builder when the outputs were fixed, and a sink for each output.

    Attributes:
        outputs: What was asked for.
        graph: The graph of it, before any pass.
        plan: The plan.
        runner: Runs it; open for as long as the flow is there.
        state: What its batches have added up to; None without aggregates that batches add up.
    """

    def __init__(self, outputs: Outputs, graph: Graph) -> None:
        self.outputs = outputs
        self.graph = graph
        self.plan = plan_of(graph)
        self.runner = LazyRunner(self.plan.scan)
        adds_up = outputs.has_aggregators and not self.plan.earlier
        self.state = AggregateState(self.plan) if adds_up else None

    def added_to(self, builder: GraphBuilder) -> tuple[Node, ...]:
        """The nodes of the graph that were not recorded: sinks, and what puts their values together."""
        return tuple(node for node in self.graph.nodes.values() if builder.nodes.get(node.id) is not node)


def with_added(builder: GraphBuilder, added: Sequence[Node], scopes: Sequence[Scope]) -> Graph:
    """The graph of outputs from what `added_to` gave, of which the nodes recorded later are no part."""
    recorded = (builder.nodes[number] for number in range(min(node.id for node in added)))
    return Graph({node.id: node for node in (*recorded, *added)}, tuple(scopes))


def fixed_in(graph: Graph, origin: str) -> tuple[Ref, FixedOutputs]:
    """The source of a graph that becomes the one graph of a flow, and what its sinks are the outputs of.

    Args:
        graph: The graph, with a sink for each output. Its nodes are numbered from 0, sinks last.
        origin: How it came about: "fitted", "frozen" or "loaded".
    """
    recorded = [node for node in graph.nodes.values() if node.kind is not Kind.SINK]
    builder = GraphBuilder({node.id: node for node in recorded}, list(graph.scopes), origin=origin)
    rows = {  # at the rows of the sink: what it takes may be a value of those that these were chosen from
        sink.operation.name: Ref(builder, edge, sink.feature, sink.scope)
        for sink in graph.sinks
        for edge in sink.inputs.values()
    }
    aggregates = rows.pop(AGGREGATES, None)
    collect = Split(rows) if set(rows) - {ROWS} else rows.get(ROWS)
    source = Ref(builder, Edge(graph.source.id), features.as_features(graph.source.feature))
    return source, FixedOutputs(Outputs(collect, aggregates), graph)
