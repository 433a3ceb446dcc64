"""Ending on SIGTERM as on Ctrl-C: after cleaning up, without child processes left."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from hyped_beam.execute.pool import close_shared_pool
from hyped_beam.types.scratch import remove_all


@contextlib.contextmanager
def ended_cleanly() -> Iterator[None]:
    """A context in which SIGTERM ends the process only once what is inside has been left, and removed.

    Where the program has a handler of its own, or this is not the main thread, nothing is changed.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    received = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal received
        del number, frame
        received = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if received:
            close_shared_pool()
            remove_all()
            os.kill(os.getpid(), signal.SIGTERM)  # whoever waits for the process sees why it ended
