"""The stage executor: runs a stage program on batches, steps in order, columns shared."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import pyarrow as pa
from typing_extensions import Self

from hyped_beam.errors import InputError, NodeError
from hyped_beam.execute.batch import Batch, source_batch
from hyped_beam.execute.batch_result import BatchAggregates, BatchResult
from hyped_beam.execute.bindings import PriorResults, StageBindings
from hyped_beam.execute.combining import StageUpdate, aggregate_in_place, step_inputs
from hyped_beam.execute.coroutines import LimitedStep, all_done, background_loop, first_result, run_in_loop
from hyped_beam.execute.failure import (
    RAISED,
    RowLocation,
    found_error,
    masked,
    node_error,
    shown_cause,
    slice_inputs,
)
from hyped_beam.execute.materialized import kept_values
from hyped_beam.execute.row_numbers import row_numbers
from hyped_beam.execute.timing import add_timing, node_key
from hyped_beam.ir.graph import Kind
from hyped_beam.ir.scope import lineage
from hyped_beam.nodes.aggregator import AggregatorRuntime
from hyped_beam.nodes.augmentor import AugmentorRuntime
from hyped_beam.nodes.runtime import ProcessorRuntime, RowError
from hyped_beam.plan.program import Output, Program, Step
from hyped_beam.types import arrays
from hyped_beam.types.arrays import Value
from hyped_beam.types.spans import Span


class StageRunner:
    """A stage program that runs; `setup` runs when it is opened, `teardown` when it is closed.

    A program without coroutines and limits runs in the thread that calls. With some, batches run in the event
    loop of the process: a node starts when its inputs are there, several batches are in flight, nodes that
    have limits are called in threads of their own, and all others in one thread beside the loop.

    Args:
        program: The program.
        prior: What earlier stages have made known.
    """

    in_flight = 4
    """How many batches of a program with coroutines are in flight."""

    rows_in_flight = 256
    """How many rows there are in them: of small batches, as those of tiny files, there may be more."""

    def __init__(self, program: Program, prior: PriorResults | None = None) -> None:
        self.program = program
        self.steps = [(step, runtime_of(step)) for step in program.steps]
        self._known = StageBindings(program, prior or PriorResults())
        self._update = StageUpdate(program) if program.combines else None
        self.uses_loop = any(runtime.needs_loop or _is_limited(step) for step, runtime in self.steps)
        self._waits = _waits(program) if self.uses_loop else {}
        self._thread = ThreadPoolExecutor(1, "hyped-beam-stage") if self.uses_loop else None
        self._limited: dict[int, LimitedStep] = {}
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
            InputError: A node's `setup` found that what it reads is wrong, such as the table of a lookup.
        """
        try:
            for step, runtime in self.steps:
                if isinstance(runtime, ProcessorRuntime):
                    runtime.prepare()
                self._run_hook("setup", step, runtime)
                self._opened.append((step, runtime))
                if runtime.coroutine or _is_limited(step):
                    self._limited[step.node] = run_in_loop(_limited_step(step, runtime, self.program.run))
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
            step, runtime = self._opened.pop()
            try:
                if step.node in self._limited:
                    run_in_loop(self._limited.pop(step.node).close())
                self._run_hook("teardown", step, runtime)
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
        except InputError as error:  # what it was given to read is wrong, not the node
            message, hint = masked(step, error.message), error.hint and masked(step, error.hint)
            raise InputError(message, site=error.site or step.site, hint=hint) from shown_cause(error, step)
        except RAISED as error:
            raise node_error(error, step, {}, None, None) from shown_cause(error, step)

    def renew(self, prior: PriorResults) -> None:
        """Have it know other things of earlier stages; its nodes stay set up."""
        self._known = StageBindings(self.program, prior)

    def source_batch(
        self, batch: pa.RecordBatch, spans: tuple[Span, ...] = (), place: tuple[int, int] = (0, 0)
    ) -> Batch:
        """A batch of the source as the program takes it."""
        return source_batch(self.program, batch, spans, place)

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
        flying: deque[tuple[int, Future[BatchResult]]] = deque()
        try:
            for batch in batches:
                flying.append((batch.rows, self.submit(batch)))
                while self._is_enough(flying):
                    yield first_result([future for _, future in flying])
                    flying.popleft()
            while flying:
                yield first_result([future for _, future in flying])
                flying.popleft()
        finally:
            for _, future in flying:
                future.cancel()

    def _is_enough(self, flying: Sequence[tuple[int, Future[BatchResult]]]) -> bool:
        """Whether the first of some batches is taken before another one is begun."""
        if not flying or not self.uses_loop or flying[0][1].done():
            return bool(flying)
        return len(flying) >= self.in_flight and sum(rows for rows, _ in flying) >= self.rows_in_flight

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
        self._known.enter(batch)
        for step, runtime in self.steps:
            self._run_step(step, runtime, batch)
            batch.release(step.release)
        return self.result(batch)

    def _run_step(self, step: Step, runtime: Any, batch: Batch) -> None:
        began = time.perf_counter()
        inputs = step_inputs(step, batch, self.program)
        if step.kind is Kind.MAP:
            batch.values[step.node] = run_step(step, runtime, inputs, batch, self.program)
        elif step.kind is Kind.ROWS:
            make_rows(step, runtime, inputs, batch, self.program)
        elif step.kind is Kind.KEYS:
            self._known.find_groups(step, inputs, batch)
        else:
            aggregate_in_place(step, runtime, inputs, batch, self.program)
        add_timing(
            batch.timings, node_key(step.node), time.perf_counter() - began, batch.rows_of(step.input_scope)
        )

    async def run_async(self, batch: Batch) -> BatchResult:
        """Run the program on one batch in the event loop of the process.

        Raises:
            NodeError: A node raised; of several, the first in the order of the program.
        """
        self._known.enter(batch)
        loop = asyncio.get_running_loop()
        running: dict[int, asyncio.Task[None]] = {}

        async def one(step: Step, runtime: Any) -> None:
            for number in self._waits[step.node]:
                await running[number]
            limited = self._limited.get(step.node)
            if limited is None:
                await loop.run_in_executor(self._thread, self._run_step, step, runtime, batch)
                return
            inputs = await loop.run_in_executor(self._thread, step_inputs, step, batch, self.program)
            began = time.perf_counter()
            batch.values[step.node] = await limited.run(inputs, batch, self.program)
            add_timing(
                batch.timings,
                node_key(step.node),
                time.perf_counter() - began,
                batch.rows_of(step.input_scope),
            )

        for step, runtime in self.steps:
            running[step.node] = loop.create_task(one(step, runtime))
        try:
            await all_done(list(running.values()))
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)
        return await loop.run_in_executor(self._thread, self.result, batch)

    def result(self, batch: Batch) -> BatchResult:
        """What leaves the stage, once all steps have run."""
        outputs = {output.name: output_batch(output, batch, self.program) for output in self.program.outputs}
        update = self._update
        return BatchResult(
            outputs,
            batch.timings,
            kept_values(self.program, batch),
            batch,
            [] if update is None else BatchAggregates(update, *update.take(batch)),
        )


