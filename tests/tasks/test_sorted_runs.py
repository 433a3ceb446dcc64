"""Sorted runs: all rows in the order of their keys, and never more than a block of each run in memory."""

from __future__ import annotations

import math
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyped_beam.tasks import sorted_runs
from hyped_beam.tasks.sorted_runs import merged, write_run
from hyped_beam.types import arrays
from hyped_beam.types.features import arrow_schema
from hyped_beam.types.identity import group_rows, sort_order

KINDS: dict[str, pa.DataType] = {
    "text": pa.string(),
    "float": pa.float64(),
    "list": pa.list_(pa.int64()),
    "struct": pa.struct([("x", pa.string()), ("y", pa.int64())]),
    "null": pa.null(),
}
VALUES: dict[str, Any] = {
    "text": st.none() | st.text(max_size=2),
    "float": st.none() | st.sampled_from([math.nan, 0.0, 1.5, -2.0, math.inf]),
    "list": st.none() | st.lists(st.none() | st.integers(0, 2), max_size=2),
    "struct": st.none()
    | st.fixed_dictionaries({"x": st.none() | st.text(max_size=1), "y": st.integers(0, 1)}),
    "null": st.none(),
}
keys_of = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.lists(VALUES[kind], max_size=60).map(lambda keys: pa.array(keys, KINDS[kind]))
)


@settings(max_examples=60)
@given(keys_of, st.integers(1, 4), st.integers(1, 5), st.integers(1, 9))
def test_rows_come_in_the_order_of_their_keys(tmp_path_factory, column, runs, block, size):
    folder = tmp_path_factory.mktemp("runs")
    keys = arrays.struct_of({"k": column}, len(column))
    rows = pa.RecordBatch.from_arrays([pa.array(range(len(keys)), pa.int64()), column], ["row", "k"])
    order = sort_order({"k": column}, len(keys))
    groups, _ = group_rows({"k": column}, len(keys))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_runs, "BLOCK_ROWS", block)
        for run in range(runs):
            chosen = pa.array([row for row in order.tolist() if groups[row] % runs == run], pa.int64())
            write_run(folder / f"{run}.arrow", rows.take(chosen), keys.take(chosen))
        found = list(merged(sorted(folder.iterdir()), rows.schema, size))
    assert all(batch.num_rows == size for batch in found[:-1])
    numbers = [row for batch in found for row in batch["row"].to_pylist()]
    assert numbers == order.tolist()


def test_columns_keep_their_features(tmp_path):
    schema = arrow_schema({"a": datasets.Array2D(shape=(1, 2), dtype="int64")})
    rows = pa.RecordBatch.from_arrays(
        [arrays.from_values([[[1, 2]], [[3, 4]]], schema.field(0).type)], schema=schema
    )
    write_run(tmp_path / "0.arrow", rows, arrays.struct_of({"k": pa.array([1, 2])}, 2))
    (found,) = merged([tmp_path / "0.arrow"], schema, 10)
    assert found.schema.equals(schema, check_metadata=True)
    assert found.equals(rows)


def test_only_a_block_of_each_run_is_held(tmp_path):
    rows, runs = 200_000, 4
    for run in range(runs):
        numbers = pa.array(np.arange(run, rows * runs, runs))
        batch = pa.RecordBatch.from_arrays([pa.array(["x" * 100] * rows)], ["text"])
        write_run(tmp_path / f"{run}.arrow", batch, arrays.struct_of({"k": numbers}, rows))
    pool = pa.default_memory_pool()
    before, most, count = pool.bytes_allocated(), 0, 0
    for batch in merged(sorted(tmp_path.iterdir()), pa.schema({"text": pa.string()}), 1000):
        most = max(most, pool.bytes_allocated() - before)
        count += batch.num_rows
    assert count == rows * runs
    assert most < 20 * runs * sorted_runs.BLOCK_BYTES
    assert most < rows * 100
