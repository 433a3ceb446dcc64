"""A step's share of the limits of its node, as its coroutines take it."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections import deque

from hyped_beam.execute import budget
from hyped_beam.nodes.options import Limits


class Share:
    """What one step may do of what the limits of its node allow; it belongs to one event loop.

    Args:
        key: A name for the node, the same wherever it runs for one job; empty for limits of its own.
        limits: The limits.
        coroutine: Whether the node is `async`.
    """

    def __init__(self, key: str, limits: Limits, *, coroutine: bool) -> None:
        self.most = limits.at_once(coroutine=coroutine)
        self._is_rated = limits.per_second is not None
        self._loop = asyncio.get_running_loop()
        self._slots = 0
        self._recalled = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._starting: deque[asyncio.Future[float]] = deque()
        # A node that is called by one thread is bound by each process, not by all together.
        concurrency = math.inf if limits.concurrency is None and not coroutine else self.most
        name = key or uuid.uuid4().hex
        self._member = budget.join(name, concurrency, limits.per_second, self._deliver)

    def _deliver(self, what: str, amount: float) -> None:
        self._loop.call_soon_threadsafe(self._receive, what, amount)

    def _receive(self, what: str, amount: float) -> None:
        if what == "recall":
            self._recalled += int(amount)
        elif what == "start":
            future = self._starting.popleft()
            if not future.done():
                future.set_result(amount)
        else:
            self._slots += int(amount)
            self._hand_out()

    def _hand_out(self) -> None:
        while self._slots and self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                self._slots -= 1
                future.set_result(None)
        if self._slots:  # those who waited have gone
            self._member.give_back(self._slots)
            self._slots = 0

    async def slot(self) -> None:
        """Wait until one more call may be under way."""
        if self._member.ask(1):
            return
        future = self._loop.create_future()
        self._waiting.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.give_back()
            raise

    def give_back(self) -> None:
        """One call fewer is under way."""
        self._recalled = max(0, self._recalled - 1)
        self._member.give_back(1)

    @property
    def is_recalled(self) -> bool:
        """Whether another process waits for a slot of this one."""
        return self._recalled > 0

    async def turn(self) -> None:
        """Wait until one more call may start."""
        if not self._is_rated:
            return
        future: asyncio.Future[float] = self._loop.create_future()
        self._starting.append(future)
        self._member.ask_start()
        seconds = await future - self._loop.time()
        if seconds > 0:
            await asyncio.sleep(seconds)

    def close(self) -> None:
        """Take part no more."""
        self._member.leave()
