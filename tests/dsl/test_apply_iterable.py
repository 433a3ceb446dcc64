"""Flows applied to iterable datasets: computed as they are read, still iterable datasets."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import datasets
import pytest

from hyped_beam import DataFlow, NodeError, Processor, processor
from hyped_beam.aggregators import Count, Sum
from hyped_beam.errors import DefinitionError, FlowError, InputError
from hyped_beam.types.patterns import Int64Column

FEATURES = datasets.Features(
    {
        "n": datasets.Value("int64"),
        "t": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["a", "b"]),
    }
)
SHARDS, ROWS = 3, 10


def rows_of(shards: list[int]) -> Iterator[dict[str, Any]]:
    for shard in shards:
        for row in range(ROWS):
            yield {"n": shard * ROWS + row, "t": str(row), "label": row % 2}


def generated() -> datasets.IterableDataset:
    return datasets.IterableDataset.from_generator(
        rows_of, gen_kwargs={"shards": list(range(SHARDS))}, features=FEATURES
    )


def in_memory() -> datasets.IterableDataset:
    rows = list(rows_of(list(range(SHARDS))))
    return datasets.Dataset.from_list(rows, features=FEATURES).to_iterable_dataset(num_shards=SHARDS)


def without_features() -> datasets.IterableDataset:
    return datasets.IterableDataset.from_generator(rows_of, gen_kwargs={"shards": list(range(SHARDS))})


def mapped() -> datasets.IterableDataset:
    return generated().map(lambda row: {"n": row["n"]}, features=FEATURES)


SOURCES = {source.__name__: source for source in (generated, in_memory, without_features, mapped)}
FLOW = DataFlow(features=FEATURES)
SRC = FLOW.src_features
EXPECTED = [{"m": n + 1, "label": n % 2} for n in range(SHARDS * ROWS)]
AGGREGATORS = {"sum": Sum().call(SRC.n), "count": Count().call(SRC.n)}


@processor
async def later(n: int) -> int:
    return n + 1


def applied(
    source: Callable[[], datasets.IterableDataset] = generated, *, asynchronous: bool = False
) -> datasets.IterableDataset:
    more = later.call(SRC.n) if asynchronous else SRC.n + 1
    made, _ = FLOW.apply(source(), collect={"m": more, "label": SRC.label}, batch_size=4)
    return made


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("source", SOURCES)
def test_rows_come_in_order_with_their_features(source: str, asynchronous: bool):
    made = applied(SOURCES[source], asynchronous=asynchronous)
    assert isinstance(made, datasets.IterableDataset)
    assert made.column_names == ["m", "label"]
    assert made.features["label"] == FEATURES["label"]
    assert list(made) == EXPECTED
    assert list(made) == EXPECTED


def test_nothing_runs_until_rows_are_read_and_then_no_more_than_is_in_flight():
    seen: list[int] = []

    class Notes(Processor):
        def process(self, n: Int64Column) -> Int64Column:
            seen.extend(n.to_pylist())
            return n

    made, _ = FLOW.apply(generated(), collect={"n": Notes().call(SRC.n)}, batch_size=4)
    assert seen == []
    next(iter(made))
    assert seen == [0, 1, 2, 3]


USES: dict[str, tuple[Callable[[datasets.IterableDataset], Any], list[int]]] = {
    "take": (lambda made: made.take(7), list(range(1, 8))),
    "skip": (lambda made: made.skip(25), list(range(26, 31))),
    "skip and take": (lambda made: made.skip(3).take(9), list(range(4, 13))),
    "shard": (lambda made: made.shard(3, 1), list(range(11, 21))),
    "filter": (lambda made: made.filter(lambda row: row["m"] % 9 == 0), [9, 18, 27]),
    "map": (lambda made: made.map(lambda row: {"m": -row["m"]}), [-n for n in range(1, 31)]),
    "formatted": (lambda made: made.with_format("numpy"), list(range(1, 31))),
    "repeat": (lambda made: made.repeat(2), [*range(1, 31), *range(1, 31)]),
    "select columns": (lambda made: made.select_columns("m"), list(range(1, 31))),
    "concatenated": (
        lambda made: datasets.concatenate_datasets([made, applied()]),
        [*range(1, 31), *range(1, 31)],
    ),
    "as it is": (lambda made: made, list(range(1, 31))),
}


@pytest.mark.parametrize("use", USES)
def test_it_is_used_as_any_iterable_dataset(use: str):
    change, expected = USES[use]
    assert [row["m"] for row in change(applied())] == expected


@pytest.mark.parametrize("kind", ["arrow", "numpy", None])
def test_batches_of_it(kind: str | None):
    parts = [
        list(map(int, part["m"].to_pylist() if kind == "arrow" else part["m"]))
        for part in applied().with_format(kind).iter(batch_size=7)
    ]
    assert [len(part) for part in parts] == [7, 7, 7, 7, 2]
    assert [n for part in parts for n in part] == list(range(1, 31))
    assert [len(part["m"]) for part in applied().batch(8)] == [8, 8, 8, 6]


def test_shuffling_moves_shards_and_rows():
    shuffled = applied().shuffle(seed=4, buffer_size=6)
    first = [row["m"] for row in shuffled]
    assert sorted(first) == list(range(1, 31))
    assert first != list(range(1, 31))
    assert [row["m"] for row in shuffled] == first
    shuffled.set_epoch(1)
    assert [row["m"] for row in shuffled] != first


@pytest.mark.parametrize(
    ("source", "use"),
    [
        *(("generated", use) for use in (*USES, "shuffled shards")),
        *((source, "as it is") for source in SOURCES if source != "generated"),
    ],
)
def test_it_goes_on_where_it_stood_after_every_row(source: str, use: str):
    def made() -> datasets.IterableDataset:
        if use == "shuffled shards":
            return applied(SOURCES[source]).shuffle(seed=3, buffer_size=1)
        return USES[use][0](applied(SOURCES[source]))

    expected = [row["m"] for row in made()]
    for taken in range(len(expected) + 1):
        stopped = made()
        rows = iter(stopped)
        before = [next(rows)["m"] for _ in range(taken)]
        state = json.loads(json.dumps(stopped.state_dict())) if taken else stopped.state_dict()
        resumed = made()
        resumed.load_state_dict(state)
        assert before + [row["m"] for row in resumed] == expected, f"after {taken} rows"


def test_what_is_applied_to_what_was_applied():
    middle = applied()
    flow = DataFlow(features=middle)

    def made() -> datasets.IterableDataset:
        return flow.apply(applied(asynchronous=True), collect={"z": flow.src_features.m * 10}, batch_size=3)[
            0
        ]

    expected = [n * 10 for n in range(1, 31)]
    assert [row["z"] for row in made()] == expected
    for taken in (1, 5, 12, 29, 30):
        stopped = made()
        rows = iter(stopped)
        before = [next(rows)["z"] for _ in range(taken)]
        resumed = made()
        resumed.load_state_dict(stopped.state_dict())
        assert before + [row["z"] for row in resumed] == expected


# ------------------------------------------------------------------------------------------- aggregates


def test_aggregates_follow_the_latest_iteration():
    made, live = FLOW.apply(generated(), collect={"n": SRC.n}, aggregators={"in": AGGREGATORS}, batch_size=5)
    assert live == {"in": {"sum": 0, "count": 0}}
    rows = iter(made)
    next(rows)
    assert live["in"] == {"sum": 10, "count": 5}
    list(rows)
    assert live["in"] == {"sum": 435, "count": 30}
    kept = live.snapshot()
    assert len(list(made.take(6))) == 6
    assert live["in"] == {"sum": 45, "count": 10}
    assert kept["in"]["count"] == 30


def test_aggregates_of_all_shards_of_a_split_and_of_a_shuffled_iteration():
    made, live = FLOW.apply(generated(), collect={"n": SRC.n}, aggregators=AGGREGATORS, batch_size=4)
    for index in range(3):
        list(made.shard(3, index))
    assert live == {"sum": 435, "count": 30}
    list(made.shuffle(seed=1, buffer_size=3))
    assert live == {"sum": 435, "count": 30}


@pytest.mark.parametrize("taken", [1, 4, 9, 30])
def test_the_state_of_an_iteration_carries_its_aggregates(taken: int):
    made, _ = FLOW.apply(generated(), collect={"n": SRC.n}, aggregators=AGGREGATORS, batch_size=4)
    rows = iter(made)
    for _ in range(taken):
        next(rows)
    state = json.loads(json.dumps(made.state_dict()))
    resumed, live = FLOW.apply(generated(), collect={"n": SRC.n}, aggregators=AGGREGATORS, batch_size=4)
    resumed.load_state_dict(state)
    assert len(list(resumed)) == 30 - taken
    assert live == {"sum": 435, "count": 30}


def test_rows_are_needed():
    with pytest.raises(DefinitionError, match="no rows were asked for") as caught:
        FLOW.apply(generated(), aggregators=AGGREGATORS)
    assert caught.value.hint == "say which columns: collect={...}"


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"num_proc": 2}, "a loader with num_workers=2, or write it: JsonDatasetWriter"),
        ({"cache_dir": "cache"}, "to keep what it gives, write it"),
    ],
)
def test_what_says_nothing_for_iterables_is_refused(given, hint):
    for data in (generated(), datasets.IterableDatasetDict(train=generated())):
        with pytest.raises(DefinitionError, match="does nothing for an iterable dataset") as caught:
            FLOW.apply(data, collect={"n": SRC.n}, **given)
        assert hint in caught.value.hint
        assert caught.value.site.file == __file__


def test_one_process_is_what_an_iterable_takes():
    made, _ = FLOW.apply(generated(), collect={"n": SRC.n}, num_proc=1)
    assert [row["n"] for row in made.take(2)] == [0, 1]


def test_processes_of_a_dict_of_iterables_fit_it():
    collect = {"off": SRC.n - Sum().call(SRC.n)}
    splits = datasets.IterableDatasetDict({"train": generated()})
    made, _ = FLOW.apply(splits, collect=collect, fit_on="train", num_proc=2)
    assert [row["off"] for row in made["train"].take(2)] == [-435, -434]


def test_dicts_of_splits():
    splits = datasets.IterableDatasetDict({"train": generated(), "test": generated().take(2)})
    made, live = FLOW.apply(splits, collect={"n": SRC.n}, aggregators=AGGREGATORS)
    assert isinstance(made, datasets.IterableDatasetDict)
    assert [row["n"] for row in made["test"]] == [0, 1]
    assert live == {"train": {"sum": 0, "count": 0}, "test": {"sum": 1, "count": 2}}
    list(made["train"])
    assert live["train"]["sum"] == 435


# ------------------------------------------------------------------------------------------- loaders


def read_shard(
    made: datasets.IterableDataset, live: Any, workers: int, index: int
) -> tuple[int, list[int], str]:
    """What a worker of a loader does."""
    rows = [row["m"] for row in made.shard(workers, index)]
    with pytest.raises(DefinitionError) as caught:
        live.snapshot()
    return index, rows, str(caught.value)


ANSWER = "import cloudpickle; function, *given = cloudpickle.loads(payload); answers.put(function(*given))"


@pytest.mark.parametrize(("start", "read_before"), [("fork", False), ("fork", True), ("spawn", True)])
def test_workers_of_a_loader_share_it(start: str, read_before: bool):
    made, live = FLOW.apply(
        generated(),
        collect={"m": later.call(SRC.n), "label": SRC.label},
        aggregators=AGGREGATORS,
        batch_size=4,
    )
    if read_before:  # then there is an executor with threads, which forked children must not touch
        assert len(list(made)) == 30
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test
    context = multiprocessing.get_context(start)
    answers = context.Queue()
    workers = []
    for index in range(2):
        given = {"payload": cloudpickle.dumps((read_shard, made, live, 2, index)), "answers": answers}
        workers.append(context.Process(target=exec, args=(ANSWER, given)))
        workers[-1].start()
    got = sorted(answers.get(timeout=600) for _ in workers)
    for worker in workers:
        worker.join(600)
    assert [rows for _, rows, _ in got] == [list(range(1, 21)), list(range(21, 31))]
    assert all("this is a worker of it" in refusal for _, _, refusal in got)
    assert live == ({"sum": 435, "count": 30} if read_before else {"sum": 0, "count": 0})


def test_forked_children_read_what_they_inherit():
    made = applied(asynchronous=True)
    assert len(list(made)) == 30
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=lambda: there.send(list(made)))
    child.start()
    assert here.poll(600), "the child hangs"
    assert here.recv() == EXPECTED
    child.join(600)


@pytest.mark.parametrize("pickler", [pickle, cloudpickle])
def test_it_is_pickled_also_when_it_has_been_read(pickler: Any):
    made = applied(asynchronous=True)
    assert list(pickle.loads(pickler.dumps(made))) == EXPECTED  # noqa: S301 - our own
    assert list(made) == EXPECTED
    assert list(pickle.loads(pickler.dumps(made))) == EXPECTED  # noqa: S301 - our own


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not here")
def test_a_torch_loader_reads_it_with_workers():
    from torch.utils.data import DataLoader

    loader = DataLoader(applied().with_format("torch"), batch_size=5, num_workers=2)
    assert sorted(int(n) for batch in loader for n in batch["m"]) == list(range(1, 31))


# ------------------------------------------------------------------------------------------- errors


class Fails(Processor):
    def process(self, n: Int64Column) -> Int64Column:
        if 13 in n.to_pylist():
            msg = "unlucky"
            raise ValueError(msg)
        return n


@processor
async def fails_later(n: int) -> int:
    if n == 13:
        msg = "unlucky"
        raise ValueError(msg)
    return n


@pytest.mark.parametrize("node", [Fails(), fails_later])
def test_the_row_at_fault_is_named_and_those_before_are_given(node: Any):
    made, _ = FLOW.apply(generated(), collect={"n": node.call(SRC.n)}, batch_size=4)
    rows = iter(made)
    assert [next(rows)["n"] for _ in range(12)] == list(range(12))
    with pytest.raises(NodeError, match=r"at row 13: ValueError: unlucky(?s:.*)\n  row: n=13"):
        next(rows)


def test_rows_are_counted_on_behind_a_resumed_state():
    made, _ = FLOW.apply(generated(), collect={"n": fails_later.call(SRC.n)}, batch_size=4)
    rows = iter(made)
    for _ in range(8):
        next(rows)
    resumed, _ = FLOW.apply(generated(), collect={"n": fails_later.call(SRC.n)}, batch_size=4)
    resumed.load_state_dict(made.state_dict())
    with pytest.raises(NodeError, match="at row 13"):
        list(resumed)


def test_columns_that_are_missing_are_said():
    flow = DataFlow(features={"q": datasets.Value("int64")})
    for source in (generated, in_memory, without_features):
        with pytest.raises(InputError, match="no column 'q', which the flow reads"):
            list(flow.apply(source(), collect={"q": flow.src_features.q})[0])


def test_values_that_do_not_fit_are_said():
    def broken() -> Iterator[dict[str, Any]]:
        yield {"n": 1}
        yield {"n": "x"}

    flow = DataFlow(features={"n": datasets.Value("int64")})
    made, _ = flow.apply(datasets.IterableDataset.from_generator(broken), collect={"n": flow.src_features.n})
    with pytest.raises(FlowError, match="column 'n' does not hold int64"):
        list(made)


def test_rows_of_python_objects_need_only_what_is_read():
    def objects() -> Iterator[dict[str, Any]]:
        for n in range(5):
            yield {"n": n, "object": object()}

    flow = DataFlow(features={"n": datasets.Value("int64")})
    made, _ = flow.apply(
        datasets.IterableDataset.from_generator(objects), collect={"m": flow.src_features.n + 1}
    )
    assert [row["m"] for row in made] == [1, 2, 3, 4, 5]


def test_no_rows_and_exhausted_shards():
    def some(shards: list[int]) -> Iterator[dict[str, Any]]:
        for shard in shards:
            if shard == 1:
                yield {"n": 7}

    features = datasets.Features({"n": datasets.Value("int64")})
    flow = DataFlow(features=features)
    for shards, expected in (([0, 1, 2], [7]), ([0, 2], [])):
        source = datasets.IterableDataset.from_generator(
            some, gen_kwargs={"shards": shards}, features=features
        )
        made, live = flow.apply(
            source, collect=flow.src_features, aggregators={"c": Count().call(flow.src_features.n)}
        )
        assert [row["n"] for row in made] == expected
        assert live == {"c": len(expected)}


def test_files_that_are_streamed(tmp_path: Path):
    path = tmp_path / "rows.parquet"
    datasets.Dataset.from_list(list(rows_of([0, 1])), features=FEATURES).to_parquet(path)
    streamed = datasets.load_dataset("parquet", data_files=str(path), split="train", streaming=True)
    flow = DataFlow(features=streamed)
    made, _ = flow.apply(
        streamed, collect={"t": flow.src_features.t.upper(), "label": flow.src_features.label}
    )
    assert [row["t"] for row in made] == [str(n) for n in range(10)] * 2


def test_images_are_decoded_as_rows_are_read():
    from PIL import Image

    features = datasets.Features({"image": datasets.Image()})
    rows = datasets.Dataset.from_list([{"image": Image.new("L", (2, 3), 9)}], features=features)
    flow = DataFlow(features=features)
    made, _ = flow.apply(rows.to_iterable_dataset(), collect={"image": flow.src_features.image})
    (row,) = made
    assert row["image"].size == (2, 3)
