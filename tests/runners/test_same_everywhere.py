"""Jobs of all kinds make the same bytes on every runner at hand."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from hyped_beam import Augmentor, DataFlow, Rows, ops, processor
from hyped_beam.aggregators import Count, CountDistinct, Mean, Quantiles, Std, Sum, TopK, Vocabulary
from hyped_beam.dsl.job import Job
from hyped_beam.features import tfidf, z_score
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.arrow import ArrowDatasetWriter
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter
from hyped_beam.testing import assert_same_on
from hyped_beam.types.patterns import Int64Column
from tests.aggregators.test_all import CASES, KINDS, ROUNDED, name_of
from tests.passes.test_generated_scopes import flows
from tests.runners.places import EVERYWHERE, PRISM, THREADS

FILES, ROWS = 5, 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of rows that are cut into several ranges, and a table to look things up in."""
    made = tmp_path_factory.mktemp("rows")
    chance = random.Random(5)  # noqa: S311 - no secret
    words = ["free", "money", "to", "be", "or", "not", "", None]
    (made / "in").mkdir()
    for number in range(FILES):
        rows = range(number * ROWS, (number + 1) * ROWS)
        table = pa.table(
            {
                "id": rows,
                "x": [None if row % 11 == 0 else chance.uniform(-5, 5) for row in rows],
                "group": [chance.choice(["a", "b", "c", None]) for _ in rows],
                "user": [chance.choice([f"u{at}" for at in range(30)]) for _ in rows],
                "text": [
                    " ".join(filter(None, chance.choices(words, k=6))) if row % 9 else None for row in rows
                ],
                "padding": [chance.randbytes(100_000) for _ in rows],
            }
        )
        pq.write_table(table, made / "in" / f"{number}.parquet", row_group_size=20)
    users = pa.table({"id": [f"u{at}" for at in range(0, 30, 2)], "age": pa.array(range(15), pa.int8())})
    pq.write_table(users, made / "users.parquet")
    return made


class Copies(Augmentor):
    """Each row as often as it says."""

    def process(self, count: Int64Column) -> Rows:
        return Rows([row for row, times in enumerate(count.to_pylist()) for _ in range(times or 0)])


@processor
async def later(text: str) -> int:
    return len(text)


def job_of_rows(folder: Path) -> Job:
    """Values of other rows at rows, fewer and more rows; groups and tables in one place and in partitions."""
    reader = ParquetReader(folder / "in")
    flow = DataFlow(features=reader)
    src = flow.src_features
    words = src.text.split()
    lines = ops.explode(words)
    good, bad = ops.partition(src, src.x > 0)
    parts = ops.split(src, by=src.id, train=0.8, test=0.2, seed=0)
    shuffled = ops.group_by({"user": src.user}, join="shuffle")
    found = {
        join: ops.lookup(src.user, in_=str(folder / "users.parquet"), key="id", join=join)
        for join in ("broadcast", "shuffle")
    }
    vocabulary = Vocabulary(size=4).call(words)
    rows: dict[str, Any] = {
        "plain": {"id": src.id, "x": src.x, "words": words.length(), "later": later.call(src.text)},
        "whole": {"z": z_score(src.x), "more": src.x - Quantiles(q=[0.5]).call(src.x)[0]},
        "groups_at_rows": {
            "small": src.x - Mean().call(src.x, by=src.group),
            "many": src.x - Mean().call(src.x, by=shuffled),
            "two": Count().call(src.x, by={"g": src.group, "u": src.user}),
            "again": Std().call(Mean().call(src.x, by=src.group)),
        },
        "looked_up": {join: table.age for join, table in found.items()},
        "good": {"id": good.id, "share": good.x / Sum().call(good.x)},
        "bad": {"id": bad.id},
        "exploded": {"id": src.id, "word": lines, "of": Count().call(lines, by=ops.each(src))},
        "distinct": {"id": ops.distinct(src, by=src.text).id},
        "sampled": {"id": ops.sample(src, 0.5, seed=1).id},
        "copies": {"id": ops.align(src.id, to=Copies().call(src.id % 3))},
        "train": {"id": parts.train.id},
        "words": {"known": vocabulary.index(words), "weights": tfidf(words)},
        "per_group": {
            "group": (g := ops.group_by({"group": src.group})).keys.group,
            "mean": Mean().call(src.x, by=g),
            "users": CountDistinct().call(src.user, by=g),
        },
        "per_user": {"user": shuffled.keys.user, "top": TopK(k=2).call(src.group, by=shuffled)},
    }
    job = flow.job(source=reader).aggregate({"mean": Mean().call(src.x), "top": TopK(k=3).call(src.user)})
    for at, (name, collect) in enumerate(rows.items()):
        writer = (JsonDatasetWriter, ParquetDatasetWriter, ArrowDatasetWriter)[at % 3]
        job = job.write(name, collect=collect, to=writer("out"))
    return job


