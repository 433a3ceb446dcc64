"""How far a job is: what its ranges have committed, looked at from outside while it runs."""

from __future__ import annotations

import contextlib
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hyped_beam.io.commit import Destination, RangeRecord, read_record

LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes:
        ranges_done: The ranges that are committed, also those that an earlier run has committed.
        ranges: All ranges of the source.
        rows: The rows of the source in the ranges that are committed.
        seconds: Since the job began.
    """

    ranges_done: int
    ranges: int
    rows: int
    seconds: float


ReportProgress = Callable[[Progress], None]


class Done(ABC):
    """The rows of the ranges that are done, by their numbers; each record is read once."""

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}

    def look(self) -> tuple[int, int]:
        """How many ranges are done by now, and the rows in them."""
        for number in self._numbers():
            record = None if number in self._rows else self._read(number)
            if record is not None:
                self._rows[number] = record.rows_in
        return len(self._rows), sum(self._rows.values())

    @abstractmethod
    def _numbers(self) -> list[int]: ...

    @abstractmethod
    def _read(self, number: int) -> RangeRecord | None: ...


class DoneInOutput(Done):
    """What the outputs of a job say."""

    def __init__(self, destinations: Sequence[Destination]) -> None:
        super().__init__()
        self._destinations = destinations

    def _numbers(self) -> list[int]:
        return self._destinations[0].folder.record_numbers()

    def _read(self, number: int) -> RangeRecord | None:
        return read_record(self._destinations, number)


class DoneInMarks(Done):
    """What the ranges of a job without outputs of rows have left in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def _numbers(self) -> list[int]:
        return [int(mark.stem) for mark in self._folder.glob("*.json")]

    def _read(self, number: int) -> RangeRecord | None:
        try:
            return RangeRecord.from_json((self._folder / f"{number:05d}.json").read_text(encoding="utf-8"))
        except ValueError:  # still being written
            return None


@contextlib.contextmanager
def watching(done: Done, ranges: int, progress: ReportProgress | None) -> Iterator[None]:
    """A context in which progress is reported: at its begin, whenever a range is done, and at its end.

    Args:
        done: What is looked at.
        ranges: How many ranges there are.
        progress: What it is reported to, in a thread of its own.
    """
    if progress is None:
        yield
        return
    began = time.monotonic()
    over = threading.Event()

    def report(shown: int) -> int:
        count, rows = done.look()
        if count != shown:
            progress(Progress(min(count, ranges), ranges, rows, time.monotonic() - began))
        return count

    def look() -> None:
        shown = report(-1)
        while not over.wait(LOOK_SECONDS):
            shown = report(shown)

    watcher = threading.Thread(target=look, name="hyped-beam-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    report(-1)
