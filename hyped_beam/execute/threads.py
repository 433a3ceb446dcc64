"""Threads in which a node that is not `async` is called within its limits."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

MOST_LEFT = 256
"""How many calls that were given up may still be running."""

Outcome = tuple[Any, BaseException | None]


class NodeThreads:
    """Daemon threads, started as they are needed, that call one node; they belong to one event loop.

    Python cannot end a thread. A call that is given up runs on, and its result is dropped; it keeps neither
    the job nor the program from ending.

    Args:
        name: The name of the node.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._idle: list[_Thread] = []
        self._busy: set[_Thread] = set()
        self._left: set[_Thread] = set()
        self._is_closed = False

    async def run(self, call: Callable[[], Any]) -> Outcome:
        """What a call returns or raises.

        Raises:
            RuntimeError: Too many calls that were given up are still running.
            asyncio.CancelledError: The call is given up.
        """
        if len(self._left) >= MOST_LEFT:
            msg = (
                f"{MOST_LEFT} calls that were given up still run; a thread cannot be ended, so the node must "
                "give up by itself, as by the timeout of its client"
            )
            raise RuntimeError(msg)
        thread = self._idle.pop() if self._idle else _Thread(self._name, self._loop, self._landed)
        self._busy.add(thread)
        done: asyncio.Future[Outcome] = self._loop.create_future()
        thread.calls.put((call, done))
        try:
            return await done
        except asyncio.CancelledError:
            if thread in self._busy:
                self._busy.remove(thread)
                self._left.add(thread)
            raise

    def _landed(self, thread: _Thread, done: asyncio.Future[Outcome], outcome: Outcome) -> None:
        self._busy.discard(thread)
        self._left.discard(thread)
        if self._is_closed:
            thread.calls.put(None)
        else:
            self._idle.append(thread)
        if not done.done():
            done.set_result(outcome)

    async def close(self) -> list[threading.Thread]:
        """End the threads; those that are in the middle of a call end after it, and are returned."""
        self._is_closed = True
        for thread in self._idle:
            thread.calls.put(None)
        self._idle.clear()
        return [thread.thread for thread in (*self._busy, *self._left)]


class _Thread:
    """A thread that does one call after the other.

    Args:
        name: The name of the node.
        loop: The event loop that gets the outcomes.
        landed: Takes the outcome of a call, in the loop.
    """

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop, landed: Callable[..., None]) -> None:
        self.calls: queue.SimpleQueue[tuple[Callable[[], Any], Any] | None] = queue.SimpleQueue()
        self._loop = loop
        self._landed = landed
        self.thread = threading.Thread(target=self._work, name=f"hyped-beam-{name}", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        while (given := self.calls.get()) is not None:
            call, done = given
            try:
                outcome: Outcome = (call(), None)
            except BaseException as error:  # noqa: BLE001 - whatever a node raises is reported by its step
                outcome = (None, error)
            self._loop.call_soon_threadsafe(self._landed, self, done, outcome)
            del given, call, done, outcome  # nothing of a call is held until the next


def wait_for_threads(threads: list[threading.Thread], seconds: float) -> None:
    """Wait until threads have ended, at most so long in all."""
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
