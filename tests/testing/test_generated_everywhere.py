"""Generated flows, fitted and frozen ones among them, give the same through every entrance."""

from __future__ import annotations

from typing import Any

import datasets
import pyarrow as pa
from hypothesis import HealthCheck, Phase, given, settings

from hyped_beam import DataFlow
from hyped_beam.aggregators import Count
from hyped_beam.errors import DefinitionError
from hyped_beam.testing import assert_same_everywhere
from tests.passes import test_generated_flows as mapped
from tests.passes import test_generated_scopes as scoped

QUICKLY = settings(  # an example takes seconds, and to shrink one minutes
    max_examples=4,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


def in_two_parts(table: pa.Table) -> datasets.Dataset:
    half = table.num_rows // 2
    parts = [datasets.Dataset(part) for part in (table.slice(0, half), table.slice(half)) if part.num_rows]
    return datasets.concatenate_datasets(parts) if parts else datasets.Dataset(table)


@QUICKLY
@given(scoped.flows())
def test_flows_of_many_kinds_of_rows(made: Any):
    flow, table, collect, wanted = made
    data = in_two_parts(table)
    told = assert_same_everywhere(flow, data, collect, runners=["local", "direct"])
    assert {"apply(Dataset)", "job on local", "job on direct", "command line"} <= {*told.compared}
    assert flow.apply(data, collect=collect)[0].to_list() == wanted
    try:
        fitted = flow.fit(data, collect=collect)
    except DefinitionError:  # groups alone, or distinct rows
        return
    served = fitted.outputs["rows"]
    more = {"again": served.c0, "both": {"all": served, "text": "constant"}}
    aggregators = {"n": Count().call(served.c0)} if not fitted.plan().group_outputs else None
    assert_same_everywhere(fitted, data, more, aggregators, runners=["local"])


@QUICKLY
@given(mapped.flows(), mapped.tables)
def test_flows_of_nodes_of_all_kinds(made: Any, batch: pa.RecordBatch):
    source, outputs = made
    flow = DataFlow.__new__(DataFlow)
    flow._record_into(source, None)
    data = in_two_parts(pa.Table.from_batches([batch]))
    told = assert_same_everywhere(
        flow, data, outputs.collect, outputs.aggregators, runners=["local", "direct"]
    )
    assert {"as_transform", "consume", "saved and loaded: command line", "pickled: job on local"} <= {
        *told.compared
    }
