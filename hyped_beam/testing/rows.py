"""Evaluating refs on a few rows, through the same planner and executor as everything else."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from hyped_beam.dsl.outputs import ROWS, Outputs, graph_of, plan_of
from hyped_beam.ir.builder import GraphBuilder
from hyped_beam.ir.verify import verify
from hyped_beam.nodes.refs import Ref, builder_of
from hyped_beam.nodes.registry import load_library
from hyped_beam.plan.planner import AGGREGATES
from hyped_beam.tasks.memory import run_here
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
    """The values of a ref: for the rows of a table, or for those made of them, or for groups of them.

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
    plan = plan_of(graph_of(builder_of(ref), Outputs(collect={"value": ref})))
    verify(plan.graph)
    rows = table.combine_chunks().to_batches() if isinstance(table, pa.Table) else [table]
    made = run_here(plan, rows or [_empty(table.schema)])[ROWS]
    return pa.concat_batches(made).column("value")


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def aggregate(ref: Ref, table: pa.Table) -> Any:
    """The value of an aggregate over the rows of a table, each of its batches computed apart.

    Args:
        ref: A ref in the scope of the whole dataset.
        table: The rows.
    """
    builder = builder_of(ref)
    plan = plan_of(graph_of(builder, Outputs(aggregators={"value": ref})))
    verify(plan.graph)
    (row,) = run_here(plan, table.to_batches() or [_empty(table.schema)])[AGGREGATES]
    return row.to_pylist()[0]["value"]
