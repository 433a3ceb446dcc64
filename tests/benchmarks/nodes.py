"""Nodes of the benchmarks, in a module of their own: each worker process imports the module of its node.

That of a benchmark imports `datasets`, which costs each worker two seconds.
"""

from __future__ import annotations

import asyncio

from hyped_beam import processor

WORK = 250_000
WAIT_SECONDS = 0.01


@processor
def work(number: int) -> int:
    """Some milliseconds of plain Python."""
    total = 0
    for step in range(WORK):
        total += step ^ number
    return total


@processor
async def wait(number: int) -> int:
    """A service that takes 10 ms."""
    await asyncio.sleep(WAIT_SECONDS)
    return number
