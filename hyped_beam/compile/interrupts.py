"""Ctrl-C and SIGTERM: both end a job cleanly, and the exit status says which it was."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupts:
    """Which signal has come.

    Attributes:
        number: Its number; that of SIGINT where none has come.
    """

    def __init__(self) -> None:
        self.number = int(signal.SIGINT)

    @property
    def status(self) -> int:
        """The exit status of a process that a signal has ended: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.number


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupts]:
    """A context in which these signals raise `KeyboardInterrupt`, the first time.

    A second one does what it does to any program, so that one is never held by what takes too long to end.
    A signal that is ignored, as under `nohup`, stays ignored.
    """
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before: dict[int, Any] = {}

    def interrupt(number: int, frame: FrameType | None) -> None:
        del frame
        interrupts.number = number
        for known in before:
            signal.signal(known, signal.SIG_DFL)
        raise KeyboardInterrupt

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, interrupt)
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
