"""Running a job beside the program that started it, in processes of its own, so that it can be cancelled."""

from __future__ import annotations

import atexit
import contextlib
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future

from hyped_beam.execute.pool import own_pool
from hyped_beam.launch.result import JobCancelledError, JobReport, JobResult

_running: weakref.WeakSet[JobResult] = weakref.WeakSet()


def run_in_background(
    run: Callable[[str], JobReport],
    *,
    processes: int,
    held: contextlib.ExitStack,
    cancelled: Callable[[], None],
) -> JobResult:
    """Start a job in a thread, and its ranges in a pool that no other job shares.

    Nodes cannot be made to stop in the middle of what they do, but processes can be ended.

    Args:
        run: Runs the job in the pool of a name.
        processes: How many processes compute.
        held: What the job needs until it is over.
        cancelled: Called when it was cancelled, to remove what was left half done.
    """
    pools = contextlib.ExitStack()
    name, pool = pools.enter_context(own_pool(processes))
    future: Future[JobReport] = Future()

    def work() -> None:
        try:
            with held, pools:
                report = run(name)
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(_cancelled(cancelled) if pool.stopped else error)
        else:
            future.set_result(report)

    result = JobResult(future, pool.stop)
    _running.add(result)
    atexit.unregister(cancel_running)  # it is to be there once
    atexit.register(cancel_running)
    threading.Thread(target=work, name="hyped-beam-job", daemon=True).start()
    return result


def _cancelled(clean: Callable[[], None]) -> BaseException:
    try:
        clean()
    except Exception as error:  # noqa: BLE001 - raised where the result is asked for
        return error
    return JobCancelledError("the job was cancelled", hint='overwrite="resume" does the ranges that are left')


def cancel_running() -> None:
    """Cancel the jobs that still run when the process ends."""
    for result in list(_running):
        result.cancel()
