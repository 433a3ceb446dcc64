"""How far a job is: what its ranges have committed, looked at from outside while it runs."""

from __future__ import annotations

import contextlib
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hyped_beam.io.commit import Destination, RangeRecord
from hyped_beam.io.done import read_rows_in
from hyped_beam.tasks.under_way import NotedRows, rows_under_way

LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes:
        ranges_done: The ranges that are committed, also those that an earlier run has committed.
        ranges: All ranges of the source.
        rows: The rows of the source that are done, also those in ranges that are not committed yet.
        seconds: Since the job began.
        share: How much of the job is done, from 0 to 1. Of a range that is under way its rows count, where it
            is known, or can be told from ranges that are done, how many it has.
        cached_rows: Those of the rows that were not read, for the cache had what they come to.
    """

    ranges_done: int
    ranges: int
    rows: int
    seconds: float
    share: float
    cached_rows: int = 0


ReportProgress = Callable[[Progress], None]


class Done(ABC):
    """The rows of the ranges that are done, by their numbers; each record is read once."""

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}

    def look(self) -> Mapping[int, int]:
        """The rows of the ranges that are done by now, by their numbers."""
        for number in self._numbers():
            rows = None if number in self._rows else self._read(number)
            if rows is not None:
                self._rows[number] = rows
        return self._rows

    @abstractmethod
    def _numbers(self) -> list[int]: ...

    @abstractmethod
    def _read(self, number: int) -> int | None: ...


class DoneInOutput(Done):
    """What the outputs of a job say."""

    def __init__(self, destinations: Sequence[Destination]) -> None:
        super().__init__()
        self._destinations = destinations

    def _numbers(self) -> list[int]:
        home = self._destinations[0]
        return home.folder.record_numbers(home.claimed.name)

    def _read(self, number: int) -> int | None:
        return read_rows_in(self._destinations, number)


class DoneInMarks(Done):
    """What the ranges of a job without outputs of rows have left in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def _numbers(self) -> list[int]:
        return [int(mark.stem) for mark in self._folder.glob("*.json")]

    def _read(self, number: int) -> int | None:
        mark = self._folder / f"{number:05d}.json"
        try:
            return RangeRecord.from_json(mark.read_text(encoding="utf-8")).rows_in
        except ValueError:  # still being written
            return None


@contextlib.contextmanager
def watching(
    done: Done, under_way: Path, sizes: Mapping[int, int | None], progress: ReportProgress
) -> Iterator[None]:
    """A context in which progress is reported: at its begin, as rows are done, and at its end.

    Args:
        done: What says which ranges are done.
        under_way: The folder in which ranges say how far they are.
        sizes: For each range how many rows it has, or None where only reading tells.
        progress: What it is reported to, in a thread of its own.
    """
    began = time.monotonic()
    over = threading.Event()

    def report(shown: tuple[int, int] | None) -> tuple[int, int]:
        found = _progress(done.look(), rows_under_way(under_way), sizes, time.monotonic() - began)
        if (found.ranges_done, found.rows) != shown:
            progress(found)
        return found.ranges_done, found.rows

    def look() -> None:
        shown = report(None)
        while not over.wait(LOOK_SECONDS):
            shown = report(shown)

    watcher = threading.Thread(target=look, name="hyped-beam-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    report(None)


def _progress(
    done: Mapping[int, int],
    under_way: Mapping[int, NotedRows],
    sizes: Mapping[int, int | None],
    seconds: float,
) -> Progress:
    """What is known of how far a job is."""
    begun = {number: noted.done for number, noted in under_way.items() if number not in done}
    usual = sum(done.values()) / len(done) if done else None
    shares = (_share(rows, sizes.get(number) or usual) for number, rows in begun.items())
    count = min(len(done), len(sizes))
    rows = sum(done.values()) + sum(begun.values())
    share = min((count + sum(shares)) / len(sizes), 1.0)
    return Progress(
        count, len(sizes), rows, seconds, share, sum(noted.cached for noted in under_way.values())
    )


def _share(rows: int, size: float | None) -> float:
    return min(rows / size, 1.0) if size else 0.0
