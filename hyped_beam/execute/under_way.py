"""How many rows of a range are done while it is under way, noted in a local folder for those who watch."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
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
        self._noted = time.monotonic()

    def add(self, rows: int) -> None:
        """Count rows that are done."""
        self._rows += rows
        now = time.monotonic()
        if self._path is not None and now - self._noted >= NOTE_SECONDS:
            self._noted = now
            with contextlib.suppress(OSError):  # a full disk is found by those who write what is wanted
                self._path.write_text(str(self._rows), encoding="utf-8")


def rows_under_way(folder: Path) -> Mapping[int, int]:
    """The rows that are noted, by the numbers of their ranges; those of ranges done are among them."""
    found = {}
    for note in folder.iterdir():
        with contextlib.suppress(ValueError, OSError):  # being written
            found[int(note.name)] = int(note.read_text(encoding="utf-8"))
    return found
