"""Timing peers in one run: in turn, so that both see the same machine, and as ratios of medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

RUNS = 3


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        what: What was measured.
        against: The peer.
        ratio: Ours divided by the peer's, or the peer's divided by ours where more is better.
        bound: What the ratio should be, as text.
        note: The seconds behind it.
    """

    what: str
    against: str
    ratio: float
    bound: str
    note: str

    def __str__(self) -> str:
        return f"| {self.what} | {self.against} | {self.ratio:.2f} | {self.bound} | {self.note} |"


def seconds(
    functions: Mapping[str, Callable[[], object]], runs: int = RUNS, after: Callable[[], object] | None = None
) -> dict[str, float]:
    """The median seconds of each function, run in turn after one warm-up of each.

    Args:
        functions: What is measured.
        runs: How often.
        after: What removes what a function has left, each time; it is not measured.
    """
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(runs + 1):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            ended = time.perf_counter()
            if turn:
                taken[name].append(ended - started)
            if after is not None:
                after()
    return {name: statistics.median(times) for name, times in taken.items()}


HEADER = "| what | against | ratio | bound | seconds |\n|---|---|---|---|---|"
