"""Coroutines: the one event loop of a process, and nodes that run in it within their limits."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from hyped_beam.execute.failure import node_error, slice_inputs
from hyped_beam.nodes.options import Limits
from hyped_beam.nodes.runtime import ProcessorRuntime, RowError
from hyped_beam.plan.program import Step
from hyped_beam.types.arrays import Value, concat_values

Result = TypeVar("Result")

FIRST_RETRY_SECONDS = 0.1


@lru_cache(maxsize=1)
def background_loop() -> asyncio.AbstractEventLoop:
    """The event loop of this process, running in a thread of its own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="hyped-beam-loop", daemon=True).start()
    return loop


if hasattr(os, "register_at_fork"):  # a forked child, such as a loader's worker, has not the thread
    os.register_at_fork(after_in_child=background_loop.cache_clear)


def run_in_loop(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that runs in the background loop."""
    future = asyncio.run_coroutine_threadsafe(coroutine, background_loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


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


class CoroutineStep:
    """A step whose node is `async`.

    Args:
        step: The step.
        runtime: Its node, made ready to run.
    """

    def __init__(self, step: Step, runtime: ProcessorRuntime) -> None:
        self.step = step
        self.runtime = runtime
        self.limits: Limits = step.options.limits
        self._slots = asyncio.Semaphore(self.limits.concurrency)
        self._starts = Starts(self.limits.per_second)
        self._is_plain = not (self.limits.per_second or self.limits.timeout or self.limits.retries)

    async def run(self, inputs: Mapping[str, Value], rows: int, first_row: int | None) -> Value:
        """The output for one batch.

        Raises:
            NodeError: The node raised; the first row in order that did is named.
        """
        try:
            if self.runtime.interface.row_wise:
                return self.runtime.from_rows(await self._run_rows(inputs, rows))
            return await self._run_batches(inputs, rows)
        except RowError as error:
            raise node_error(error, self.step, inputs, error.row, first_row) from error.__cause__
        except Exception as error:
            raise node_error(error, self.step, inputs, None, first_row) from error

    async def _run_batches(self, inputs: Mapping[str, Value], rows: int) -> Value:
        size = self.step.options.batch_size or max(rows, 1)
        starts = range(0, max(rows, 1), size)

        async def one(start: int) -> Value:
            length = min(size, rows - start)
            columns = self.runtime.column_inputs(slice_inputs(inputs, start, length), length)
            result = await self._attempt(lambda: self.runtime.node.process(**columns))
            return self.runtime.from_columns(result, length)

        return concat_values(await asyncio.gather(*(one(start) for start in starts)))

    async def _run_rows(self, inputs: Mapping[str, Value], rows: int) -> list[Any]:
        """The results of all rows, by as many workers as may run at once, each taking the next row."""
        values = self.runtime.row_values(inputs, rows)
        results: list[Any] = [None] * rows
        failures: dict[int, Exception] = {}
        pending = iter([number for number, row in enumerate(values) if row is not None])

        async def worker() -> None:
            for number in pending:
                if failures and number > min(failures):
                    return
                try:
                    results[number] = await self._attempt(
                        lambda row=values[number]: self.runtime.node.process_row(**row)  # type: ignore[misc]
                    )
                except Exception as error:  # noqa: BLE001 - whatever a node raises
                    failures[number] = error

        await asyncio.gather(*(worker() for _ in range(min(self.limits.concurrency, rows))))
        if failures:
            first = min(failures)
            raise RowError(first) from failures[first]
        return results

    async def _attempt(self, start: Callable[[], Awaitable[Any]]) -> Any:
        """What a coroutine of the node gives, within the node's limits."""
        if self._is_plain:
            async with self._slots:
                return await start()
        delay = FIRST_RETRY_SECONDS
        for _ in range(self.limits.retries):
            try:
                return await self._once(start)
            except Exception:  # noqa: BLE001 - whatever a node raises is tried again
                await asyncio.sleep(delay)
                delay *= 2
        return await self._once(start)

    async def _once(self, start: Callable[[], Awaitable[Any]]) -> Any:
        async with self._slots:
            if self.limits.per_second is not None:
                await self._starts.turn()
            if self.limits.timeout is None:
                return await start()
            try:
                return await asyncio.wait_for(start(), self.limits.timeout)
            except asyncio.TimeoutError:
                msg = f"took longer than its limit of {self.limits.timeout:g} s"
                raise TimeoutError(msg) from None
