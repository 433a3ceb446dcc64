"""A worker process of the pool: loads a job once, then does its tasks until its parent goes away.

It is started by a program of its own, so that it imports neither Beam nor the user's main script. What
travels to and from it are pickles of a running job; nothing of it is saved.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

from hyped_beam.errors import FlowError, JobError, error_text, error_type
from hyped_beam.execute.budget import use_office
from hyped_beam.types.scratch import remove_all

LOOK_SECONDS = 0.5

_serving = False


def is_worker() -> bool:
    """Whether this process is a worker of a pool."""
    return _serving


def main(descriptor: int, limits: int) -> None:
    """Serve tasks from a connection until it is closed.

    Args:
        descriptor: The file descriptor of the connection to the parent.
        limits: That of the connection by which limits of nodes are shared with other workers.
    """
    global _serving  # noqa: PLW0603 - what a process is
    _serving = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    threading.Thread(target=_end_with, args=(os.getppid(),), name="hyped-beam-parent", daemon=True).start()
    connection = Connection(descriptor)
    use_office(Connection(limits))
    key, job = None, None
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            kind, wanted, payload = pickle.loads(connection.recv_bytes())  # noqa: S301 - from our own parent
            try:
                if kind == "load":
                    _close(job)
                    key, job = wanted, None
                    pickled, environment, folder = payload
                    _set_environment(environment)
                    if folder is not None:
                        os.chdir(folder)
                    job = pickle.loads(pickled).open()  # noqa: S301 - from our own parent
                    continue
                if job is None or key != wanted:
                    continue  # its load failed, and that was reported
                answer = ("done", wanted, job.run(payload))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a job raises goes to the parent
                answer = ("failed", wanted, _portable(error))
            connection.send_bytes(_dump(answer))
    with contextlib.suppress(Exception):
        _close(job)
    remove_all()
    os._exit(0)  # no thread of a node may hold the process


def _end_with(parent: int) -> None:
    """End this process, in the middle of a task too, once its parent was ended without a word."""
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)


def _set_environment(wanted: dict[str, str]) -> None:
    """Have the variables that the parent has now; it may have changed some since this process started."""
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)
    if hasattr(time, "tzset"):
        time.tzset()


def _close(job: Any) -> None:
    if job is not None:
        job.close()


def _dump(answer: tuple[str, Any, Any]) -> bytes:
    try:
        return pickle.dumps(answer)
    except Exception as error:  # noqa: BLE001 - pickle raises whatever the object's methods do
        return pickle.dumps(
            ("failed", answer[1], JobError(f"a result cannot be sent between processes: {error_text(error)}"))
        )


def _portable(error: BaseException) -> Exception:
    if isinstance(error, FlowError):
        return error
    return JobError(f"{error_type(error)}: {error_text(error)}\n{''.join(traceback.format_exception(error))}")
