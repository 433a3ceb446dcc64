"""The stage executor: runs a stage program on batches, steps in order, columns shared."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import pyarrow as pa
from typing_extensions import Self

from hyped_beam.errors import NodeError
from hyped_beam.execute.coroutines import CoroutineStep, background_loop, run_in_loop
from hyped_beam.execute.failure import error_at, find_row, node_error, slice_inputs
from hyped_beam.execute.timing import Timings, add_timing, node_key
from hyped_beam.ir.graph import Edge
from hyped_beam.nodes.aggregator import AggregatorRuntime
from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.runtime import ProcessorRuntime, RowError
from hyped_beam.plan.program import AggregateStep, Output, Program, Step
from hyped_beam.types import arrays
from hyped_beam.types.arrays import Value


@dataclass
class Batch:
    """One batch on its way through a stage.

    Attributes:
        values: What its nodes have computed so far, by the node's number.
        rows: The number of rows.
        first_row: The number of its first row in the source; None where that is not known.
        timings: How long its steps took so far.
    """

    values: dict[int, Value]
    rows: int
    first_row: int | None = None
    timings: Timings = field(default_factory=dict)


@dataclass
class BatchResult:
    """What a stage made of one batch.

    Attributes:
        outputs: Rows by the name of the output.
        states: One state per aggregator, in the order of the program.
        timings: How long its steps took; those of coroutines with what they waited for.
    """

    outputs: dict[str, pa.RecordBatch]
    states: list[pa.StructArray]
    timings: Timings = field(default_factory=dict)


class StageRunner:
    """A stage program that runs; `setup` runs when it is opened, `teardown` when it is closed.

    A program without coroutines runs in the thread that calls. With some, batches run in the event loop
    of the process: a node starts when its inputs are there, several batches are in flight, and nodes that
    are no coroutines run in one thread beside the loop.

    Args:
        program: The program.
    """

    in_flight = 4
    """How many batches of a program with coroutines are in flight."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.steps = [(step, ProcessorRuntime(step.operation, step.output_type)) for step in program.steps]
        self.aggregators = [
            AggregatorRuntime(step.operation, step.state_type, step.output_type)
            for step in program.aggregates
        ]
        self.uses_loop = any(runtime.needs_loop for _, runtime in self.steps)
        self._thread = ThreadPoolExecutor(1, "hyped-beam-stage") if self.uses_loop else None
        self._coroutines: dict[int, CoroutineStep] = {}
        self._opened: list[tuple[Step, ProcessorRuntime]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Run `setup` of every node.

        Raises:
            NodeError: A node's `setup` raised.
        """
        try:
            for step, runtime in self.steps:
                self._run_hook("setup", step, runtime)
                self._opened.append((step, runtime))
                if runtime.coroutine:
                    self._coroutines[step.node] = run_in_loop(_coroutine_step(step, runtime))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Run `teardown` of every node whose `setup` ran, last first.

        Raises:
            NodeError: A node's `teardown` raised; the others have run.
        """
        failures = []
        while self._opened:
            try:
                self._run_hook("teardown", *self._opened.pop())
            except NodeError as error:
                failures.append(error)
        if self._thread is not None:
            self._thread.shutdown()
        if failures:
            raise failures[0]

    def _run_hook(self, name: str, step: Step, runtime: ProcessorRuntime) -> None:
        hook = runtime.hook(name)
        if hook is None:
            return
        try:
            if runtime.needs_loop:
                run_in_loop(_call_hook(hook))
            elif self._thread is not None:
                self._thread.submit(hook).result()
            else:
                hook()
        except Exception as error:
            raise node_error(error, step, {}, None, None) from error

    def source_batch(self, batch: pa.RecordBatch, first_row: int | None = None) -> Batch:
        """A batch of the source as the program takes it."""
        columns = {name: batch.column(name) for name in self.program.columns}
        return Batch({self.program.takes[0]: columns}, batch.num_rows, first_row)

    def run(self, batch: Batch) -> BatchResult:
        """Run the program on one batch; may be called from any thread.

        Raises:
            NodeError: A node raised.
        """
        if self.uses_loop:
            return run_in_loop(self.run_async(batch))
        with self._lock:
            return self._run_steps(batch)

    def run_all(self, batches: Iterable[Batch]) -> Iterator[BatchResult]:
        """Run the program on batches; results come in their order.

        Raises:
            NodeError: A node raised.
        """
        flying: deque[Future[BatchResult]] = deque()
        try:
            for batch in batches:
                flying.append(self.submit(batch))
                if len(flying) >= self.in_flight or not self.uses_loop:
                    yield flying.popleft().result()
            while flying:
                yield flying.popleft().result()
        finally:
            for future in flying:
                future.cancel()

    def submit(self, batch: Batch) -> Future[BatchResult]:
        """Start the program on one batch; without coroutines it has run when this returns."""
        if self.uses_loop:
            return asyncio.run_coroutine_threadsafe(self.run_async(batch), background_loop())
        done: Future[BatchResult] = Future()
        try:
            done.set_result(self.run(batch))
        except Exception as error:  # noqa: BLE001 - raised where the result is taken
            done.set_exception(error)
        return done

    def _run_steps(self, batch: Batch) -> BatchResult:
        batch.values.update(self.program.constants)
        for step, runtime in self.steps:
            batch.values[step.node] = _timed_step(step, runtime, step_inputs(step, batch), batch)
            for number in step.release:
                batch.values.pop(number, None)
        return self.result(batch)

    async def run_async(self, batch: Batch) -> BatchResult:
        """Run the program on one batch in the event loop of the process.

        Raises:
            NodeError: A node raised; of several, the first in the order of the program.
        """
        batch.values.update(self.program.constants)
        loop = asyncio.get_running_loop()
        running: dict[int, asyncio.Task[None]] = {}

        async def one(step: Step, runtime: ProcessorRuntime) -> None:
            for edge in step.inputs.values():
                if edge.node in running:
                    await running[edge.node]
            inputs = step_inputs(step, batch)
            coroutine = self._coroutines.get(step.node)
            if coroutine is not None:
                began = time.perf_counter()
                batch.values[step.node] = await coroutine.run(inputs, batch.rows, batch.first_row)
                add_timing(batch.timings, node_key(step.node), time.perf_counter() - began, batch.rows)
            else:
                batch.values[step.node] = await loop.run_in_executor(
                    self._thread, _timed_step, step, runtime, inputs, batch
                )

        for step, runtime in self.steps:
            running[step.node] = loop.create_task(one(step, runtime))
        try:
            for task in running.values():
                await task
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)
        return await loop.run_in_executor(self._thread, self.result, batch)

    def result(self, batch: Batch) -> BatchResult:
        """What leaves the stage, once all steps have run."""
        outputs = {output.name: output_batch(output, batch) for output in self.program.outputs}
        states = [
            self._state(step, runtime, batch)
            for step, runtime in zip(self.program.aggregates, self.aggregators, strict=True)
        ]
        return BatchResult(outputs, states, batch.timings)

    def _state(self, step: AggregateStep, runtime: AggregatorRuntime, batch: Batch) -> pa.StructArray:
        began = time.perf_counter()
        inputs = step_inputs(step, batch)

        def update(some: Mapping[str, Value], rows: int) -> pa.StructArray:
            return runtime.update(some, Groups.whole(rows))

        try:
            state = update(inputs, batch.rows)
        except Exception as error:
            row = find_row(update, inputs, batch.rows) if step.operation.repeatable else None
            raise node_error(error, step, inputs, row, batch.first_row) from error
        add_timing(batch.timings, node_key(step.node), time.perf_counter() - began, batch.rows)
        return state


