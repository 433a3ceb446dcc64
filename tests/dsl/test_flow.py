"""Building flows: pruned, with aggregates that follow their batches."""

from __future__ import annotations

import multiprocessing
import threading
from typing import Any

import cloudpickle
import datasets
import pyarrow as pa
import pytest

from hyped_beam import DataFlow, Processor, processor
from hyped_beam.aggregators import Count, Max, Mean, Sum
from hyped_beam.errors import DefinitionError
from hyped_beam.types.patterns import Int64Column

FEATURES = {"text": datasets.Value("string"), "n": datasets.Value("int64")}
BATCH = {"text": ["a", "b", None], "n": [1, 2, 3]}


@pytest.fixture
def flow() -> DataFlow:
    return DataFlow(features=FEATURES)


class Never(Processor):
    def process_row(self, n: int) -> int:
        msg = "it was to be pruned"
        raise AssertionError(msg)


def test_what_is_not_needed_does_not_run(flow: DataFlow):
    src = flow.src_features
    both = Never().call(src.n)
    built, aggregates = flow.build(collect={"n": src.n + 1})
    assert aggregates is None
    assert built.batch_process({"n": [1]}) == {"n": [2]}
    with pytest.raises(Exception, match="it was to be pruned"):
        flow.batch_process(BATCH, collect={"n": both})


def test_aggregates_mirror_what_was_asked_and_follow_the_batches(flow: DataFlow):
    src = flow.src_features
    mean, total = Mean().call(src.n), Sum().call(src.n)
    built, live = flow.build(
        collect={"n": src.n},
        aggregators={"mean": mean, "in": {"sum": total, "twice": total * 2}, "list": [mean, 7]},
    )
    assert live == {"mean": None, "in": {"sum": 0, "twice": 0}, "list": [None, 7]}
    built.batch_process(BATCH)
    assert live["mean"] == 2.0
    built.batch_process({"n": [10, None]})
    assert live == {"mean": 4.0, "in": {"sum": 16, "twice": 32}, "list": [4.0, 7]}
    kept = live.snapshot()
    built.batch_process({"n": [1]})
    assert kept["in"]["sum"] == 16
    assert dict(live)["in"]["sum"] == 17
    assert list(live) == ["mean", "in", "list"]
    assert "17" in repr(live)


def test_aggregates_alone_give_no_rows(flow: DataFlow):
    built, live = flow.build(aggregators={"n": Count().call(flow.src_features.text)})
    assert built.batch_process(BATCH) is None
    assert live == {"n": 2}


def test_other_questions_do_not_disturb_the_aggregates(flow: DataFlow):
    src = flow.src_features
    built, live = flow.build(collect={"n": src.n}, aggregators={"n": Count().call(src.n)})
    built.batch_process(BATCH)
    assert built.batch_process(BATCH, collect={"t": src.text}) == {"t": ["a", "b", None]}
    built.preview(BATCH)
    assert live == {"n": 3}


def test_a_failed_batch_is_not_counted(flow: DataFlow):
    @processor
    def small(n: int) -> int:
        assert n < 10
        return n

    built, live = flow.build(
        collect={"n": small.call(flow.src_features.n)}, aggregators={"n": Count().call(flow.src_features.n)}
    )
    built.batch_process(BATCH)
    with pytest.raises(Exception, match="at row 1"):
        built.batch_process({"n": [1, 10]})
    assert live == {"n": 3}


class Opened(Processor):
    def setup(self) -> None:
        OPENED.append(threading.get_ident())

    def process(self, n: Int64Column) -> Int64Column:
        return n


OPENED: list[int] = []


def test_many_threads_use_one_flow_that_is_set_up_once(flow: DataFlow):
    OPENED.clear()
    built, live = flow.build(
        collect={"n": Opened().call(flow.src_features.n)}, aggregators={"n": Sum().call(flow.src_features.n)}
    )
    barrier = threading.Barrier(8)
    made: list[Any] = []

    def work(number: int) -> None:
        barrier.wait()
        made.extend(built.batch_process({"n": [number * 100 + row]})["n"] for row in range(20))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = [number * 100 + row for number in range(8) for row in range(20)]
    assert sorted(made) == [[n] for n in expected]
    assert live == {"n": sum(expected)}
    assert len(OPENED) == 1


def test_a_flow_that_is_not_built_sets_up_and_tears_down_each_time(flow: DataFlow):
    events: list[str] = []

    class Noted(Opened):
        def setup(self) -> None:
            events.append("setup")

        def teardown(self) -> None:
            events.append("teardown")

    ref = Noted().call(flow.src_features.n)
    flow.batch_process(BATCH, collect={"n": ref})
    flow.batch_process(BATCH, collect={"n": ref})
    assert events == ["setup", "teardown"] * 2


def test_a_built_flow_tears_down_when_it_goes(flow: DataFlow):
    events: list[str] = []

    class Noted(Opened):
        def teardown(self) -> None:
            events.append("teardown")

    built, _ = flow.build(collect={"n": Noted().call(flow.src_features.n)})
    built.batch_process(BATCH)
    assert events == []
    del built
    import gc

    gc.collect()
    assert events == ["teardown"]


@processor
async def later(n: int) -> int:
    return n + 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_built_flow_works_in_forked_children_and_where_it_is_unpickled(flow: DataFlow, asynchronous: bool):
    src = flow.src_features
    built, live = flow.build(
        collect={"n": later.call(src.n) if asynchronous else src.n + 1},
        aggregators={"n": Count().call(src.n)},
    )
    built.batch_process(BATCH)
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()

    def child() -> None:
        answer: list[Any] = [built.batch_process({"n": [5]})]
        try:
            live.snapshot()
        except DefinitionError as error:
            answer.append(str(error))
        there.send(answer)

    process = context.Process(target=child)
    process.start()
    assert here.poll(600), "the child hangs"
    rows, refusal = here.recv()
    process.join(600)
    assert rows == {"n": [6]}
    assert "this is a worker of it" in refusal
    assert live == {"n": 3}
    copy = cloudpickle.loads(cloudpickle.dumps(built))
    assert copy.batch_process({"n": [7]}) == {"n": [8]}


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (None, 'say which columns the rows have: DataFlow(features={"text": "string"})'),
        ("text", "give a reader of the files: DataFlow(features=ParquetReader(path))"),
        (3, "write DataFlow(features=ds.features)"),
        (["text"], "write DataFlow(features=ds.features)"),
        ({1: datasets.Value("string")}, "write DataFlow(features=ds.features)"),
    ],
    ids=repr,
)
def test_what_is_no_features_is_refused(given: Any, hint: str):
    with pytest.raises(DefinitionError, match="features= takes the columns of a dataset") as caught:
        DataFlow(features=given)
    assert caught.value.hint == hint


def test_features_come_from_whatever_has_them():
    dataset = datasets.Dataset.from_dict({"n": [1]})
    for given in (dataset, dataset.features, dict(dataset.features), pa.schema([("n", pa.int64())])):
        assert DataFlow(features=given).features == dataset.features


def test_explain_shows_what_would_run(flow: DataFlow):
    src = flow.src_features
    shown = flow.explain(collect={"t": src.text.lower()}, aggregators={"max": Max().call(src.n)})
    assert "lower" in shown
    assert "max" in shown
    built, _ = flow.build(collect={"t": src.text.lower()})
    assert "lower" in built.explain()
    assert "max" not in built.explain()
