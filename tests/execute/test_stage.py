"""The stage executor: steps in order, slices, hooks, and many threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from hyped_beam import NodeError, Processor
from hyped_beam.dsl.outputs import ROWS, Outputs, graph_of, plan_of
from hyped_beam.execute.stage import StageRunner
from hyped_beam.nodes.refs import builder_of
from hyped_beam.testing import flow_of
from hyped_beam.types.patterns import Int64Column
from hyped_beam.types.spans import Span

TABLE = pa.table({"n": list(range(6)), "inner": [{"x": n, "y": str(n)} for n in range(6)]})


def program_of(**refs: Any) -> Any:
    builder = builder_of(next(iter(refs.values())))
    return plan_of(graph_of(builder, Outputs(refs))).scan


def run(runner: StageRunner, table: pa.Table = TABLE, first_row: int | None = 0) -> dict[str, list[Any]]:
    batch = table.combine_chunks().to_batches()[0]
    spans = (Span(batch.num_rows, first_row),)
    return runner.run(runner.source_batch(batch, spans)).outputs[ROWS].to_pydict()


class Plus(Processor):
    by: int = 1

    def process(self, n: Int64Column) -> Int64Column:
        return pa.array([None if value is None else value + self.by for value in n.to_pylist()], pa.int64())


class AsyncPlus(Processor):
    by: int = 1

    async def process_row(self, n: int) -> int:
        return n + self.by


def test_only_columns_that_are_needed_are_read():
    src = flow_of(TABLE.schema)
    assert program_of(a=src.n).columns == ("n",)
    assert program_of(a=src.inner.x).columns == ("inner",)


@pytest.mark.parametrize("node", [Plus, AsyncPlus])
def test_values_live_as_long_as_a_step_or_an_output_needs_them(node: Any):
    src = flow_of(TABLE.schema)
    first = node(by=1).call(src.n)
    second = node(by=2).call(first)
    third = node(by=3).call(second)
    with StageRunner(program_of(first=first, third=third, source=src.n, again=third)) as runner:
        for _ in range(2):
            assert run(runner) == {
                "first": [1, 2, 3, 4, 5, 6],
                "third": [6, 7, 8, 9, 10, 11],
                "source": [0, 1, 2, 3, 4, 5],
                "again": [6, 7, 8, 9, 10, 11],
            }


def test_batches_of_no_rows_and_of_one():
    src = flow_of(TABLE.schema)
    with StageRunner(program_of(a=Plus().call(src.n), x=src.inner.x)) as runner:
        assert run(runner, TABLE.slice(2, 1)) == {"a": [3], "x": [2]}
        batch = pa.RecordBatch.from_pydict(
            {name: pa.nulls(0, TABLE.schema.field(name).type) for name in TABLE.column_names}
        )
        assert runner.run(runner.source_batch(batch)).outputs[ROWS].num_rows == 0


def test_a_null_struct_has_null_fields():
    table = pa.table({"inner": pa.array([{"x": 1}, None, {"x": None}], pa.struct([("x", pa.int64())]))})
    src = flow_of(table.schema)
    with StageRunner(program_of(x=src.inner.x, inner=src.inner)) as runner:
        assert run(runner, table) == {"x": [1, None, None], "inner": [{"x": 1}, None, {"x": None}]}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_many_threads_share_a_runner(asynchronous: bool):
    class Alone(Processor):
        """Fails where two threads are inside at once."""

        def setup(self) -> None:
            self.inside = threading.Lock()

        def process(self, n: Int64Column) -> Int64Column:
            assert self.inside.acquire(blocking=False)
            try:
                return pa.array([value * 10 for value in n.to_pylist()])
            finally:
                self.inside.release()

    src = flow_of(TABLE.schema)
    refs = {"a": Alone().call(src.n)} | ({"b": AsyncPlus().call(src.n)} if asynchronous else {})
    with StageRunner(program_of(**refs)) as runner, ThreadPoolExecutor(8) as threads:
        tables = [TABLE.slice(start % 6, 1) for start in range(60)]
        made = list(threads.map(lambda table: run(runner, table)["a"], tables))
    assert made == [[start % 6 * 10] for start in range(60)]


def test_rows_are_counted_from_the_first_of_the_batch():
    class Fails(Processor):
        def process(self, n: Int64Column) -> Int64Column:
            if 4 in n.to_pylist():
                msg = "four"
                raise ValueError(msg)
            return n

    src = flow_of(TABLE.schema)
    for options in ({}, {"batch_size": 2}, {"batch_size": 1}):
        with StageRunner(program_of(a=Fails().options(**options).call(src.n))) as runner:
            with pytest.raises(NodeError, match="failed at row 1004: ValueError: four"):
                run(runner, first_row=1000)
            with pytest.raises(
                NodeError,
                match=r"(?s)'fails' failed: ValueError: four\n  raised in: .*:\d+, process\n  row: n=4",
            ) as caught:
                run(runner, first_row=None)
            assert caught.value.row is None
            assert run(runner, TABLE.slice(0, 4)) == {"a": [0, 1, 2, 3]}  # it goes on after an error


def test_run_all_stops_at_the_first_error_and_gives_what_came_before():
    class Fails(Processor):
        async def process_row(self, n: int) -> int:
            if n == 3:
                raise ValueError(n)
            return n

    src = flow_of(TABLE.schema)
    with StageRunner(program_of(a=Fails().call(src.n))) as runner:
        batches = (runner.source_batch(TABLE.slice(n, 1).to_batches()[0], (Span(1, n),)) for n in range(6))
        results = runner.run_all(batches)
        assert [next(results).outputs[ROWS]["a"].to_pylist() for _ in range(3)] == [[0], [1], [2]]
        with pytest.raises(NodeError, match="row 3"):
            next(results)


def test_teardown_runs_for_all_even_where_one_raises():
    torn: list[int] = []

    class Torn(Processor):
        number: int

        def process_row(self, n: int) -> int:
            return n

        def teardown(self) -> None:
            torn.append(self.number)
            if self.number == 2:
                msg = "stuck"
                raise OSError(msg)

    src = flow_of(TABLE.schema)
    refs = {str(number): Torn(number=number).call(src.n) for number in (1, 2, 3)}
    runner = StageRunner(program_of(**refs))
    runner.open()
    with pytest.raises(NodeError, match="'torn' failed: OSError: stuck"):
        runner.close()
    assert torn == [3, 2, 1]


def test_constants_reach_every_stage_that_uses_them():
    src = flow_of(TABLE.schema)
    with StageRunner(program_of(a=src.n + 10, b=src.n * 0 + 7)) as runner:
        assert run(runner, TABLE.slice(0, 2)) == {"a": [10, 11], "b": [7, 7]}
