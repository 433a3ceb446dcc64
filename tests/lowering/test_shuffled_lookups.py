"""Lookups whose table is shuffled: the same rows as where each process holds it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import Count
from hyped_beam.dsl.outputs import ROWS, Outputs, graph_of
from hyped_beam.errors import InputError
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.ir.verify import verify
from hyped_beam.nodes.refs import builder_of
from hyped_beam.passes import optimise
from hyped_beam.plan import joins
from hyped_beam.plan.joins import Extent
from hyped_beam.plan.planner import Plan, make_plan
from hyped_beam.plan.text import plan_text
from hyped_beam.tasks.memory import run_here
from hyped_beam.testing import flow_of

KEYS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "text": (pa.string(), ["a", "b", "", None, "one of more than eight bytes"]),
    "float": (pa.float64(), [math.nan, 0.0, -0.0, 1.5, None, math.inf]),
    "list": (pa.list_(pa.int64()), [[], [1], [1, None], None, [2, 3]]),
    "struct": (pa.struct([("x", pa.string())]), [{"x": "a"}, {"x": None}, {"x": "b"}]),
    "whole": (pa.int64(), [*range(30), None]),
}


def plan_for(src: Any, collect: dict[str, Any]) -> Plan:
    plan = make_plan(optimise(graph_of(builder_of(src), Outputs(collect)), verify=True))
    return plan.for_source(Extent(1, 1))


def values(src: Any, table: str, join: str) -> dict[str, Any]:
    """Values of a table at rows, at fewer and more of them, and further ones found by them."""
    found = ops.lookup(src.k, in_=table, key="id", join=join)
    again = ops.lookup(found.next, in_=table, key="id", join=join)
    return {
        "n": src.n,
        "row": found,
        "name": found.name.upper(),
        "again": again.name,
        "named": Count().call(src.n, by=found.name),
    }


@st.composite
def tables(draw: Callable[..., Any]) -> tuple[pa.Table, pa.Table]:
    """Rows, and a table of what is looked up."""
    kind, keys = KEYS[draw(st.sampled_from(sorted(KEYS)))]
    rows = draw(st.lists(st.sampled_from(keys), max_size=40))
    there = draw(st.lists(st.sampled_from(keys), max_size=12, unique_by=lambda key: repr(key).lstrip("-")))
    following = [draw(st.sampled_from(keys)) for _ in there]
    table = pa.table(
        {
            "name": [f"name {at % 5}" if at % 4 else None for at in range(len(there))],
            "id": pa.array(there, kind),
            "next": pa.array(following, kind),
        },
        schema=pa.schema({"name": pa.string(), "id": kind, "next": kind}),
    )
    return pa.table({"k": pa.array(rows, kind), "n": pa.array(range(len(rows)), pa.int64())}), table


@settings(max_examples=40)
@given(tables(), st.lists(st.integers(0, 40), max_size=5))
def test_rows_are_given_the_same_rows_of_the_table(tmp_path_factory, given_tables, ends):
    rows, table = given_tables
    path = str(tmp_path_factory.mktemp("table") / "table.parquet")
    pq.write_table(table, path, row_group_size=3)
    marks = [0, *sorted(end % (rows.num_rows + 1) for end in ends), rows.num_rows]
    whole = pa.RecordBatch.from_arrays(
        [pa.concat_arrays(one.chunks) for one in rows.columns], rows.schema.names
    )
    batches = [whole.slice(start, stop - start) for start, stop in pairwise(marks)]
    made = []
    for join in ("broadcast", "shuffle"):
        src = flow_of(rows.schema)
        plan = plan_for(src, values(src, path, join))
        verify(plan.graph)
        assert any(one.partitions for one in plan.stages) is (join == "shuffle")
        made.append(pa.Table.from_batches(run_here(plan, batches)[ROWS]).to_pylist())
    assert repr(made[0]) == repr(made[1])  # where a NaN is one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows in several ranges, and a table in several."""
    made = tmp_path_factory.mktemp("files")
    for number in range(4):
        rows = range(number * 100, (number + 1) * 100)
        table = pa.table({"n": rows, "k": [row * 37 % 150 if row % 9 else 7 for row in rows]})
        pq.write_table(table, made / f"rows-{number}.parquet", row_group_size=25)
        users = range(number * 30, (number + 1) * 30)
        table = pa.table(
            {"name": [f"u{user}" for user in users], "next": [user // 2 for user in users], "id": users}
        )
        pq.write_table(table, made / f"users-{number}.parquet", row_group_size=10)
    return made


def rows_of(folder: Path, out: Path, join: str, num_proc: int = 1) -> list[Any]:
    reader = ParquetReader(str(folder / "rows-*.parquet"))
    flow = DataFlow(features=reader)
    collect = values(flow.src_features, str(folder / "users-*.parquet"), join)
    job = flow.job(source=reader).write(collect=collect, to=JsonDatasetWriter(out))
    shards = job.run(num_proc=num_proc).shards["rows"]
    return [json.loads(line) for shard in shards for line in Path(shard).read_text().splitlines()]


@pytest.mark.parametrize("num_proc", [1, 2])
def test_a_job_gives_the_same_rows(folder: Path, tmp_path: Path, num_proc: int):
    assert len(ParquetReader(str(folder / "rows-*.parquet")).ranges()) > 1
    wanted = rows_of(folder, tmp_path / "whole", "broadcast")
    assert rows_of(folder, tmp_path / "parts", "shuffle", num_proc) == wanted
    assert sum(row["row"] is not None for row in wanted) > 100


def test_two_rows_of_one_key_are_the_same_error(folder: Path, tmp_path: Path):
    pq.write_table(pa.table({"id": [1, 2, 1], "name": ["a", "b", "c"]}), tmp_path / "twice.parquet")
    reader = ParquetReader(str(folder / "rows-*.parquet"))
    flow = DataFlow(features=reader)
    said = []
    for join in ("broadcast", "shuffle"):
        found = ops.lookup(flow.src_features.k, in_=str(tmp_path / "twice.parquet"), key="id", join=join)
        job = flow.job(source=reader).write(
            collect={"name": found.name}, to=JsonDatasetWriter(tmp_path / join)
        )
        with pytest.raises(InputError, match=r"the table .*twice\.parquet has the key id=1 twice") as caught:
            job.run()
        assert caught.value.site is not None
        said.append((caught.value.message, caught.value.site.file))
        assert not (tmp_path / join).exists()
    assert said[0] == said[1]


def test_a_table_without_rows_and_rows_without_any(folder: Path, tmp_path: Path):
    empty = tmp_path / "empty.parquet"
    pq.write_table(pq.read_table(folder / "users-0.parquet").slice(0, 0), empty)
    flow = DataFlow(features={"k": "int64"})
    found = ops.lookup(flow.src_features.k, in_=str(empty), key="id", join="shuffle")
    rows, _ = flow.apply(datasets.Dataset.from_dict({"k": [1, None]}), collect={"row": found})
    assert rows["row"][:] == [None, None]
    none = datasets.Dataset(pa.table({"k": pa.array([], pa.int64())}))
    rows, _ = flow.apply(
        none,
        collect={
            "row": ops.lookup(
                flow.src_features.k, in_=str(folder / "users-*.parquet"), key="id", join="shuffle"
            )
        },
    )
    assert rows.num_rows == 0


def test_groups_by_the_key_are_looked_up_in_their_partitions(folder: Path):
    table = pq.read_table(folder / "rows-0.parquet")
    made = []
    for join in ("broadcast", "shuffle"):
        flow = DataFlow(features=datasets.Features.from_arrow_schema(table.schema))
        src = flow.src_features
        g = ops.group_by(src.k, join=join)
        name = ops.lookup(g.keys.k, in_=str(folder / "users-*.parquet"), key="id", join=join).name
        collect = {"k": g.keys.k, "name": name, "rows": Count().call(src.n, by=g)}
        groups, _ = flow.apply(datasets.Dataset(table), collect=collect)
        made.append(sorted(groups.to_list(), key=lambda row: row["k"]))
    assert made[0] == made[1]


def test_the_size_of_the_table_decides(folder: Path, monkeypatch: pytest.MonkeyPatch):
    flow = DataFlow(features={"k": "int64"})
    src = flow.src_features
    collect = {"name": ops.lookup(src.k, in_=str(folder / "users-*.parquet"), key="id").name}
    plan = flow.plan(collect=collect)
    assert "in jobs by a shuffle if the table has over 64 MB" in plan_text(plan)
    here = plan.for_source(Extent(None, None))
    assert "the table in every process, the table is small" in plan_text(here)
    assert len(here.stages) == 1
    monkeypatch.setattr(joins, "TABLE_BYTES", 100)
    there = plan.for_source(Extent(1, 1))
    assert "a partition of the table each, the table has" in plan_text(there)
    assert len(there.stages) == 2
    rows, _ = flow.apply(datasets.Dataset.from_dict({"k": [3, 500]}), collect=collect)
    assert rows["name"][:] == ["u3", None]


def test_outside_of_jobs_the_process_holds_the_table(folder: Path, tmp_path: Path):
    flow = DataFlow(features={"k": "int64"})
    found = ops.lookup(flow.src_features.k, in_=str(folder / "users-*.parquet"), key="id", join="shuffle")
    built, _ = flow.build(collect={"name": found.name})
    assert built.batch_process({"k": [3, None]}) == {"name": ["u3", None]}
    built.save(tmp_path / "flow.json")
    loaded = DataFlow.load(tmp_path / "flow.json")
    assert loaded.batch_process({"k": [4]}) == {"name": ["u4"]}
    assert "in jobs by a shuffle" in loaded.explain()
    stream, _ = loaded.apply(datasets.Dataset.from_dict({"k": [5]}).to_iterable_dataset())
    assert list(stream) == [{"name": "u5"}]


def test_a_join_that_there_is_not_is_refused_at_its_line(folder: Path):
    src = DataFlow(features={"k": "int64"}).src_features
    with pytest.raises(Exception, match="did you mean 'shuffle'") as caught:
        ops.lookup(src.k, in_=str(folder / "users-*.parquet"), key="id", join="shuffel")
    assert "test_shuffled_lookups.py" in str(caught.value)
