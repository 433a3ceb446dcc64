"""What the command line shows while a job runs, and when it is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from hyped_beam.launch.progress import Progress
from hyped_beam.launch.result import JobResult

BAR_WIDTH = 28


class ProgressBar:
    """Ranges done, on a terminal as a bar, elsewhere as a line for each tenth."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._shown = -1

    def __call__(self, progress: Progress) -> None:
        """Show how far a job is."""
        done, total = progress.ranges_done, progress.ranges
        tenth = 10 * done // total
        if not self._terminal:
            if tenth > self._shown:
                self._shown = tenth
                sys.stderr.write(f"{done} of {total} ranges\n")
            return
        spent = time.monotonic() - self._started
        filled = BAR_WIDTH * done // total
        left = f", {spent / done * (total - done):.0f} s left" if 0 < done < total else ""
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        sys.stderr.write(f"\r[{bar}] {done} of {total} ranges, {spent:.0f} s{left}   ")
        if done >= total:
            sys.stderr.write("\n")
        sys.stderr.flush()


def summary(result: JobResult) -> str:
    """What a job made, in a few lines."""
    lines = [f"done in {result.seconds:.1f} s"]
    for name, rows in result.rows.items():
        shards = result.shards[name]
        where = shards[0].rpartition("/")[0] if shards else "no files"
        lines.append(f"  {name}: {rows:,} rows in {len(shards)} files in {where}/")
    if result.aggregates is not None:
        lines.append("  aggregates:")
        lines.extend(f"    {line}" for line in _values(result.aggregates, ""))
    return "\n".join(lines)


def _values(values: Mapping[str, Any], prefix: str) -> list[str]:
    lines = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            lines.extend(_values(value, f"{prefix}{name}."))
        else:
            shown = f"{value:,.6g}" if isinstance(value, float) else f"{value!s:.100}"
            lines.append(f"{prefix}{name} = {shown}")
    return lines