def runtime_of(step: Step) -> Any:
    """What runs the node of a step."""
    if step.kind is Kind.ROWS:
        return AugmentorRuntime(step.operation, step.output_type)
    if step.kind is Kind.AGGREGATE:
        assert step.state_type is not None  # noqa: S101 - the planner's promise
        return AggregatorRuntime(step.operation, step.state_type, step.output_type)
    if step.kind is Kind.KEYS:
        return NoRuntime()
    return ProcessorRuntime(step.operation, step.output_type)


def _waits(program: Program) -> dict[int, tuple[int, ...]]:
    """For each step the steps whose values or rows it needs."""
    running = {step.node for step in program.steps}
    found = {}
    for step in program.steps:
        scopes = {
            step.scope,
            step.input_scope,
            *(program.scope_of[edge.node] for edge in step.inputs.values()),
        }
        makers = {made.node for scope in scopes for made in lineage(program.scopes, scope)}
        needed = {edge.node for edge in step.inputs.values()} | {node for node in makers if node is not None}
        found[step.node] = tuple(sorted((needed & running) - {step.node}))
    return found


class NoRuntime:
    """What runs a step that has no node of a user's."""

    coroutine = False
    needs_loop = False

    def hook(self, name: str) -> None:
        """There is none."""
        del name


async def _call_hook(hook: Any) -> None:
    result = hook()
    if result is not None:
        await result


async def _limited_step(step: Step, runtime: ProcessorRuntime, run: str) -> LimitedStep:
    return LimitedStep(step, runtime, run)  # in the loop, to which it belongs


def _is_limited(step: Step) -> bool:
    """Whether the calls of a node have limits, also where it is no coroutine."""
    return step.kind is Kind.MAP and step.options is not None and step.options.limits.is_set


def make_rows(
    step: Step, runtime: AugmentorRuntime, inputs: Mapping[str, Value], batch: Batch, program: Program
) -> None:
    """Put the rows into a batch that an augmentor makes.

    Raises:
        NodeError: The node raised.
    """
    rows = batch.rows_of(step.input_scope)
    try:
        parent, columns = runtime.run(inputs, rows)
    except RAISED as error:
        raise found_error(
            error, runtime.run, step, inputs, rows, RowLocation(step, batch, program)
        ) from shown_cause(error, step)
    batch.add_rows(step.scope, step.input_scope, parent)
    batch.values[step.node] = columns


def output_batch(output: Output, batch: Batch, program: Program) -> pa.RecordBatch:
    """The rows of an output."""
    value = batch.resolve(output.edge, program.scope_of[output.edge.node], output.scope, program.scopes)
    rows = batch.rows_of(output.scope)
    columns = arrays.columns_of(value, rows)
    conformed = [arrays.conform(columns[field.name], field.type) for field in output.schema]
    if not conformed:
        return pa.RecordBatch.from_struct_array(arrays.struct_of({}, rows))
    return pa.RecordBatch.from_arrays(conformed, schema=output.schema)


def run_step(
    step: Step, runtime: ProcessorRuntime, inputs: Mapping[str, Value], batch: Batch, program: Program
) -> Value:
    """The output of a step that is no coroutine.

    Raises:
        NodeError: The node raised.
    """
    rows = batch.rows_of(step.input_scope)
    place = RowLocation(step, batch, program)
    if runtime.tells_rows_apart:
        return row_numbers(step, batch)
    size = step.options.batch_size or rows
    if size >= rows:
        return _run_slice(step, runtime, inputs, rows, place)
    parts = [
        _run_slice(
            step,
            runtime,
            slice_inputs(inputs, start, min(size, rows - start)),
            min(size, rows - start),
            place.after(start),
        )
        for start in range(0, rows, size)
    ]
    return arrays.concat_values(parts)


def _run_slice(
    step: Step, runtime: ProcessorRuntime, inputs: Mapping[str, Value], rows: int, place: RowLocation
) -> Value:
    try:
        return runtime.run(inputs, rows)
    except RowError as error:
        raise node_error(error, step, inputs, error.row, place) from shown_cause(error, step)
    except RAISED as error:
        raise found_error(error, runtime.run, step, inputs, rows, place) from shown_cause(error, step)
