"""What a job has made, as text and as plain values."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from hyped_beam.errors import escaped
from hyped_beam.launch.result import CacheUse, JobResult

WIDEST_VALUE = 100
SLOWEST_NODES = 12
"""How many rows the table of times has at most."""


def summary(result: JobResult, aggregates_path: str | None = None) -> str:
    """What a job has made, as a few small tables.

    Args:
        result: The result of a job that is done.
        aggregates_path: The file that its aggregates were written to.
    """
    lines = [f"done in {result.seconds:.1f} s, {_counted(result.rows_in, 'row')} in"]
    if result.rows:
        lines += ["", *_table(("output", "rows", "files", "folder"), _outputs(result))]
    if result.node_seconds:
        lines += ["", *_table(("node", "seconds", "rows"), _times(result))]
    if result.aggregates is not None:
        lines += ["", "aggregates" + (f", in {aggregates_path}" if aggregates_path else "")]
        lines += [f"  {line}" for line in _values(result.aggregates, "")]
    if result.cache is not None:
        lines += ["", *_cached(result.cache)]
    return escaped("\n".join(lines))


def _cached(use: CacheUse) -> list[str]:
    refused = [] if use.refused is None else [f"aggregates are not cached: {use.refused}"]
    return ([f"aggregates: {use}"] if use.parts else []) + refused


def _outputs(result: JobResult) -> list[tuple[str, ...]]:
    return [
        (name, f"{rows:,}", f"{len(result.shards[name]):,}", result.folders[name])
        for name, rows in result.rows.items()
    ]


def _times(result: JobResult) -> list[tuple[str, ...]]:
    times = result.node_seconds
    slowest = sorted(times, key=lambda time: -time.seconds)[:SLOWEST_NODES]
    shown: list[tuple[str, ...]] = [
        (time.name, f"{time.seconds:.2f}", f"{time.rows:,}" if time.rows else "")
        for time in times
        if time in slowest
    ]
    rest = [time for time in times if time not in slowest]
    if rest:
        shown.append((f"{len(rest)} others", f"{sum(time.seconds for time in rest):.2f}", ""))
    return shown


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns side by side: the first and a folder to the left, numbers to the right."""
    widths = [max(len(row[index]) for row in (head, *rows)) for index in range(len(head))]
    lines = []
    for row in (head, *rows):
        cells = [
            cell.ljust(width) if name in (head[0], "folder") else cell.rjust(width)
            for name, cell, width in zip(head, row, widths, strict=True)
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return lines


def _values(values: Mapping[str, Any], prefix: str) -> list[str]:
    lines = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            lines.extend(_values(value, f"{prefix}{name}."))
        else:
            lines.append(f"{prefix}{name} = {_value(value)}")
    return lines


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    shown = str(value)
    return shown if len(shown) <= WIDEST_VALUE else shown[: WIDEST_VALUE - 3] + "..."


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


# ------------------------------------------------------------------------------------------ for programs


def as_object(result: JobResult, aggregates_path: str | None = None) -> dict[str, Any]:
    """What a job has made, as values that JSON has.

    Args:
        result: The result of a job that is done.
        aggregates_path: The file that its aggregates were written to.
    """
    return {
        "seconds": round(result.seconds, 3),
        "rows_in": result.rows_in,
        "outputs": {
            name: {"rows": rows, "folder": result.folders[name], "shards": list(result.shards[name])}
            for name, rows in result.rows.items()
        },
        "nodes": [
            {"name": time.name, "seconds": round(time.seconds, 6), "rows": time.rows}
            for time in result.node_seconds
        ],
        "aggregates": result.aggregates,
        "aggregates_path": aggregates_path,
        "cache": None if result.cache is None else _cache_as_object(result.cache),
    }


def _cache_as_object(use: CacheUse) -> dict[str, Any]:
    scans = [asdict(scan) for scan in use.scans]
    return {
        "parts": use.parts,
        "reused": use.reused,
        "read": use.read,
        "refused": use.refused,
        "scans": scans,
    }


def plain(value: Any) -> Any:
    """A value as one that JSON has, in the forms of `JsonDatasetWriter`."""
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
