"""Conditions of filters reach the source: what files say they do not hold is not read."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import Count, Mean
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.parquet import ParquetDatasetWriter

ROWS = 10_000
GROUP = 1_000


@pytest.fixture
def reader(tmp_path):
    numbers = list(range(ROWS))
    table = pa.table({"n": pa.array(numbers, pa.int32()), "text": [str(number) for number in numbers]})
    pq.write_table(table, tmp_path / "numbers.parquet", row_group_size=GROUP)
    return ParquetReader(tmp_path / "numbers.parquet")


def job_of(reader, tmp_path, condition, **aggregators):
    flow = DataFlow(features=reader)
    src = flow.src_features
    kept = ops.filter(src, condition(src))
    job = flow.job(source=reader).write(collect={"n": kept.n}, to=ParquetDatasetWriter(tmp_path / "out"))
    if aggregators:
        job = job.aggregate({name: made(src, kept) for name, made in aggregators.items()})
    return job


@pytest.mark.parametrize(
    ("condition", "rows", "read"),
    [
        (lambda src: src.n >= 9_500, 500, GROUP),
        (lambda src: (src.n < 10) | (src.n == 5_000), 11, 2 * GROUP),
        (lambda src: ~(src.n >= 1_000) & src.n.is_not_null(), 1_000, GROUP),
        (lambda src: src.n.between(2_500, 3_500), 1_001, 2 * GROUP),
        (lambda src: src.n + 0 >= 9_500, 500, ROWS),  # nobody says what a sum is as an expression
        (lambda src: src.text == "77", 1, None),
    ],
)
def test_what_cannot_meet_a_condition_is_not_read(reader, tmp_path, condition, rows, read):
    result = job_of(reader, tmp_path, condition).run()
    assert result.rows == {"rows": rows}
    if read is not None:
        assert result.rows_in == read


def test_the_plan_says_what_is_left_out(reader, tmp_path):
    job = job_of(reader, tmp_path, lambda src: src.n > 5)
    assert "scan: reads 1 of 2 columns: n, where (n > 5)" in job.explain()


def test_all_rows_are_read_that_anything_needs(reader, tmp_path):
    chosen = job_of(
        reader,
        tmp_path,
        lambda src: src.n >= 9_500,
        prior=lambda src, _: Count().call(src.n, where=src.n < 100),
    ).run()
    assert chosen.aggregates == {"prior": 100}
    assert chosen.rows_in == 2 * GROUP
    mean = {"all": lambda src, _: Mean().call(src.n)}
    whole = job_of(reader, tmp_path / "whole", lambda src: src.n >= 9_500, **mean).run()
    assert whole.rows_in == ROWS
    assert whole.aggregates == {"all": (ROWS - 1) / 2}


def test_rows_that_are_numbered_are_all_read(reader, tmp_path):
    flow = DataFlow(features=reader)
    kept = ops.filter(flow.src_features, flow.src_features.n >= 9_500)
    some = ops.sample(kept, 0.5, seed=3)
    job = flow.job(source=reader).write(collect={"n": some.n}, to=ParquetDatasetWriter(tmp_path / "out"))
    assert "where" not in job.explain().splitlines()[2]
    assert job.run().rows_in == ROWS
