"""Coroutines: the one event loop of a process, and nodes that run in it within their limits."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import lru_cache
from itertools import chain
from typing import Any, TypeVar

from hyped_beam.execute.batch import Batch
from hyped_beam.execute.failure import RAISED, Place, node_error, slice_inputs
from hyped_beam.nodes.options import Limits
from hyped_beam.nodes.runtime import ProcessorRuntime, RowError
from hyped_beam.plan.program import Program, Step
from hyped_beam.types.arrays import Value, concat_values

Result = TypeVar("Result")

FIRST_RETRY_SECONDS = 0.1

GRACE_SECONDS = 5.0
"""How long what comes before a failure may still take, which may fail too and is then named instead."""


@lru_cache(maxsize=1)
def background_loop() -> asyncio.AbstractEventLoop:
    """The event loop of this process, running in a thread of its own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="hyped-beam-loop", daemon=True).start()
    return loop


if hasattr(os, "register_at_fork"):  # a forked child, such as a loader's worker, has not the thread
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


class Starts:
    """When the coroutines of one node may start: so many a second.

    Args:
        per_second: How many; None for no bound.
    """

    def __init__(self, per_second: float | None) -> None:
        self._interval = 0.0 if per_second is None else 1 / per_second
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for one's turn."""
        now = asyncio.get_running_loop().time()
        start = max(now, self._next)
        self._next = start + self._interval
        if start > now:
            await asyncio.sleep(start - now)


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


class CoroutineStep:
    """A step whose node is `async`: as many workers as may run at once take rows of the batches in flight.

    Args:
        step: The step.
        runtime: Its node, made ready to run.
    """

    def __init__(self, step: Step, runtime: ProcessorRuntime) -> None:
        self.step = step
        self.runtime = runtime
        self.limits: Limits = step.options.limits
        self._starts = Starts(self.limits.per_second)
        self._is_plain = not (self.limits.per_second or self.limits.timeout or self.limits.retries)
        self._jobs: deque[_Job] = deque()
        self._workers: set[asyncio.Task[None]] = set()

    async def run(self, inputs: Mapping[str, Value], batch: Batch, program: Program) -> Value:
        """The output for one batch.

        Raises:
            NodeError: The node raised; the first row in order that did is named.
        """
        rows = batch.rows_of(self.step.rows)
        place = Place(self.step, batch, program)
        try:
            if self.runtime.interface.row_wise:
                return self.runtime.from_rows(await self._run_rows(inputs, rows))
            return await self._run_slices(inputs, rows)
        except RowError as error:
            raise node_error(error, self.step, inputs, error.row, place) from error.__cause__
        except RAISED as error:
            raise node_error(error, self.step, inputs, None, place) from error

    async def _run_rows(self, inputs: Mapping[str, Value], rows: int) -> list[Any]:
        values = self.runtime.row_values(inputs, rows)
        process = self.runtime.node.process_row
        numbers = [number for number, row in enumerate(values) if row is not None]
        job = await self._do(_Job(numbers, lambda number: process(**(values[number] or {}))))
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
            row = await self._find_row(inputs, first, min(size, rows - first))
            raise RowError(row) from job.failures[first]
        return concat_values([job.results[start] for start in starts])

    async def _run_slice(self, inputs: Mapping[str, Value], start: int, rows: int) -> Value:
        columns = self.runtime.column_inputs(slice_inputs(inputs, start, rows), rows)
        return self.runtime.from_columns(await self.runtime.node.process(**columns), rows)

    async def _find_row(self, inputs: Mapping[str, Value], start: int, rows: int) -> int | None:
        """The first of some rows on which the node raises, found by halving; None where none is at fault."""
        if not self.step.operation.repeatable:
            return None
        while rows > 1:
            half = rows // 2
            if await self._raises(inputs, start, half):
                rows = half
            else:
                start, rows = start + half, rows - half
        return start if rows and await self._raises(inputs, start, 1) else None

    async def _raises(self, inputs: Mapping[str, Value], start: int, rows: int) -> bool:
        job = await self._do(_Job([start], lambda start: self._run_slice(inputs, start, rows)))
        return bool(job.failures)

    async def _do(self, job: _Job) -> _Job:
        self._jobs.append(job)
        for _ in range(min(self.limits.concurrency - len(self._workers), max(job.size, 1))):
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
        """Take rows until there are none."""
        this: Any = asyncio.current_task()
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
                job.land(number, None, error)
            else:
                job.land(number, made, None)
            if number in job.cancelled:  # a task that was cancelled stays so for what it does later
                break
        # Not in a callback of the task, which runs later: a job would count on a worker that is gone.
        self._workers.discard(this)
        if self._jobs:
            self._start_worker()

    async def _attempt(self, job: _Job, number: int) -> Any:
        delay = FIRST_RETRY_SECONDS
        for _ in range(self.limits.retries):
            try:
                return await self._once(job, number)
            except Exception:  # noqa: BLE001 - whatever a node raises is tried again
                await asyncio.sleep(delay)
                delay *= 2
        return await self._once(job, number)

    async def _once(self, job: _Job, number: int) -> Any:
        if self.limits.per_second is not None:
            await self._starts.turn()
        if self.limits.timeout is None:
            return await job.start(number)
        try:
            return await asyncio.wait_for(job.start(number), self.limits.timeout)
        except asyncio.TimeoutError:
            msg = f"took longer than its limit of {self.limits.timeout:g} s"
            raise TimeoutError(msg) from None
