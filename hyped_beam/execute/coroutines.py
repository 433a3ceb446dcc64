"""Calls of nodes within their limits: coroutines in the one event loop of a process, others in threads."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import lru_cache, partial
from itertools import chain
from typing import Any, TypeVar

from hyped_beam.execute.batch import Batch
from hyped_beam.execute.failure import (
    RAISED,
    RowLocation,
    is_alike,
    is_length,
    node_error,
    row_search,
    shown_cause,
    slice_inputs,
)
from hyped_beam.execute.share import Share
from hyped_beam.execute.threads import NodeThreads, wait_for_threads
from hyped_beam.nodes.options import Limits
from hyped_beam.nodes.runtime import ProcessorRuntime, ResultError, RowError
from hyped_beam.plan.program import Program, Step
from hyped_beam.types.arrays import Value, concat_values

Result = TypeVar("Result")

FIRST_RETRY_SECONDS = 0.1

GRACE_SECONDS = 5.0
"""How long what comes before a failure may still take, which may fail too and is then named instead."""


@lru_cache(maxsize=1)
def background_loop() -> asyncio.AbstractEventLoop:
    """The event loop of this process, running in a thread of its own."""
    _forget_after_fork()
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="hyped-beam-loop", daemon=True).start()
    return loop


@lru_cache(maxsize=1)
def _forget_after_fork() -> None:
    """Have a forked child, such as a loader's worker, make a loop of its own: it has not the thread."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=background_loop.cache_clear)


