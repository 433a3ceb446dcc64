"""Limits of nodes that are not async, and of those that several processes run."""

from __future__ import annotations

import itertools
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, Limits, NodeError, Processor
from hyped_beam.aggregators import Mean
from hyped_beam.augmentors.selecting import Filter
from hyped_beam.dsl.outputs import ROWS, Outputs, graph_of, plan_of
from hyped_beam.errors import DefinitionError
from hyped_beam.execute.stage import StageRunner
from hyped_beam.nodes.refs import builder_of
from hyped_beam.processors.row_number import RowNumber
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types.patterns import Int64Column
from tests.execute.limited_nodes import Ask, Call, Stamp, StampAsync, most_at_once

DEADLINE = 600


def table(rows: int) -> pa.Table:
    return pa.table({"n": list(range(rows))})


SRC = flow_of(table(1).schema)


class Flight:
    """Counts how many calls are under way."""

    def __init__(self, wanted: int = 1) -> None:
        self.now = self.most = 0
        self.lock = threading.Lock()
        self.met = threading.Event()
        self.wanted = wanted

    def __enter__(self) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            if self.most >= self.wanted:
                self.met.set()
        assert self.met.wait(DEADLINE)

    def __exit__(self, *raised: object) -> None:
        with self.lock:
            self.now -= 1


def counting(flight: Flight, limits: Limits) -> Any:
    class Counted(Processor):
        def process_row(self, n: int) -> int:
            with flight:
                return n * 2

    return Counted().options(limits=limits)


@pytest.mark.parametrize("concurrency", [1, 3, 20])
def test_so_many_threads_call_a_node_at_once_and_no_more(concurrency: int):
    flight = Flight(concurrency)
    ref = counting(flight, Limits(concurrency=concurrency)).call(SRC.n)
    assert evaluate(ref, table(100)).to_pylist() == [2 * n for n in range(100)]
    assert flight.most == concurrency


def test_the_limit_holds_over_batches():
    flight = Flight(3)
    ref = counting(flight, Limits(concurrency=3)).call(SRC.n)
    plan = plan_of(graph_of(builder_of(ref), Outputs({"value": ref})))
    with StageRunner(plan.scan) as runner:
        batches = [runner.source_batch(table(5).to_batches()[0]) for _ in range(8)]
        made = [one.outputs[ROWS].column("value").to_pylist() for one in runner.run_all(batches)]
    assert made == [[0, 2, 4, 6, 8]] * 8
    assert flight.most == 3


@pytest.mark.parametrize("limits", [Limits(), Limits(timeout=60), Limits(retries=1), Limits(per_second=1e6)])
def test_without_concurrency_no_two_threads_call_a_node_at_once(limits: Limits):
    flight = Flight()
    ref = counting(flight, limits).call(SRC.n)
    assert evaluate(ref, table(50)).to_pylist() == [2 * n for n in range(50)]
    assert flight.most == 1


def test_whole_batches_are_called_within_limits_too():
    flight = Flight(3)

    class Columns(Processor):
        def process(self, n: Int64Column) -> Int64Column:
            with flight:
                return n

    node = Columns().options(batch_size=5, limits=Limits(concurrency=3))
    assert evaluate(node.call(SRC.n), table(52)).to_pylist() == list(range(52))
    assert flight.most == 3
    assert evaluate(node.call(SRC.n), table(0)).to_pylist() == []


def test_calls_start_so_many_a_second():
    starts: list[float] = []

    class Timed(Processor):
        def process_row(self, n: int) -> int:
            starts.append(time.monotonic())
            return n

    began = time.monotonic()
    ref = Timed().options(limits=Limits(per_second=100)).call(SRC.n)
    assert evaluate(ref, table(12)).to_pylist() == list(range(12))
    assert starts[-1] - began >= 11 / 100


