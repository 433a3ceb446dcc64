"""Nodes that write down when their calls begin and end, in a file that all processes append to."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from hyped_beam import Processor

DEADLINE = 600


def note(path: str, event: str) -> None:
    """Add an event to a file; its bytes stand in the order in which they were written."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, event.encode())
    os.close(file)


def most_at_once(path: str) -> int:
    """How many calls were under way at once."""
    now = most = 0
    for event in Path(path).read_text():
        now += 1 if event == "+" else -1
        most = max(most, now)
    return most


class Met:
    """Waits until so many calls were under way at once."""

    def __init__(self, path: str, wanted: int) -> None:
        self.path = path
        self.wanted = wanted
        self.deadline = time.monotonic() + DEADLINE

    def __call__(self) -> bool:
        if time.monotonic() > self.deadline:
            msg = f"only {most_at_once(self.path)} calls were under way at once"
            raise TimeoutError(msg)
        return most_at_once(self.path) >= self.wanted


class Ask(Processor):
    path: str
    wanted: int

    async def process_row(self, n: int) -> int:
        note(self.path, "+")
        met = Met(self.path, self.wanted)
        while not met():  # noqa: ASYNC110 - other processes are waited for
            await asyncio.sleep(0.002)
        for _ in range(n % 3):
            await asyncio.sleep(0)
        note(self.path, "-")
        return n


class Call(Processor):
    path: str
    wanted: int

    def process_row(self, n: int) -> int:
        note(self.path, "+")
        met = Met(self.path, self.wanted)
        while not met():
            time.sleep(0.002)
        note(self.path, "-")
        return n


class Stamp(Processor):
    path: str

    def process_row(self, n: int) -> int:
        note(self.path, f"{time.monotonic()!r}\n")
        return n


class StampAsync(Processor):
    path: str

    async def process_row(self, n: int) -> int:
        note(self.path, f"{time.monotonic()!r}\n")
        return n
