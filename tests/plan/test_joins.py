"""What is broadcast and what is shuffled: by the keys, by what takes the groups, by the source."""

from __future__ import annotations

from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import Count, Mean
from hyped_beam.errors import DefinitionError
from hyped_beam.io.readers.dataset import DatasetReader
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.plan.joins import BROADCAST_BYTES, BROADCAST_ROWS, Extent

SMALL = Extent(1_000, 10)
LARGE = Extent(BROADCAST_BYTES + 1, None)
COLUMNS = {
    "k": "string",
    "x": "float64",
    "flag": "bool",
    "byte": "int8",
    "label": datasets.ClassLabel(names=["ham", "spam"]),
}


def choice(by, extent=LARGE):
    """How the groups by some columns get to the rows of a source of some size."""
    flow = DataFlow(features=COLUMNS)
    src = flow.src_features
    g = by(src)
    off = src.x - Mean().call(src.x, by=g)
    (found,) = flow.plan(collect={"off": off}).for_source(extent).joins.values()
    return found


@pytest.mark.parametrize(
    ("extent", "shuffled"),
    [
        (SMALL, False),
        (LARGE, True),
        (Extent(BROADCAST_BYTES, BROADCAST_ROWS), False),
        (Extent(BROADCAST_BYTES, BROADCAST_ROWS + 1), True),
        (Extent(None, None), True),
        (Extent(0, 0), False),
    ],
)
def test_the_size_of_the_source_decides(extent, shuffled):
    found = choice(lambda src: src.k, extent)
    assert found.shuffled is shuffled
    assert "source" in found.reason


@pytest.mark.parametrize(
    ("names", "shuffled"),
    [
        ("flag", False),
        ("label", False),
        ("flag label byte", False),
        ("flag label byte k", True),
        ("flag k", True),
    ],
)
def test_few_keys_are_broadcast_whatever_the_source(names, shuffled):
    assert choice(lambda src: {name: src[name] for name in names.split()}).shuffled is shuffled
    assert choice(lambda src: {"a": src.byte, "b": src.byte + 1}).shuffled


def test_what_is_told_is_done():
    assert choice(lambda src: ops.group_by(src.flag, join="shuffle"), SMALL).shuffled
    assert not choice(lambda src: ops.group_by(src.k, join="broadcast")).shuffled


def test_a_key_without_a_join_is_of_the_groups_that_are_there():
    flow = DataFlow(features=COLUMNS)
    src = flow.src_features
    g = ops.group_by(src.k, join="shuffle")
    off = Mean().call(src.x, by=g) - Mean().call(src.x, by=src.k)
    (found,) = flow.plan(collect={"off": src.x - off}).joins.values()
    assert found.shuffled


def test_without_a_source_the_plan_says_when_it_would_shuffle():
    flow = DataFlow(features=COLUMNS)
    src = flow.src_features
    plan = flow.plan(collect={"off": src.x - Mean().call(src.x, by=src.k)})
    assert plan.depends_on_source
    assert "by a shuffle if the source has over 256 MB" in flow.explain(
        collect={"off": src.x - Mean().call(src.x, by=src.k)}
    )
    assert not plan.for_source(SMALL).depends_on_source


def test_the_bound_on_rows_stays_when_the_source_is_known():
    flow = DataFlow(features=COLUMNS)
    src = flow.src_features
    upper = src.k.upper()
    plan = flow.plan(collect={"off": Count().call(src.x, by=upper)}).with_batch_size(7).for_source(LARGE)
    sizes = {step.options.batch_size for one in plan.stages for step in one.scan.steps if step.options}
    assert sizes == {7}


def test_a_job_says_what_its_source_makes_it_do(tmp_path):
    pq.write_table(pa.table({"k": ["a"], "x": [1.0]}), tmp_path / "small.parquet")
    reader = ParquetReader(tmp_path / "small.parquet")
    flow = DataFlow(features=reader)
    src = flow.src_features
    job = flow.job(source=reader).write(
        collect={"off": src.x - Mean().call(src.x, by=src.k)}, to=JsonDatasetWriter(tmp_path / "out")
    )
    assert "in one place (the source is small)" in job.explain()
    (tmp_path / "small.parquet").unlink()
    declared = ParquetReader(tmp_path / "small.parquet", features=reader.features)
    missing = flow.job(source=declared).write(
        collect={"off": src.x - Mean().call(src.x, by=src.k)}, to=JsonDatasetWriter(tmp_path / "out")
    )
    assert "if the source has over 256 MB" in missing.explain()


def test_sources_tell_how_large_they_are(tmp_path):
    table = pa.table({"n": range(100)})
    pq.write_table(table, tmp_path / "a.parquet")
    size, rows = ParquetReader(tmp_path / "a.parquet").extent()
    assert size is not None
    assert 0 < size <= (tmp_path / "a.parquet").stat().st_size
    assert rows == 100
    (tmp_path / "a.jsonl").write_text('{"n": 1}\n')
    assert JsonReader(tmp_path / "a.jsonl").extent() == (9, None)
    with Path(tmp_path / "large.jsonl").open("wb") as file:
        file.truncate(BROADCAST_BYTES + 1)
    assert JsonReader(tmp_path / "large.jsonl", features={"n": "int64"}).extent() == (
        BROADCAST_BYTES + 1,
        None,
    )
    assert DatasetReader(datasets.Dataset(table)).extent()[1] == 100
    assert DatasetReader(datasets.Dataset(table.slice(0, 0))).extent() == (0, 0)
    assert DatasetReader(datasets.Dataset(table).to_iterable_dataset()).extent() == (None, None)


def test_a_join_that_there_is_not_is_refused_at_its_line():
    src = DataFlow(features=COLUMNS).src_features
    with pytest.raises(DefinitionError, match="did you mean 'broadcast'") as caught:
        ops.group_by(src.k, join="brodcast")
    assert "test_joins.py" in str(caught.value)
    with pytest.raises(DefinitionError, match="join= takes"):
        ops.group_by(src.k, join=True)


def test_a_saved_flow_keeps_what_was_told(tmp_path):
    flow = DataFlow(features=COLUMNS)
    src = flow.src_features
    g = ops.group_by(src.k, join="shuffle")
    flow.save(tmp_path / "flow.json", collect={"k": g.keys.k, "mean": Mean().call(src.x, by=g)})
    loaded = DataFlow.load(tmp_path / "flow.json")
    (found,) = loaded.plan().joins.values()
    assert found.shuffled
    text = (tmp_path / "flow.json").read_text()
    (tmp_path / "flow.json").write_text(text.replace('"join": "shuffle"', '"join": "shufle"'))
    with pytest.raises(Exception, match="join"):
        DataFlow.load(tmp_path / "flow.json")
