"""Writers that consume datasets: in memory, streamed, lazily applied, with their aggregates."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest

from hyped_beam import DataFlow, NodeError, processor
from hyped_beam.aggregators import Count, Sum
from hyped_beam.errors import DefinitionError, DefinitionTypeError, InputError
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter
from hyped_beam.launch.progress import Progress

FEATURES = datasets.Features(
    {
        "n": datasets.Value("int64"),
        "t": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["a", "b"]),
    }
)
SHARDS, ROWS = 3, 700


def rows_of(shards: list[int]) -> Iterator[dict[str, Any]]:
    for shard in shards:
        for row in range(ROWS):
            yield {"n": shard * ROWS + row, "t": str(row), "label": row % 2}


def generated(shards: int = SHARDS) -> datasets.IterableDataset:
    return datasets.IterableDataset.from_generator(
        rows_of, gen_kwargs={"shards": list(range(shards))}, features=FEATURES
    )


def held() -> datasets.Dataset:
    return datasets.Dataset.from_list(list(rows_of(list(range(SHARDS)))), features=FEATURES)


def from_memory() -> datasets.IterableDataset:
    return held().to_iterable_dataset(num_shards=SHARDS)


def without_features() -> datasets.IterableDataset:
    return datasets.IterableDataset.from_generator(rows_of, gen_kwargs={"shards": list(range(SHARDS))})


def unpicklable() -> datasets.IterableDataset:
    lock = __import__("threading").Lock()

    def rows(shards: list[int]) -> Iterator[dict[str, Any]]:
        with lock:
            yield from rows_of(shards)

    return datasets.IterableDataset.from_generator(
        rows, gen_kwargs={"shards": list(range(SHARDS))}, features=FEATURES
    )


def one_shard() -> datasets.IterableDataset:
    lines = list(rows_of(list(range(SHARDS))))
    return datasets.IterableDataset.from_generator(lambda: iter(lines), features=FEATURES)


FLOW = DataFlow(features=FEATURES)
SRC = FLOW.src_features
AGGREGATORS = {"sum": Sum().call(SRC.n), "in": {"count": Count().call(SRC.n)}}
ALL = range(SHARDS * ROWS)
TOTAL = {"sum": sum(ALL), "in": {"count": len(ALL)}}
NOTHING = {"sum": 0, "in": {"count": 0}}


@processor
def process_of(n: int) -> int:
    return os.getpid()


def read(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()
    ]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.jsonl"))}


SOURCES: dict[str, Callable[[], Any]] = {
    source.__name__: source
    for source in (held, generated, from_memory, without_features, unpicklable, one_shard)
}


@pytest.mark.parametrize("source", SOURCES)
def test_rows_of_any_dataset_keep_their_order_whatever_the_processes(source: str, tmp_path: Path):
    seen: list[Progress] = []
    for num_proc in (1, 2):
        folder = tmp_path / str(num_proc)
        result = JsonDatasetWriter(folder, num_proc=num_proc).consume(SOURCES[source](), progress=seen.append)
        assert read(folder) == list(rows_of(list(range(SHARDS))))
        assert (result.rows_in, result.rows, result.aggregates) == (len(ALL), {"rows": len(ALL)}, None)
        assert result.folders == {"rows": str(folder)}
        assert seen[-1].rows == len(ALL)
    assert bytes_of(tmp_path / "1") == bytes_of(tmp_path / "2")


@pytest.mark.parametrize("source", [name for name in SOURCES if name != "held"])
def test_what_is_lazily_applied_is_computed_by_the_processes_and_its_aggregates_live(
    source: str, tmp_path: Path
):
    pair = FLOW.apply(
        SOURCES[source](),
        collect={"m": SRC.n + 1, "process": process_of.call(SRC.n)},
        aggregators=AGGREGATORS,
    )
    live = pair[1]
    assert live == NOTHING
    result = JsonDatasetWriter(tmp_path / "out", num_proc=2).consume(pair)
    made = read(tmp_path / "out")
    assert [row["m"] for row in made] == [n + 1 for n in ALL]
    assert os.getpid() not in {row["process"] for row in made}
    assert live == TOTAL
    assert result.aggregates == TOTAL
    assert [row["m"] for row in pair[0].take(3)] == [1, 2, 3]  # a new iteration starts anew
    assert live["in"]["count"] < len(ALL)


ON_TOP: dict[str, tuple[Callable[[datasets.IterableDataset], Any], list[int]]] = {
    "take": (lambda made: made.take(7), list(range(7))),
    "skip": (lambda made: made.skip(2095), list(range(2095, 2100))),
    "map": (lambda made: made.map(lambda row: {"n": -row["n"]}), [-n for n in ALL]),
    "batched map": (
        lambda made: made.map(lambda rows: {"n": rows["n"][::-1]}, batched=True, batch_size=2100),
        list(ALL)[::-1],
    ),
    "shard": (lambda made: made.shard(3, 1), list(range(700, 1400))),
    "repeat": (lambda made: made.repeat(2), [*ALL, *ALL]),
    "format": (lambda made: made.with_format("numpy"), list(ALL)),
    "filter by index": (
        lambda made: made.filter(lambda row, index: index % 1000 == 0, with_indices=True),
        [0, 1000, 2000],
    ),
}


@pytest.mark.parametrize("use", ON_TOP)
def test_what_is_put_on_top_is_iterated_over_as_it_is(use: str, tmp_path: Path):
    change, expected = ON_TOP[use]
    made, live = FLOW.apply(generated(), collect={"n": SRC.n}, aggregators=AGGREGATORS)
    changed = change(made)
    JsonDatasetWriter(tmp_path / "out", num_proc=2).consume((changed, live))
    assert [row["n"] for row in read(tmp_path / "out")] == expected
    consumed = live.snapshot()
    assert [row["n"] for row in change(made)] == expected
    if use != "take":  # which reads on into the next batch where tables are read
        assert live.snapshot() == consumed


def test_shuffled_rows_are_written_once_each(tmp_path: Path):
    made, live = FLOW.apply(generated(), collect={"n": SRC.n}, aggregators=AGGREGATORS)
    JsonDatasetWriter(tmp_path / "out").consume((made.shuffle(seed=4, buffer_size=50), live))
    found = [row["n"] for row in read(tmp_path / "out")]
    assert sorted(found) == list(ALL)
    assert found != list(ALL)
    assert live == TOTAL


def test_a_loaded_state_goes_on_where_it_stood(tmp_path: Path):
    stopped = FLOW.apply(generated(), collect={"n": SRC.n})[0]
    rows = iter(stopped)
    for _ in range(5):
        next(rows)
    resumed = FLOW.apply(generated(), collect={"n": SRC.n})[0]
    resumed.load_state_dict(stopped.state_dict())
    JsonDatasetWriter(tmp_path / "out").consume(resumed)
    assert [row["n"] for row in read(tmp_path / "out")] == list(ALL)[5:]


def test_what_is_applied_to_what_was_applied(tmp_path: Path):
    inner, below = FLOW.apply(generated(), collect={"m": SRC.n + 1}, aggregators=AGGREGATORS)
    flow = DataFlow(features=inner)
    pair = flow.apply(
        inner, collect={"z": flow.src_features.m * 10}, aggregators={"top": Sum().call(flow.src_features.m)}
    )
    JsonDatasetWriter(tmp_path / "out", num_proc=2).consume(pair)
    assert [row["z"] for row in read(tmp_path / "out")] == [10 * (n + 1) for n in ALL]
    assert pair[1] == {"top": sum(n + 1 for n in ALL)}
    assert below == TOTAL


def test_what_was_applied_to_a_dataset_keeps_its_aggregates(tmp_path: Path):
    pair = FLOW.apply(held(), collect={"n": SRC.n}, aggregators=AGGREGATORS, cache_dir=tmp_path / "cache")
    result = JsonDatasetWriter(tmp_path / "out").consume(pair)
    assert (result.rows, result.aggregates) == ({"rows": len(ALL)}, TOTAL)


@pytest.mark.parametrize("lazy", [True, False])
def test_each_split_has_a_folder(lazy: bool, tmp_path: Path):
    splits = {"train": held(), "test": held().select(range(5))}
    data: Any = datasets.DatasetDict(splits)
    if lazy:
        data = datasets.IterableDatasetDict(
            {name: split.to_iterable_dataset() for name, split in splits.items()}
        )
    plain = ParquetDatasetWriter(tmp_path / "plain").consume(data)
    assert plain.rows == {"train": len(ALL), "test": 5}
    assert plain.aggregates is None
    kept = {} if lazy else {"cache_dir": tmp_path / "cache"}
    pair = FLOW.apply(data, collect={"n": SRC.n}, aggregators=AGGREGATORS, **kept)
    result = ParquetDatasetWriter(tmp_path / "out").consume(pair)
    assert result.rows == {"train": len(ALL), "test": 5}
    assert result.rows_in == len(ALL) + 5
    assert result.aggregates == {"train": TOTAL, "test": {"sum": 10, "in": {"count": 5}}}
    assert len({time.name for time in result.node_seconds}) == len(result.node_seconds)
    assert pair[1]["train"] == TOTAL
    for name in splits:
        loaded = datasets.load_dataset("parquet", data_dir=str(tmp_path / "out" / name), split="train")
        assert loaded["n"][:] == splits[name]["n"][:]
    with pytest.raises(InputError, match="holds the output of an earlier job"):
        ParquetDatasetWriter(tmp_path / "out").consume(data)


def test_features_come_back_as_they_were(tmp_path: Path):
    ParquetDatasetWriter(tmp_path / "out").consume(generated())
    assert (
        datasets.load_dataset("parquet", data_dir=str(tmp_path / "out"), split="train").features == FEATURES
    )


def test_a_consumed_iterable_is_resumed_and_another_is_refused(tmp_path: Path):
    def consume(shards: int) -> None:
        JsonDatasetWriter(tmp_path / "out", overwrite="resume").consume(generated(shards))

    consume(2)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("*.jsonl")}
    consume(2)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    with pytest.raises(InputError, match="cannot be resumed: another source"):
        consume(3)


def test_a_node_that_raises_is_said_and_nothing_is_half_written(tmp_path: Path):
    @processor
    def bad(n: int) -> int:
        if n == 5:
            raise ValueError(n)
        return n

    for num_proc, source in ((1, generated), (2, generated), (2, one_shard)):
        made, _ = FLOW.apply(source(), collect={"n": bad.call(SRC.n)})
        folder = tmp_path / f"{source.__name__}{num_proc}"
        with pytest.raises(NodeError, match="node 'bad' failed at row 5: ValueError: 5"):
            JsonDatasetWriter(folder, num_proc=num_proc).consume(made)
        assert not list(folder.rglob("*.tmp"))
        assert not (folder / "part-00000.jsonl").exists()


def test_what_is_wrong_is_said(tmp_path: Path):
    writer = JsonDatasetWriter(tmp_path / "out")
    for given in (3, [1, 2], (1, 2, 3), "mail.parquet"):
        with pytest.raises(DefinitionTypeError, match=r"consume\(\) takes a Dataset") as caught:
            writer.consume(given)
        assert caught.value.site is not None
        assert caught.value.site.file == __file__
    with pytest.raises(DefinitionError, match="no rows to write"):
        writer.consume(FLOW.apply(held(), aggregators=AGGREGATORS))
    bad = {"n": "x", "t": "a", "label": 0}
    typed = datasets.IterableDataset.from_generator(lambda: iter([bad]), features=FEATURES)
    with pytest.raises(InputError, match="shard 0 of the dataset cannot be read: ValueError"):
        JsonDatasetWriter(tmp_path / "typed").consume(typed)
    made, _ = FLOW.apply(datasets.IterableDataset.from_generator(lambda: iter([bad])), collect={"n": SRC.n})
    with pytest.raises(InputError, match="column 'n' of the dataset does not hold int64"):
        JsonDatasetWriter(tmp_path / "untyped").consume(made)
    made, _ = FLOW.apply(
        datasets.IterableDataset.from_generator(lambda: iter([{"m": 1}])), collect={"n": SRC.n}
    )
    with pytest.raises(InputError, match="no column 'n'"):
        JsonDatasetWriter(tmp_path / "missing").consume(made)
