"""An executor that opens where it is first needed, once in each process."""

from __future__ import annotations

import os
import pickle
import threading
import weakref
from typing import Any

import cloudpickle

from hyped_beam.execute.stage import StageRunner
from hyped_beam.plan.program import Program


class LazyRunner:
    """The executor of a program, shared by all that run it in a process; a forked child opens its own.

    Args:
        program: The program.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._opened: tuple[int, StageRunner] | None = None
        self._lock = threading.Lock()

    def get(self) -> StageRunner:
        """The open executor of this process.

        Raises:
            NodeError: A node's `setup` raised.
        """
        opened = self._opened
        if opened is None or opened[0] != os.getpid():
            with self._lock:
                opened = self._opened
                if opened is None or opened[0] != os.getpid():
                    opened = self._opened = (os.getpid(), self._open())
        return opened[1]

    def _open(self) -> StageRunner:
        runner = StageRunner(self.program)
        runner.open()
        weakref.finalize(self, _close_in, os.getpid(), runner)
        return runner

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (cloudpickle.dumps(self.program),)  # loaders pickle; nodes may be of __main__


def _close_in(process: int, runner: StageRunner) -> None:
    """Close an executor in the process that opened it; a forked child must not."""
    if process == os.getpid():
        runner.close()


def _restore(program: bytes) -> LazyRunner:
    return LazyRunner(pickle.loads(program))  # noqa: S301 - made by the loader's own parent
