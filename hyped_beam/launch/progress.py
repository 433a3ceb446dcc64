"""How far a job is: what its ranges have committed, looked at from outside while it runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

from hyped_beam.io.commit import Destination
from hyped_beam.io.readers.base import Reader

LOOK_SECONDS = 0.25


@contextlib.contextmanager
def watching(
    destinations: Sequence[Destination], reader: Reader, progress: Callable[[int, int], None] | None
) -> Iterator[None]:
    """A context in which progress is reported.

    Args:
        destinations: The outputs of the job.
        reader: Its source.
        progress: Called with the number of ranges that are done and of all, whenever it has changed.
    """
    if progress is None or not destinations:
        yield
        return
    total = len(reader.ranges())
    over = threading.Event()
    folder = destinations[0].folder

    def look() -> None:
        shown = -1
        while not over.wait(LOOK_SECONDS):
            done = min(sum(1 for _ in folder.record_numbers()), total)
            if done != shown:
                shown = done
                progress(done, total)

    watcher = threading.Thread(target=look, name="hyped-beam-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    progress(total, total)
