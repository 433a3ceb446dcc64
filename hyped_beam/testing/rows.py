"""Evaluating refs on a few rows, through the same planner and executor as everything else."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from hyped_beam.execute.stage import Batch, StageRunner
from hyped_beam.ir.graph import Graph, GraphBuilder, Kind, Sink
from hyped_beam.ir.scope import SOURCE_ROWS
from hyped_beam.ir.verify import verify
from hyped_beam.nodes.pack import pack
from hyped_beam.nodes.refs import Ref, builder_of, edge_of, feature_of
from hyped_beam.nodes.registry import load_library
from hyped_beam.plan.planner import make_plan
from hyped_beam.types import features


def flow_of(columns: Any) -> Ref:
    """The source of a new flow over some columns.

    Args:
        columns: Features, a dict of them, or an Arrow schema.
    """
    load_library()
    described = features.as_features(columns)
    builder = GraphBuilder()
    return Ref(builder, builder.add_source(described), described)


def evaluate(ref: Ref, table: pa.Table | pa.RecordBatch) -> pa.Array:
    """The values of a ref for the rows of a table.

    Args:
        ref: A ref of a flow whose source has the table's columns.
        table: The rows.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"text": ["a b", None]})
        >>> evaluate(flow_of(table.schema).text.length(), table).to_pylist()
        [3, None]
    """
    batch = pa.RecordBatch.from_struct_array(table.to_struct_array().combine_chunks()) if isinstance(
        table, pa.Table
    ) else table
    builder = builder_of(ref).fork()
    packed = pack({"value": Ref(builder, edge_of(ref), feature_of(ref))})
    builder.add(
        Kind.SINK,
        Sink("value"),
        feature=feature_of(packed),
        name="value",
        inputs={"input": edge_of(packed)},
        scope=SOURCE_ROWS,
    )
    graph = _needed(builder.build())
    verify(graph)
    plan = make_plan(graph)
    runner = StageRunner(plan.scan)
    result = runner.run(Batch({graph.source.id: _columns(batch)}, batch.num_rows, 0))
    return result.outputs["value"].column("value")


def _columns(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def _needed(graph: Graph) -> Graph:
    needed: set[int] = {graph.source.id}
    for node in reversed(list(graph.nodes.values())):
        if node.kind is Kind.SINK or node.id in needed:
            needed.add(node.id)
            needed.update(edge.node for edge in node.inputs.values())
    return graph.with_nodes(node for node in graph.nodes.values() if node.id in needed)
