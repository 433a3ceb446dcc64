"""All benchmarks, as the table in docs/performance.md: `make bench`, or this module and some names."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from pathlib import Path

from tests.benchmarks.measure import HEADER

NAMES = (
    "light_flow",
    "templates",
    "files",
    "tokenizing",
    "processes",
    "memory",
    "consume",
    "aggregates",
    "syncing",
)
PAGE = Path("docs/performance.md")


def main() -> None:
    """Run benchmarks; with all of them the page is written anew."""
    names = sys.argv[1:] or list(NAMES)
    lines = []
    for name in names:
        for row in importlib.import_module(f"tests.benchmarks.{name}").measure():
            print(row, flush=True)
            lines.append(str(row))
    if names == list(NAMES):
        PAGE.write_text(_page(lines), encoding="utf-8")


def _page(lines: list[str]) -> str:
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    return (
        "# Performance\n\n"
        "```console not run\n$ make bench\n```\n\n"
        "makes this page. Each line is a ratio of medians (for templates: of the least of many short runs)\n"
        "measured in one run, so that the machine's\n"
        f"speed cancels out. This run: {machine}.\n\n" + HEADER + "\n" + "\n".join(lines) + "\n"
    )


if __name__ == "__main__":
    main()
