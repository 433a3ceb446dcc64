"""How long the parts of a job took: its start, reading, each node, and writing of each output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Timings: TypeAlias = dict[str, tuple[float, int]]
"""Seconds and rows of each part, by its key: `START`, `READ`, `node_key`, `write_key`."""

START = "start"
"""The key of what is done before the first row: nodes are set up, and what they need is imported."""

READ = "read"

REUSED, COMPUTED = "reused", "computed"
"""The keys under which segments are counted, as rows, whose states came from the cache or were put there."""


def node_key(node: int) -> str:
    """The key of a node, by its number in the graph."""
    return f"node {node}"


def write_key(output: str) -> str:
    """The key of writing an output."""
    return f"write {output}"


def add_timing(timings: Timings, key: str, seconds: float, rows: int) -> None:
    """Add what a part took once more."""
    spent, done = timings.get(key, (0.0, 0))
    timings[key] = (spent + seconds, done + rows)


def add_timings(timings: Timings, more: Mapping[str, tuple[float, int]]) -> None:
    """Add what several parts took."""
    for key, (seconds, rows) in more.items():
        add_timing(timings, key, seconds, rows)
