"""Sums and products that do not fit into 64 bits, on every way that rows are aggregated on."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, FlowError, ops
from hyped_beam.aggregators import Count, Mean, Product, Sum
from hyped_beam.io.readers.parquet import ParquetReader

MOST, LEAST, UNSIGNED = 2**63 - 1, -(2**63), 2**64 - 1
PARTS = 4
"""Into how many parts that are ranges of their own rows are cut."""

Run = Callable[[pa.Table, bool], Any]


def aggregated(table: pa.Table, *, grouped: bool, run: Callable[[DataFlow, dict[str, Any]], Any]) -> Any:
    flow = DataFlow(features=table.schema)
    src = flow.src_features
    by = src.k if grouped else None
    made = {
        "sum": Sum().call(src.n, by=by),
        "product": Product().call(src.m, by=by),
        "count": Count().call(src.n, by=by),
        "mean": Mean().call(src.n, by=by),
    }
    if grouped:
        groups = ops.group_by(src.k)
        rows = run(flow, {"collect": {"k": groups.keys.k, **made}})
        return {row["k"]: {name: row[name] for name in made} for row in rows.to_pylist()}
    return run(flow, {"aggregators": made})


def by_apply(table: pa.Table, *, grouped: bool, num_proc: int = 1) -> Any:
    size = table.num_rows // PARTS
    parts = [datasets.Dataset(table.slice(start, size)) for start in range(0, table.num_rows, size)]
    data = datasets.concatenate_datasets(parts)

    def run(flow: DataFlow, asked: dict[str, Any]) -> Any:
        rows, aggregates = flow.apply(data, num_proc=num_proc, **asked)
        return rows.data.table if grouped else aggregates

    return aggregated(table, grouped=grouped, run=run)


def by_batches(table: pa.Table, *, grouped: bool) -> Any:
    def run(flow: DataFlow, asked: dict[str, Any]) -> Any:
        built, live = flow.build(**asked)
        for batch in table.to_batches(max_chunksize=table.num_rows // PARTS):
            built.batch_process(batch)
        return dict(live)

    assert not grouped
    return aggregated(table, grouped=False, run=run)


def by_iterating(table: pa.Table, *, grouped: bool) -> Any:
    data = datasets.Dataset(table).to_iterable_dataset(num_shards=PARTS)

    def run(flow: DataFlow, asked: dict[str, Any]) -> Any:
        rows, live = flow.apply(data, collect={"n": flow.src_features.n}, batch_size=2, **asked)
        list(rows)
        return dict(live)

    assert not grouped
    return aggregated(table, grouped=False, run=run)


def by_job(folder: Path, table: pa.Table) -> Any:
    """Of ranges: a row group each."""
    pq.write_table(table, folder / "rows.parquet", row_group_size=table.num_rows // PARTS)

    def run(flow: DataFlow, asked: dict[str, Any]) -> Any:
        job = flow.job(source=ParquetReader(folder / "rows.parquet")).aggregate(asked["aggregators"])
        return job.run(num_proc=2).aggregates

    return aggregated(table, grouped=False, run=run)


WAYS: dict[str, tuple[Callable[..., Any], bool]] = {
    "apply": (by_apply, False),
    "apply by key": (by_apply, True),
    "apply with two processes": (lambda table, grouped: by_apply(table, grouped=grouped, num_proc=2), False),
    "apply by key with two processes": (
        lambda table, grouped: by_apply(table, grouped=grouped, num_proc=2),
        True,
    ),
    "batches": (by_batches, False),
    "a lazily applied dataset": (by_iterating, False),
}


def table_of(numbers: list[int], factors: list[int], kind: pa.DataType) -> pa.Table:
    """Rows of two keys, of which each has the same numbers: many ranges' worth, parts of which overflow."""
    keys = [key for key in "ab" for _ in numbers]
    return pa.table({"k": keys, "n": pa.array(numbers * 2, kind), "m": pa.array(factors * 2, kind)})


def expected(numbers: list[int], factors: list[int]) -> dict[str, Any]:
    return {
        "sum": sum(numbers),
        "product": math.prod(factors),
        "count": len(numbers),
        "mean": pytest.approx(sum(map(float, numbers)) / len(numbers), abs=1e-9 * MOST),
    }


FITS = {
    "parts that overflow upwards and come back": (
        [MOST] * 64 + [LEAST] * 64,
        [2] * 20 + [1] * 107 + [-1],
        pa.int64(),
    ),
    "parts that overflow downwards and come back": (
        [LEAST] * 64 + [MOST] * 63 + [MOST - 5],
        [2**40] * 64 + [0] + [-3] * 63,
        pa.int64(),
    ),
    "the largest unsigned one": ([UNSIGNED // 256] * 128, [2] * 31 + [1] * 97, pa.uint64()),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FITS)
def test_what_fits_in_the_end_is_exact_whatever_its_parts_are(name, way):
    numbers, factors, kind = FITS[name]
    run, grouped = WAYS[way]
    table = table_of(numbers, factors, kind)
    if grouped:
        assert run(table, grouped=True) == {key: expected(numbers, factors) for key in "ab"}
    else:
        assert run(table, grouped=False) == expected(numbers * 2, factors * 2)


SUM_OVERFLOWS = [1] * 127 + [MOST]
PRODUCT_OVERFLOWS = [2] * 64 + [1] * 64


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("numbers", "factors", "what"),
    [(SUM_OVERFLOWS, [1] * 128, "sum"), ([1] * 128, PRODUCT_OVERFLOWS, "product")],
    ids=["sum", "product"],
)
def test_what_does_not_fit_is_an_error(numbers, factors, what, way):
    run, grouped = WAYS[way]
    with pytest.raises(FlowError, match=f"node '{what}' failed: .*overflows 64 bits"):
        run(table_of(numbers, factors, pa.int64()), grouped=grouped)


def test_ranges_of_a_job_that_overflow_alone(tmp_path):
    numbers, factors, kind = FITS["parts that overflow upwards and come back"]
    assert by_job(tmp_path, table_of(numbers, factors, kind)) == expected(numbers * 2, factors * 2)
