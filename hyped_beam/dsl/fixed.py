"""Outputs that are fixed, by `build`, `fit` or `load`: planned once, and run on batch after batch."""

from __future__ import annotations

from hyped_beam.dsl.aggregates import AggregateState
from hyped_beam.dsl.outputs import ROWS, Outputs, plan_of
from hyped_beam.execute.lazy_runner import LazyRunner
from hyped_beam.ir.builder import GraphBuilder
from hyped_beam.ir.graph import Edge, Graph, Kind
from hyped_beam.nodes.refs import Ref
from hyped_beam.plan.planner import AGGREGATES, Plan
from hyped_beam.types import features


class FixedOutputs:
    """What a flow gives whose outputs are fixed.

    Args:
        outputs: What was asked for.
        graph: The graph of it, before any pass.
        plan: The plan; made of the graph by default.

    Attributes:
        outputs: What was asked for.
        graph: The graph of it, before any pass.
        plan: The plan.
        runner: Runs it; open for as long as the flow is there.
        state: What its batches have added up to; None without aggregates that batches add up.
    """

    def __init__(self, outputs: Outputs, graph: Graph, plan: Plan | None = None) -> None:
        self.outputs = outputs
        self.graph = graph
        self.plan = plan_of(graph) if plan is None else plan
        self.runner = LazyRunner(self.plan.scan)
        adds_up = outputs.has_aggregators and not self.plan.earlier
        self.state = AggregateState(self.plan) if adds_up else None


def outputs_in(graph: Graph) -> tuple[Ref, FixedOutputs]:
    """The source of a graph that was saved, and what its sinks are the outputs of."""
    recorded = [node for node in graph.nodes.values() if node.kind is not Kind.SINK]
    builder = GraphBuilder({node.id: node for node in recorded}, list(graph.scopes))
    asked = {
        sink.operation.name: Ref(builder, edge, sink.feature)
        for sink in graph.sinks
        for edge in sink.inputs.values()
    }
    columns = features.as_features(graph.source.feature)
    source = Ref(builder, Edge(graph.source.id), columns)
    return source, FixedOutputs(Outputs(asked.get(ROWS), asked.get(AGGREGATES)), graph)
