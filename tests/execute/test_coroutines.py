"""Coroutines: limits hold, results come in order, the first row at fault is named."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from typing import Any

import pyarrow as pa
import pytest

from hyped_beam import DataFlow, Limits, NodeError, Processor
from hyped_beam.dsl.outputs import ROWS, Outputs, graph_of, plan_of
from hyped_beam.execute.coroutines import background_loop
from hyped_beam.execute.stage import StageRunner
from hyped_beam.nodes.refs import builder_of
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types.patterns import Int64Column


def table(rows: int) -> pa.Table:
    return pa.table({"n": list(range(rows))})


SRC = flow_of(table(1).schema)


class Flight:
    """Counts how many coroutines are under way."""

    def __init__(self) -> None:
        self.now = self.most = self.started = 0

    async def __aenter__(self) -> None:
        self.started += 1
        self.now += 1
        self.most = max(self.most, self.now)

    async def __aexit__(self, *raised: object) -> None:
        self.now -= 1


def counting(flight: Flight, limits: Limits) -> Any:
    class Counted(Processor):
        async def process_row(self, n: int) -> int:
            async with flight:
                for _ in range(n % 5 + 1):
                    await asyncio.sleep(0)
            return n * 2

    return Counted().options(limits=limits)


@pytest.mark.parametrize("concurrency", [1, 3, 50])
def test_never_more_are_in_flight_than_the_limit_says_and_as_many_where_there_is_work(concurrency: int):
    flight = Flight()
    ref = counting(flight, Limits(concurrency=concurrency)).call(SRC.n)
    assert evaluate(ref, table(200)).to_pylist() == [2 * n for n in range(200)]
    assert flight.most == concurrency
    assert flight.started == 200


@pytest.mark.parametrize("concurrency", [1, 7])
def test_the_limit_holds_over_all_batches_in_flight(concurrency: int):
    flight = Flight()
    made = run_all(counting(flight, Limits(concurrency=concurrency)).call(SRC.n), [table(20)] * 12)
    assert made == [[2 * n for n in range(20)]] * 12
    assert flight.most == concurrency


def run_all(ref: Any, tables: list[pa.Table]) -> list[list[Any]]:
    plan = plan_of(graph_of(builder_of(ref), Outputs({"value": ref})))
    with StageRunner(plan.scan) as runner:
        batches = (runner.source_batch(part.to_batches()[0]) for part in tables)
        return [made.outputs[ROWS].column("value").to_pylist() for made in runner.run_all(batches)]


def test_several_batches_are_in_flight_and_come_out_in_order():
    shuffled = random.Random(1)  # noqa: S311 - for repeatable tests
    order: list[int] = []

    class Delayed(Processor):
        async def process_row(self, n: int) -> int:
            for _ in range(shuffled.randrange(20)):
                await asyncio.sleep(0)
            order.append(n)
            return n

    tables = [pa.table({"n": range(start, start + 3)}) for start in range(0, 60, 3)]
    assert run_all(Delayed().call(SRC.n), tables) == [part["n"].to_pylist() for part in tables]
    assert order != sorted(order)


@pytest.mark.parametrize("batches", [StageRunner.in_flight, 50])
def test_coroutines_of_several_batches_meet_of_small_ones_of_many(batches: int):
    gate = asyncio.Event()
    waiting: list[int] = []

    class Meets(Processor):
        async def process_row(self, n: int) -> int:
            waiting.append(n)
            if len(waiting) >= batches:
                gate.set()
            await asyncio.wait_for(gate.wait(), 600)
            return n

    tables = [pa.table({"n": [n]}) for n in range(batches)]
    assert run_all(Meets().call(SRC.n), tables) == [[n] for n in range(batches)]


def test_nodes_start_when_their_inputs_are_there():
    events: list[str] = []
    released = asyncio.Event()

    class Slow(Processor):
        async def process_row(self, n: int) -> int:
            await asyncio.wait_for(released.wait(), 600)
            events.append("slow")
            return n

    class Quick(Processor):
        async def process_row(self, n: int) -> int:
            events.append("quick")
            released.set()
            return n

    class Both(Processor):
        def process_row(self, a: int, b: int) -> int:
            events.append("both")
            return a + b

    ref = Both().call(a=Slow().call(SRC.n), b=Quick().call(SRC.n))
    assert evaluate(ref, table(1)).to_pylist() == [0]
    assert events == ["quick", "slow", "both"]


def test_so_many_a_second():
    starts: list[float] = []

    class Timed(Processor):
        async def process_row(self, n: int) -> int:
            starts.append(time.monotonic())
            return n

    limits = Limits(per_second=100)
    began = time.monotonic()
    assert evaluate(Timed().options(limits=limits).call(SRC.n), table(12)).to_pylist() == list(range(12))
    assert starts[-1] - began >= 11 / 100


def test_what_takes_too_long_is_an_error_that_says_so():
    class Hangs(Processor):
        async def process_row(self, n: int) -> int:
            if n == 3:
                await asyncio.Event().wait()
            return n

    ref = Hangs().options(limits=Limits(timeout=0.05)).call(SRC.n)
    with pytest.raises(NodeError, match=r"row 3: TimeoutError: took longer than its limit of 0\.05 s"):
        evaluate(ref, table(5))


def test_what_fails_is_tried_again_so_many_times(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hyped_beam.execute.coroutines.FIRST_RETRY_SECONDS", 0.001)
    tries: dict[int, int] = {}

    class Flaky(Processor):
        async def process_row(self, n: int) -> int:
            tries[n] = tries.get(n, 0) + 1
            if tries[n] <= n:
                msg = f"try {tries[n]}"
                raise ConnectionError(msg)
            return n

    assert evaluate(Flaky().options(limits=Limits(retries=2)).call(SRC.n), table(3)).to_pylist() == [0, 1, 2]
    assert tries == {0: 1, 1: 2, 2: 3}
    tries.clear()
    with pytest.raises(NodeError, match="row 3: ConnectionError: try 3") as caught:
        evaluate(Flaky().options(limits=Limits(retries=2)).call(SRC.n), table(5))
    assert caught.value.values == "n=3"


def test_of_several_rows_that_fail_the_first_in_order_is_named():
    class Fails(Processor):
        async def process_row(self, n: int) -> int:
            if n in (4, 5, 6):
                for _ in range(3 * (10 - n)):  # the later the row, the sooner it fails
                    await asyncio.sleep(0)
                raise ValueError(n)
            return n

    for concurrency in (1, 2, 64):
        ref = Fails().options(limits=Limits(concurrency=concurrency)).call(SRC.n)
        with pytest.raises(NodeError, match="row 4: ValueError: 4") as caught:
            evaluate(ref, table(9))
        assert caught.value.row == 4


class Columns(Processor):
    bad: int

    async def process(self, n: Int64Column) -> Int64Column:
        await asyncio.sleep(0)
        if self.bad in n.to_pylist():
            raise ValueError(self.bad)
        return n


@pytest.mark.parametrize("batch_size", [None, 1, 4])
@pytest.mark.parametrize("bad", [0, 5, 8])
def test_a_coroutine_on_columns_names_its_row_too(batch_size: int | None, bad: int):
    limits = Limits(concurrency=1)  # the search must not wait for a worker that has gone
    ref = Columns(bad=bad).options(batch_size=batch_size, limits=limits).call(SRC.n)
    with pytest.raises(NodeError, match=f"row {bad}: ValueError: {bad}") as caught:
        evaluate(ref, table(9))
    assert caught.value.values == f"n={bad}"


def test_slices_of_a_coroutine_on_columns_come_out_in_order():
    ref = Columns(bad=-1).options(batch_size=4).call(SRC.n)
    assert evaluate(ref, table(10)).to_pylist() == list(range(10))
    assert evaluate(ref, table(0)).to_pylist() == []


@pytest.mark.parametrize("raised", [asyncio.CancelledError, SystemExit, KeyboardInterrupt])
def test_not_even_what_ends_tasks_and_programs_leaves_the_batch_waiting(raised: type[BaseException]):
    class Ends(Processor):
        async def process_row(self, n: int) -> int:
            if n == 1:
                raise raised
            return n

    with pytest.raises(NodeError, match=f"row 1: {raised.__name__}"):
        evaluate(Ends().call(SRC.n), table(3))
    assert background_loop().is_running()


def test_setup_and_work_run_in_the_loop_of_the_process():
    loops: set[Any] = set()

    class Notes(Processor):
        async def setup(self) -> None:
            loops.add(asyncio.get_running_loop())
            self.lock = asyncio.Lock()

        async def process_row(self, n: int) -> int:
            async with self.lock:
                loops.add(asyncio.get_running_loop())
            return n

        async def teardown(self) -> None:
            loops.add(asyncio.get_running_loop())

    assert evaluate(Notes().call(SRC.n), table(3)).to_pylist() == [0, 1, 2]
    assert loops == {background_loop()}


def test_a_flow_without_coroutines_starts_no_thread():
    before = threading.active_count()
    flow = DataFlow(features=table(1).schema)
    built, _ = flow.build(collect={"n": flow.src_features.n + 1})
    built.batch_process(table(3))
    assert threading.active_count() == before


def test_rows_that_are_skipped_start_no_coroutine():
    flight = Flight()
    ref = counting(flight, Limits()).call(SRC.n)
    assert evaluate(ref, pa.table({"n": pa.array([None, 1, None], pa.int64())})).to_pylist() == [
        None,
        2,
        None,
    ]
    assert flight.started == 1
    assert evaluate(ref, pa.table({"n": pa.nulls(4, pa.int64())})).to_pylist() == [None] * 4
    assert flight.started == 1


def test_many_small_batches_one_after_the_other():
    ref = counting(Flight(), Limits(concurrency=1)).call(SRC.n)
    assert run_all(ref, [table(1)] * 300) == [[0]] * 300


def never() -> Any:
    return asyncio.Event().wait()


def test_rows_behind_one_that_fails_are_ended_and_those_before_have_some_time(monkeypatch):
    monkeypatch.setattr("hyped_beam.execute.coroutines.GRACE_SECONDS", 0.2)
    ended: list[int] = []

    class Hangs(Processor):
        hanging: tuple[int, ...]

        async def process_row(self, n: int) -> int:
            try:
                if n in self.hanging:
                    await never()
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                ended.append(n)
                raise
            if n == 3:
                raise ValueError(n)
            return n

    began = time.monotonic()
    with pytest.raises(NodeError, match="row 3: ValueError: 3"):
        evaluate(Hangs(hanging=(4, 5)).call(SRC.n), table(6))
    assert time.monotonic() - began < 600
    assert sorted(ended) == [4, 5]
    ended.clear()
    with pytest.raises(NodeError, match="row 3: ValueError: 3"):
        evaluate(Hangs(hanging=(1, 5)).call(SRC.n), table(6))
    assert {1, 5} <= set(ended)


def test_what_does_not_let_itself_be_ended_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("hyped_beam.execute.coroutines.GRACE_SECONDS", 0.1)
    released = threading.Event()

    class Stubborn(Processor):
        async def process_row(self, n: int) -> int:
            if n == 1:
                raise ValueError(n)
            while not released.is_set():
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    continue
            return n

    try:
        with pytest.raises(NodeError, match="row 1: ValueError: 1"):
            evaluate(Stubborn().call(SRC.n), table(3))
    finally:
        released.set()


@pytest.mark.parametrize("batches", [2, 8])
def test_a_batch_that_hangs_does_not_hide_that_a_later_one_has_failed(monkeypatch, batches):
    monkeypatch.setattr("hyped_beam.execute.coroutines.GRACE_SECONDS", 0.1)
    ended: list[int] = []

    class Hangs(Processor):
        async def process_row(self, n: int) -> int:
            if n == 1:
                raise ValueError(n)
            try:
                await never()
            finally:
                ended.append(n)
            return n

    with pytest.raises(NodeError, match="ValueError: 1"):
        run_all(Hangs().call(SRC.n), [pa.table({"n": [n]}) for n in range(batches)])
    deadline = time.monotonic() + 600
    while 0 not in ended and time.monotonic() < deadline:  # it ends in the loop's thread
        time.sleep(0.01)
    assert 0 in ended


def test_a_node_that_hangs_does_not_hide_that_another_one_has_failed(monkeypatch):
    monkeypatch.setattr("hyped_beam.execute.coroutines.GRACE_SECONDS", 0.1)

    class Hangs(Processor):
        async def process_row(self, n: int) -> int:
            await never()
            return n

    class Fails(Processor):
        async def process_row(self, n: int) -> int:
            raise ValueError(n)

    with pytest.raises(NodeError, match="row 0: ValueError: 0"):
        evaluate(Hangs().call(SRC.n) + Fails().call(SRC.n), table(2))


def test_after_a_failure_the_same_node_computes_other_batches():
    class Fails(Processor):
        async def process_row(self, n: int) -> int:
            if n == 1:
                raise ValueError(n)
            async with asyncio.timeout(20) if hasattr(asyncio, "timeout") else Flight():
                await asyncio.sleep(0.001)
            return n

    flow = DataFlow(features=table(1).schema)
    built, _ = flow.build(
        collect={"n": Fails().options(limits=Limits(concurrency=4)).call(flow.src_features.n)}
    )
    for _ in range(3):
        with pytest.raises(NodeError, match="row 1: ValueError: 1"):
            built.batch_process(table(20))
        assert built.batch_process(pa.table({"n": range(10, 30)}))["n"].to_pylist() == list(range(10, 30))