async def _call_hook(hook: Any) -> None:
    result = hook()
    if result is not None:
        await result


async def _coroutine_step(step: Step, runtime: ProcessorRuntime) -> CoroutineStep:
    return CoroutineStep(step, runtime)  # in the loop, to which its semaphore belongs


def step_inputs(step: Step | AggregateStep, batch: Batch) -> dict[str, Value]:
    """The inputs of a step."""
    return {name: resolve(batch, edge) for name, edge in step.inputs.items()}


def resolve(batch: Batch, edge: Edge) -> Value:
    """What an edge carries for a batch."""
    return arrays.at_path(batch.values[edge.node], edge.path)


def output_batch(output: Output, batch: Batch) -> pa.RecordBatch:
    """The rows of an output."""
    columns = arrays.columns_of(resolve(batch, output.edge), batch.rows)
    conformed = [arrays.conform(columns[field.name], field.type) for field in output.schema]
    if not conformed:
        return pa.RecordBatch.from_struct_array(arrays.struct_of({}, batch.rows))
    return pa.RecordBatch.from_arrays(conformed, schema=output.schema)


def _timed_step(step: Step, runtime: ProcessorRuntime, inputs: Mapping[str, Value], batch: Batch) -> Value:
    began = time.perf_counter()
    value = run_step(step, runtime, inputs, batch)
    add_timing(batch.timings, node_key(step.node), time.perf_counter() - began, batch.rows)
    return value


def run_step(step: Step, runtime: ProcessorRuntime, inputs: Mapping[str, Value], batch: Batch) -> Value:
    """The output of a step that is no coroutine.

    Raises:
        NodeError: The node raised.
    """
    size = step.options.batch_size or batch.rows
    if size >= batch.rows:
        return _run_slice(step, runtime, inputs, batch.rows, batch.first_row)
    parts = [
        _run_slice(
            step,
            runtime,
            slice_inputs(inputs, start, min(size, batch.rows - start)),
            min(size, batch.rows - start),
            None if batch.first_row is None else batch.first_row + start,
        )
        for start in range(0, batch.rows, size)
    ]
    return arrays.concat_values(parts)


def _run_slice(
    step: Step, runtime: ProcessorRuntime, inputs: Mapping[str, Value], rows: int, first_row: int | None
) -> Value:
    try:
        return runtime.run(inputs, rows)
    except RowError as error:
        raise node_error(error, step, inputs, error.row, first_row) from error.__cause__
    except Exception as error:
        row = find_row(runtime.run, inputs, rows) if step.operation.repeatable else None
        alone = error if row is None else error_at(runtime.run, inputs, row, error)
        raise node_error(alone, step, inputs, row, first_row) from error