def run_in_loop(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that runs in the background loop.

    Raises:
        RuntimeError: It was called in that loop, which would wait for itself.
    """
    if asyncio._get_running_loop() is background_loop():  # noqa: SLF001 - public, "for low-level code"
        coroutine.close()
        msg = "a coroutine of a node cannot wait here for other coroutines: await built.abatch_process(...)"
        raise RuntimeError(msg)
    future = asyncio.run_coroutine_threadsafe(coroutine, background_loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def first_result(flying: Sequence[Future[Result]]) -> Result:
    """The result of the first of some that are under way; after one behind it has failed it has some time.

    Raises:
        Exception: What the first one raised, or one behind it while the first one was still under way.
    """
    first = flying[0]
    while not first.done():
        failed = next((future for future in flying if future.done() and future.exception()), None)
        if failed is None:
            wait([future for future in flying if not future.done()], return_when=FIRST_COMPLETED)
        elif not wait([first], GRACE_SECONDS).done:
            return failed.result()
    return first.result()


async def all_done(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for tasks; if one fails, those before it have some time to fail, too."""
    if not tasks:
        return
    await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    failed = next((place for place, task in enumerate(tasks) if task.done() and task.exception()), None)
    if failed is None:
        return
    earlier = [task for task in tasks[:failed] if not task.done()]
    if earlier:
        await asyncio.wait(earlier, timeout=GRACE_SECONDS)
    for task in tasks[: failed + 1]:
        if task.done():
            task.result()


class _Job:
    """The rows (or slices) of one batch that a node's workers take one after the other.

    Args:
        numbers: Which, in order.
        start: Starts the coroutine of one.
    """

    def __init__(self, numbers: Sequence[int], start: Callable[[int], Awaitable[Any]]) -> None:
        self.start = start
        self.size = len(numbers)
        self.results: dict[int, Any] = {}
        self.failures: dict[int, BaseException] = {}
        self.pending = iter(numbers)
        self.flying: dict[int, asyncio.Task[Any]] = {}
        self.cancelled: set[int] = set()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, worker: asyncio.Task[Any]) -> int | None:
        """The next one, which a worker now does, or None where all have been taken."""
        number = next(self.pending, None)
        if number is None:
            self._look()
        else:
            self.flying[number] = worker
        return number

    def land(self, number: int, result: Any, error: BaseException | None) -> None:
        """Note how one has ended; after a failure those behind it end, and those before it have some time."""
        del self.flying[number]
        if error is None:
            self.results[number] = result
        elif number not in self.cancelled:
            self._note_failure(number, error)
        if not self.flying:
            self._look()

    def _note_failure(self, number: int, error: BaseException) -> None:
        if not self.failures:
            self.pending = iter(())
            asyncio.get_running_loop().call_later(GRACE_SECONDS, self.drop)
        self.failures[number] = error
        self._cancel([other for other in self.flying if other > number])

    def drop(self) -> None:
        """Take no more, and wait for none."""
        self.pending = iter(())
        self._cancel(list(self.flying))
        if not self.over.done():
            self.over.set_result(None)

    def _cancel(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            if number not in self.cancelled:
                self.cancelled.add(number)
                self.flying[number].cancel()

    def _look(self) -> None:
        if not self.flying and not self.over.done():
            first = next(self.pending, None)
            if first is None:
                self.over.set_result(None)
            else:
                self.pending = chain([first], self.pending)


class LimitedStep:
    """A step whose node is called within limits: a coroutine in the event loop, any other in threads.

    As many workers as may run at once take rows of the batches in flight. It belongs to one event loop.

    Args:
        step: The step.
        runtime: Its node, made ready to run.
        run: The name of the run of a job with which it shares its limits; empty for limits of its own.
    """

    def __init__(self, step: Step, runtime: ProcessorRuntime, run: str = "") -> None:
        self.step = step
        self.runtime = runtime
        self.limits: Limits = step.options.limits
        self._share = Share(f"{run}/{step.node}" if run else "", self.limits, coroutine=runtime.coroutine)
        self._threads = None if runtime.coroutine else NodeThreads(step.name)
        self._is_plain = not (self.limits.per_second or self.limits.timeout or self.limits.retries)
        self._jobs: deque[_Job] = deque()
        self._workers: set[asyncio.Task[None]] = set()

    async def run(self, inputs: Mapping[str, Value], batch: Batch, program: Program) -> Value:
        """The output for one batch.

        Raises:
            NodeError: The node raised; the first row in order that did is named.
        """
        rows = batch.rows_of(self.step.input_scope)
        place = RowLocation(self.step, batch, program)
        try:
            if self.runtime.interface.row_wise:
                return self.runtime.from_rows(await self._run_rows(inputs, rows))
            return await self._run_slices(inputs, rows)
        except RowError as error:
            raise node_error(error, self.step, inputs, error.row, place) from shown_cause(error, self.step)
        except RAISED as error:
            raise node_error(error, self.step, inputs, None, place) from shown_cause(error, self.step)

    async def close(self) -> None:
        """Let go of its share of the limits, and of its threads.

        Where the node has a `teardown` calls that run on in threads are waited for, but not for long.
        """
        self._jobs.clear()
        for worker in list(self._workers):
            worker.cancel()
        self._share.close()
        if self._threads is not None:
            left = await self._threads.close()
            if self.runtime.hook("teardown") is not None:
                await asyncio.get_running_loop().run_in_executor(None, wait_for_threads, left, GRACE_SECONDS)

    async def _run_rows(self, inputs: Mapping[str, Value], rows: int) -> list[Any]:
        values = self.runtime.row_values(inputs, rows)
        process = self.runtime.node.process_row
        numbers = [number for number, row in enumerate(values) if row is not None]

        def start(number: int) -> Awaitable[Any]:
            row = values[number] or {}
            return process(**row) if self._threads is None else self._in_thread(partial(process, **row))

        job = await self._do(_Job(numbers, start))
        if job.failures:
            first = min(job.failures)
            raise RowError(first) from job.failures[first]
        return [job.results.get(number) for number in range(rows)]

    async def _run_slices(self, inputs: Mapping[str, Value], rows: int) -> Value:
        size = self.step.options.batch_size or max(rows, 1)
        starts = list(range(0, max(rows, 1), size))

        job = await self._do(
            _Job(starts, lambda start: self._run_slice(inputs, start, min(size, rows - start)))
        )
        if job.failures:
            first = min(job.failures)
            row, error = await self._find_row(inputs, first, min(size, rows - first), job.failures[first])
            raise RowError(row) from error
        return concat_values([job.results[start] for start in starts])

    async def _run_slice(self, inputs: Mapping[str, Value], start: int, rows: int) -> Value:
        given = slice_inputs(inputs, start, rows)
        if self._threads is not None:
            return await self._in_thread(partial(self.runtime.run, given, rows))
        made = await self.runtime.node.process(**self.runtime.column_inputs(given, rows))
        return self.runtime.from_columns(made, rows)

    async def _in_thread(self, call: Callable[[], Any]) -> Any:
        assert self._threads is not None  # noqa: S101 - asked by the caller
        result, error = await self._threads.run(call)
        if error is not None:
            raise _RaisedError from error  # not itself: a coroutine cannot raise a StopIteration
        return result

    async def _find_row(
        self, inputs: Mapping[str, Value], start: int, rows: int, error: BaseException
    ) -> tuple[int | None, BaseException]:
        """The first row that fails alone as some rows do, if there is one, and the error to report."""
        too_long = self.limits.timeout is not None and isinstance(error, TimeoutError)
        if not self.step.operation.repeatable or too_long:
            return None, error
        search = row_search(rows, some_pass=is_length(error))
        raised = error
        try:
            at, length = next(search)
            while True:
                other = await self._failure(inputs, start + at, length)
                failed = other is not None and is_alike(error, other)
                if failed and other is not None:
                    raised = other
                at, length = search.send(failed)
        except StopIteration as found:
            if found.value is None:
                return None, error
            return start + found.value, error if isinstance(error, ResultError) else raised

    async def _failure(self, inputs: Mapping[str, Value], start: int, rows: int) -> BaseException | None:
        job = await self._do(_Job([start], lambda start: self._run_slice(inputs, start, rows)))
        return job.failures.get(start)

    async def _do(self, job: _Job) -> _Job:
        if not job.size:
            return job
        self._jobs.append(job)
        for _ in range(min(self._share.most - len(self._workers), job.size)):
            self._start_worker()
        try:
            await job.over
        except asyncio.CancelledError:
            job.drop()
            raise
        return job

    def _start_worker(self) -> None:
        self._workers.add(asyncio.get_running_loop().create_task(self._work()))

    async def _work(self) -> None:
        """Take rows until there are none, as long as no other process waits for the slot."""
        this: Any = asyncio.current_task()
        try:
            await self._share.slot()
            try:
                await self._take_rows(this)
            finally:
                self._share.give_back()
        finally:
            # Not in a callback of the task, which runs later: a job would count on a worker that is gone.
            self._workers.discard(this)
            if self._jobs:
                self._start_worker()

    async def _take_rows(self, this: asyncio.Task[Any]) -> None:
        while self._jobs:
            job = self._jobs[0]
            number = job.take(this)
            if number is None:
                if self._jobs and self._jobs[0] is job:
                    self._jobs.popleft()
                continue
            try:
                made = await (job.start(number) if self._is_plain else self._attempt(job, number))
            except BaseException as error:  # noqa: BLE001 - what does not land is waited for
                job.land(number, None, _raised(error))
            else:
                job.land(number, made, None)
            if number in job.cancelled or self._share.is_recalled:
                return  # a task that was cancelled stays so for what it does later

    async def _attempt(self, job: _Job, number: int) -> Any:
        delay = FIRST_RETRY_SECONDS
        for _ in range(self.limits.retries):
            try:
                return await self._once(job, number)
            except Exception as error:
                if not isinstance(_raised(error), Exception):  # such as SystemExit in a thread
                    raise
                await asyncio.sleep(delay)
                delay *= 2
        return await self._once(job, number)

    async def _once(self, job: _Job, number: int) -> Any:
        await self._share.turn()
        if self.limits.timeout is None:
            return await job.start(number)
        try:
            made, error = await asyncio.wait_for(_outcome(job.start(number)), self.limits.timeout)
        except asyncio.TimeoutError:
            msg = f"took longer than its limit of {self.limits.timeout:g} s"
            raise TimeoutError(msg) from None
        if error is not None:
            raise error
        return made


class _RaisedError(Exception):
    """What a call raised in a thread is the cause."""


def _raised(error: BaseException) -> BaseException:
    return error.__cause__ if isinstance(error, _RaisedError) and error.__cause__ is not None else error


async def _outcome(call: Awaitable[Any]) -> tuple[Any, BaseException | None]:
    """What a call gives or raises: a task that raises what ends programs would end the loop."""
    try:
        return await call, None
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - raised by the step
        return None, error