def test_what_fails_is_tried_again_so_many_times(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hyped_beam.execute.coroutines.FIRST_RETRY_SECONDS", 0.001)
    tries: dict[int, int] = {}

    class Flaky(Processor):
        def process_row(self, n: int) -> int:
            tries[n] = tries.get(n, 0) + 1
            if tries[n] <= n:
                raise ConnectionError(f"try {tries[n]}")
            return n

    node = Flaky().options(limits=Limits(retries=2))
    assert evaluate(node.call(SRC.n), table(3)).to_pylist() == [0, 1, 2]
    tries.clear()
    with pytest.raises(NodeError, match="row 3: ConnectionError: try 3") as caught:
        evaluate(node.call(SRC.n), table(5))
    assert caught.value.values == "n=3"


@pytest.mark.parametrize("raised", [ValueError, StopIteration, SystemExit, KeyboardInterrupt, TimeoutError])
@pytest.mark.parametrize("limits", [Limits(concurrency=4), Limits(timeout=60.0, concurrency=2)])
def test_whatever_a_thread_raises_is_told_by_its_row(raised: type[BaseException], limits: Limits):
    class Fails(Processor):
        def process_row(self, n: int) -> int:
            if n in (3, 4):
                raise raised("no")
            return n

    with pytest.raises(NodeError, match=f"row 3: {raised.__name__}: no"):
        evaluate(Fails().options(limits=limits).call(SRC.n), table(9))


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt])
def test_a_coroutine_with_a_timeout_does_not_end_the_loop(raised: type[BaseException]):
    class Ends(Processor):
        async def process_row(self, n: int) -> int:
            raise raised

    with pytest.raises(NodeError, match=f"row 0: {raised.__name__}"):
        evaluate(Ends().options(limits=Limits(timeout=60)).call(SRC.n), table(2))


def test_a_call_that_takes_too_long_is_given_up_and_its_place_is_free():
    released = threading.Event()

    class Hangs(Processor):
        tries: list[int] = []  # noqa: RUF012 - a field

        def setup(self) -> None:
            self.tries = []

        def process_row(self, n: int) -> int:
            self.tries.append(n)
            if n == 3 and self.tries.count(3) == 1:
                released.wait(DEADLINE)
            return n

    try:
        node = Hangs().options(limits=Limits(timeout=0.05, retries=50))  # one thread at a time
        assert evaluate(node.call(SRC.n), table(6)).to_pylist() == list(range(6))
    finally:
        released.set()