def columns_of_every_kind() -> pa.Table:
    """A column of each of the types that aggregators are tried with, with whatever is awkward in them."""
    chance = random.Random(3)  # noqa: S311 - no secret
    integers = [0, 1, -1, 2**40, -(2**40), 7, None]
    floats = [0.0, -0.0, math.nan, math.inf, 1.5, -2.25, 0.1, None]
    texts = ["", "a", "b", "ab", "\u00e4", None]
    lists = [[], [1], [None, 2], [0, 1, 2], None]
    awkward: dict[str, list[Any]] = {
        "integers": integers,
        "small": [-3, 0, 1, 3, None],
        "floats": floats,
        "texts": texts,
        "large texts": texts,
        "lists": lists,
        "lists of texts": [[], ["a", "b"], [None, "a"], ["ab", "ab"], None],
        "structs": [{"x": x, "y": y} for x in floats[:5] for y in lists],
        "booleans": [True, False, None],
    }
    made = {name: pa.array(chance.choices(awkward[name], k=200), kind) for name, (_, kind) in KINDS.items()}
    return pa.table({**made, "group": [chance.choice(["a", "b", None]) for _ in range(200)]})


def job_of_aggregators() -> Job:
    """All aggregators: of the whole dataset, of groups in one place, of groups in partitions."""
    table = columns_of_every_kind()
    source = datasets.concatenate_datasets(
        [datasets.Dataset(table.slice(at, 50)) for at in range(0, 200, 50)]
    )
    flow = DataFlow(features=source.features)
    src = flow.src_features
    whole: dict[str, Any] = {}
    groups = {join: ops.group_by({"group": src.group}, join=join) for join in ("broadcast", "shuffle")}
    per_group: dict[str, dict[str, Any]] = {join: {"group": g.keys.group} for join, g in groups.items()}
    for at, (node, kinds) in enumerate(CASES + ROUNDED):
        inputs = {name: src[kind] for name, kind in kinds.items()}
        whole[f"{at} {name_of((node, kinds))}"] = node.call(**inputs)
        for join, g in groups.items():
            per_group[join][f"n{at}"] = node.call(**inputs, by=g)
    job = flow.job(source=source).aggregate(whole)
    for join, collect in per_group.items():
        job = job.write(join, collect=collect, to=ArrowDatasetWriter("out"))
    return job


@pytest.mark.parametrize("place", EVERYWHERE)
def test_rows_groups_and_tables_of_all_kinds(folder: Path, place: Any):
    job = job_of_rows(folder)
    assert len(job.source.ranges()) > 2
    assert_same_on(job, ["local", place], num_proc=2)


@pytest.mark.parametrize("place", EVERYWHERE)
def test_all_aggregators(place: Any):
    assert_same_on(job_of_aggregators(), ["local", place], num_proc=1)


@pytest.mark.parametrize(
    "place", [pytest.param(THREADS, id="threads"), pytest.param("prism", id="prism", marks=PRISM)]
)
@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow])
@given(made=flows())
def test_generated_flows(made: Any, place: Any):
    flow, table, collect, _ = made
    half = table.num_rows // 2
    parts = [datasets.Dataset(part) for part in (table.slice(0, half), table.slice(half)) if part.num_rows]
    source = datasets.concatenate_datasets(parts) if parts else datasets.Dataset(table)
    job = flow.job(source=source).write(collect=collect, to=JsonDatasetWriter("out/"))
    assert_same_on(job, ["local", place], num_proc=1)


@pytest.mark.parametrize("place", EVERYWHERE[:2] + EVERYWHERE[3:])
@pytest.mark.parametrize("num_proc", [1, 2])
def test_iterables_and_empty_sources(place: Any, num_proc: int):
    def rows(shards: list[int]) -> Iterator[dict[str, int]]:
        for shard in shards:
            yield from ({"n": 100 * shard + row} for row in range(100))

    flow = DataFlow(features={"n": "int64"})
    n = flow.src_features.n
    sources = [
        datasets.IterableDataset.from_generator(rows, gen_kwargs={"shards": [0, 1, 2]}),
        datasets.Dataset.from_dict({"n": []}, features=datasets.Features({"n": datasets.Value("int64")})),
    ]
    for source in sources:
        job = flow.job(source=source).write(collect={"n": n + 1}, to=JsonDatasetWriter("out"))
        assert_same_on(job.aggregate({"sum": Sum().call(n)}), ["local", place], num_proc=num_proc)
