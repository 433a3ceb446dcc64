"""How many rows of a range are done, noted in a local folder for those who watch while it is under way."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

NOTE_SECONDS = 0.25
"""The least time between two notes on a range."""


class RowsUnderWay:
    """Notes on one range; none are made where there is no folder, which nobody then watches.

    Args:
        folder: The folder.
        number: The number of the range.
    """

    def __init__(self, folder: str, number: int) -> None:
        self._path = Path(folder, f"{number:05d}") if folder and Path(folder).is_dir() else None
        self._rows = 0
        self._cached = 0
        self._noted = time.monotonic()

    def add(self, rows: int, *, cached: bool = False) -> None:
        """Count rows that are done.

        Args:
            rows: How many.
            cached: Whether they were not read, for the cache had what they come to.
        """
        self._rows += rows
        self._cached += rows if cached else 0
        if time.monotonic() - self._noted >= NOTE_SECONDS:
            self._note()

    def end(self) -> None:
        """Note what only notes tell of a range that is done."""
        if self._cached:
            self._note()

    def _note(self) -> None:
        self._noted = time.monotonic()
        if self._path is not None:
            with contextlib.suppress(OSError):  # a full disk is found by those who write what is wanted
                self._path.write_text(f"{self._rows} {self._cached}\n", encoding="utf-8")


@dataclass(frozen=True)
class NotedRows:
    """What is noted of a range.

    Attributes:
        done: The rows that are done; of a range that is done by now perhaps fewer than it has.
        cached: Those of them that were not read, for the cache had what they come to.
    """

    done: int
    cached: int = 0


def rows_under_way(folder: Path) -> Mapping[int, NotedRows]:
    """What is noted, by the numbers of the ranges; those that are done are among them."""
    found = {}
    for note in folder.iterdir():
        with contextlib.suppress(ValueError, OSError):  # being written
            text = note.read_text(encoding="utf-8")
            if text.endswith("\n"):
                done, cached = text.split()
                found[int(note.name)] = NotedRows(int(done), int(cached))
    return found