def test_what_takes_too_long_is_an_error_and_the_program_ends(tmp_path: Path):
    program = """
        import threading
        import datasets
        from hyped_beam import DataFlow, Limits, processor

        @processor
        def hangs(n: int) -> int:
            return threading.Event().wait() if n == 3 else n

        ds = datasets.Dataset.from_dict({"n": list(range(6))})
        flow = DataFlow(features=ds.features)
        limited = hangs.options(limits=Limits(timeout=5))  # what a busy machine may take for the others
        flow.apply(ds, collect={"n": limited.call(flow.src_features.n)}, num_proc=PROCESSES)
    """
    for processes in (1, 2):
        script = tmp_path / "program.py"
        script.write_text(textwrap.dedent(program).replace("PROCESSES", str(processes)))
        done = subprocess.run(
            [sys.executable, script], capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 1
        assert "at row 3: TimeoutError: took longer than its limit of 5 s" in done.stderr


def test_calls_that_were_given_up_and_never_end_are_not_piled_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hyped_beam.execute.threads.MOST_LEFT", 3)
    monkeypatch.setattr("hyped_beam.execute.coroutines.FIRST_RETRY_SECONDS", 0.001)
    released = threading.Event()
    calls: list[int] = []

    class Hangs(Processor):
        def process_row(self, n: int) -> int:
            calls.append(n)
            released.wait(DEADLINE)
            return n

    try:
        node = Hangs().options(limits=Limits(timeout=1, retries=5))
        with pytest.raises(NodeError, match="3 calls that were given up still run; a thread cannot be ended"):
            evaluate(node.call(SRC.n), table(2))
        assert calls == [0, 0, 0]
    finally:
        released.set()


def test_teardown_waits_for_calls_that_still_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hyped_beam.execute.coroutines.GRACE_SECONDS", 60)
    events: list[str] = []
    failed = threading.Event()

    class Closes(Processor):
        def process_row(self, n: int) -> int:
            if n == 0:
                failed.set()
                raise ValueError(n)
            assert failed.wait(DEADLINE)
            events.append("returned")
            return n

        def teardown(self) -> None:
            events.append("closed")

    with pytest.raises(NodeError, match="row 0: ValueError"):
        evaluate(Closes().options(limits=Limits(concurrency=2)).call(SRC.n), table(2))
    assert events in (["returned", "closed"], ["closed"])  # the second may not have begun


def test_a_node_without_limits_is_called_by_the_thread_that_runs_the_flow():
    threads: set[str] = set()

    class Notes(Processor):
        def process_row(self, n: int) -> int:
            threads.add(threading.current_thread().name)
            return n

    assert evaluate(Notes().call(SRC.n), table(3)).to_pylist() == [0, 1, 2]
    assert threads == {threading.current_thread().name}


@pytest.mark.parametrize("node", [Mean(), Filter(), RowNumber()])
def test_what_is_not_called_row_by_row_takes_no_limits(node: Any):
    with pytest.raises(DefinitionError, match=rf"{type(node).__name__} takes no limits") as caught:
        node.options(limits=Limits(per_second=3))
    assert caught.value.site is not None
    assert caught.value.site.file == __file__
    assert node.options(name="named", limits=Limits())._options.name == "named"


# ------------------------------------------------------------------------------------------------ processes


def two_ranges(folder: Path, rows: int, *, first: bool = True, second: bool = True) -> str:
    """A file that two processes read; half of its rows may be null, which no node is called with."""
    halves = [list(range(rows)) if has_rows else [None] * rows for has_rows in (first, second)]
    for number, half in enumerate(halves):
        pq.write_table(pa.table({"n": pa.array(half, pa.int64())}), folder / f"{number}.parquet")
    return str(folder / "*.parquet")


def run(source: str, node: Any, folder: Path, runner: str = "local") -> list[int]:
    from hyped_beam.io.writers.arrow import ArrowDatasetWriter

    flow = DataFlow(features={"n": "int64"})
    job = flow.job(source=source).write(
        collect={"n": node.call(flow.src_features.n)}, to=ArrowDatasetWriter(str(folder / "out"))
    )
    done = job.run(runner=runner, num_proc=2)
    return [value for path in done.shards[ROWS] for value in datasets.Dataset.from_file(path)["n"]]


@pytest.mark.parametrize("runner", ["local", "direct"])
@pytest.mark.parametrize("kind", [Ask, Call])
def test_processes_have_as_many_calls_under_way_together_as_the_limit_says(tmp_path, kind, runner):
    path = str(tmp_path / "events")
    node = kind(path=path, wanted=3).options(limits=Limits(concurrency=3))
    assert run(two_ranges(tmp_path, 40), node, tmp_path, runner) == [*range(40)] * 2
    assert most_at_once(path) == 3


@pytest.mark.parametrize("kind", [Ask, Call])
def test_a_process_without_work_leaves_its_share_to_the_others(tmp_path: Path, kind):
    path = str(tmp_path / "events")
    node = kind(path=path, wanted=4).options(limits=Limits(concurrency=4))
    source = two_ranges(tmp_path, 40, second=False)
    assert run(source, node, tmp_path) == [*range(40)] + [None] * 40
    assert most_at_once(path) == 4


@pytest.mark.parametrize("kind", [Ask, Call])
def test_one_call_at_a_time_in_all_processes(tmp_path: Path, kind):
    path = str(tmp_path / "events")
    node = kind(path=path, wanted=1).options(limits=Limits(concurrency=1))
    assert run(two_ranges(tmp_path, 30), node, tmp_path) == [*range(30)] * 2
    assert most_at_once(path) == 1


@pytest.mark.parametrize("kind", [StampAsync, Stamp])
def test_processes_start_calls_at_one_rate_which_one_alone_may_use(tmp_path: Path, kind):
    path, seconds = tmp_path / "events", 0.02
    node = kind(path=str(path)).options(limits=Limits(per_second=1 / seconds))
    began = time.monotonic()
    assert run(two_ranges(tmp_path, 15), node, tmp_path) == [*range(15)] * 2
    starts = sorted(map(float, path.read_text().split()))
    assert len(starts) == 30
    assert starts[-1] - began >= 29 * seconds
    path.unlink()
    (tmp_path / "alone").mkdir()
    source = two_ranges(tmp_path / "alone", 30, second=False)
    assert len(run(source, node, tmp_path / "alone")) == 60
    starts = sorted(map(float, path.read_text().split()))
    # A start that is prior leaves the next one sooner behind it, however busy the machine is.
    assert min(later - earlier for earlier, later in itertools.pairwise(starts)) < 1.5 * seconds


def test_batches_that_a_pool_computes_share_limits(tmp_path: Path):
    path = str(tmp_path / "events")
    node = Ask(path=path, wanted=3).options(limits=Limits(concurrency=3))
    flow = DataFlow(features={"n": "int64"})
    stream = datasets.Dataset.from_dict({"n": list(range(40))}).to_iterable_dataset()
    from hyped_beam.io.writers.arrow import ArrowDatasetWriter

    applied, _ = flow.apply(stream, collect={"n": node.call(flow.src_features.n)}, batch_size=4)
    ArrowDatasetWriter(str(tmp_path / "out"), num_proc=2).consume(applied)
    assert most_at_once(path) == 3
