"""The process pool: light worker processes that do the tasks of a job, in whatever order they finish."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from hyped_beam.errors import CallSite, DefinitionError, JobError
from hyped_beam.execute import budget
from hyped_beam.execute.worker import is_worker
from hyped_beam.types.mapped import dump_here
from hyped_beam.types.scratch import ScratchFolder

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from hyped_beam.execute.worker import main; main(int(sys.argv[1]), int(sys.argv[3]))"
)
CLOSE_SECONDS = 60
"""How long a worker without tasks may take at most to close its job, as nodes release what they hold."""
NOTICE_SECONDS = 0.5
"""How long a worker in the middle of a task is given to end by itself."""
STOP_SECONDS = 5
IN_FLIGHT_PER_WORKER = 4
"""How many tasks in order there are for each worker: under way, ready, or waiting for one before them."""

_KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "MALLOC_TOP_PAD_": str(16 << 20),
}
"""Memory of a worker that is not Arrow's goes back to the system after each batch by default, and is cleared
page by page when it is taken again for the next: a third of the time of a light flow. Arrow's own allocator
keeps what it needs and stays flat; from the system's, a worker's memory grows with the size of its ranges."""


class OpenJob(Protocol):
    """A job that does tasks."""

    def run(self, task: Any) -> Any:
        """The result of one task."""

    def close(self) -> None:
        """Let go of what `open` took."""


class Job(Protocol):
    """What is sent to each worker, once."""

    def open(self) -> OpenJob:
        """Make it ready to do tasks."""


class Worker:
    """One worker process and the connection to it.

    Args:
        cores: How many cores its libraries may use.

    Raises:
        DefinitionError: This process is a worker itself: it would start workers without end where it
            imports a module that runs flows.
    """

    def __init__(self, cores: int) -> None:
        if is_worker():
            raise DefinitionError(
                "a worker process has no workers of its own; it runs this line because it imports the module "
                "that a node is from, or because a node runs a flow",
                site=CallSite.nearest(),
                hint='put what runs flows under `if __name__ == "__main__":` or in a module without nodes; '
                "a flow inside a node takes num_proc=1",
            )
        self.connection, theirs = Pipe()
        limits, their_limits = Pipe()
        self._cores = cores
        passed = [theirs.fileno(), their_limits.fileno()]
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and program
            [sys.executable, "-c", _START, str(passed[0]), json.dumps(sys.path), str(passed[1])],
            pass_fds=passed,
            stdin=subprocess.DEVNULL,
            env=self._environment(),
        )
        theirs.close()
        their_limits.close()
        threading.Thread(target=budget.serve, args=(limits,), name="hyped-beam-limits", daemon=True).start()
        self.loaded: str | None = None
        self.busy = 0

    def _environment(self) -> dict[str, str]:
        threads = dict.fromkeys(("RAYON_NUM_THREADS", "OMP_NUM_THREADS"), str(self._cores))
        return {**threads, **_KEEP_MEMORY, **os.environ}  # what the user has set stays

    def send(self, key: str, job: bytes, task: Any) -> None:
        """Give it a task; before it the job, if it does not have it, with environment and folder of now."""
        if self.loaded != key:
            self.connection.send_bytes(pickle.dumps(("load", key, (job, self._environment(), _folder()))))
            self.loaded = key
        self.connection.send_bytes(pickle.dumps(("run", key, task)))
        self.busy += 1

    def end(self) -> None:
        """End the process: once it has closed its job, or soon where it is in the middle of a task."""
        self.connection.close()
        try:
            self.process.wait(timeout=NOTICE_SECONDS if self.busy else CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            try:
                self.process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def death(self) -> JobError:
        """The error for a worker that has gone."""
        code = self.process.wait()
        if code < 0:
            name = signal.Signals(-code).name
            hint = "the system may have run out of memory: use fewer processes" if name == "SIGKILL" else None
            return JobError(f"a worker process was ended by {name}", hint=hint)
        return JobError(f"a worker process ended with status {code}")


def _folder() -> str | None:
    """The folder that this process is in; None where it is no longer there."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return None


class ProcessPool:
    """Some worker processes, which live on between jobs.

    Args:
        processes: How many.
    """

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self._cores = max(1, (os.cpu_count() or 1) // processes)
        self.workers = [Worker(self._cores) for _ in range(processes)]
        self._lock = threading.Lock()
        self._jobs = 0
        self.stopped = False

    def run(self, job: Job, tasks: Iterable[Any]) -> Iterator[Any]:
        """The results of tasks, in the order in which they finish.

        The job travels by cloudpickle, so that classes of the main script and of notebooks go with it; large
        arrays in it travel as files that all processes map.

        Raises:
            JobError: A worker process ended.
            Exception: What a task raised.
        """
        with self._working(job) as (key, pickled):
            yield from self._run(key, pickled, deque(tasks))

    def run_in_order(self, job: Job, tasks: Iterable[Any]) -> Iterator[Any]:
        """The results of tasks in the order of the tasks, which are taken as processes are free for them.

        Only some tasks and results are held at a time, however many there are. Tasks may be large.

        Raises:
            JobError: A worker process ended.
            Exception: What a task raised.
        """
        with self._working(job) as (key, pickled):
            yield from self._run_in_order(key, pickled, iter(tasks))

    @contextlib.contextmanager
    def _working(self, job: Job) -> Iterator[tuple[str, bytes]]:
        """A context in which all workers are there for one job: a name for it, and its pickle."""
        with self._lock:
            self._revive()
            self._jobs += 1
            try:
                with ScratchFolder() as shared:
                    yield f"{id(self)}-{self._jobs}", dump_here(job, str(shared.path))
            except BaseException:
                self.close()  # tasks of a failed job are still under way in the others
                raise

    def _run_in_order(self, key: str, job: bytes, tasks: Iterator[Any]) -> Iterator[Any]:
        ready: deque[Any] = deque()
        doing: dict[Worker, int] = {}
        done: dict[int, Any] = {}
        sent = given = 0
        more = True
        while more or ready or doing or done:
            if self.stopped:
                raise JobError("the job was cancelled")
            for worker in self.workers:  # one whose pipe is full of a result takes no task
                if ready and worker not in doing:
                    self._send(worker, key, job, ready.popleft())
                    doing[worker], sent = sent, sent + 1
            # What is ready, computed and waited for is bounded, as one task may take longer than all others.
            reads = more and sent + len(ready) - given < IN_FLIGHT_PER_WORKER * len(self.workers)
            for worker in self._answering(0 if reads or given in done else None):
                done[doing.pop(worker)] = self._answer(worker)
            if given in done:
                yield done.pop(given)
                given += 1
            elif reads:
                for task in islice(tasks, 1):
                    ready.append(task)
                    break
                else:
                    more = False

    def _revive(self) -> None:
        """Put new workers in the place of those that have gone since the last job, or were ended by it."""
        for worker in [worker for worker in self.workers if worker.process.poll() is not None]:
            self.workers.remove(worker)
            worker.end()
        while len(self.workers) < self.processes:
            self.workers.append(Worker(self._cores))

    def _run(self, key: str, job: bytes, waiting: deque[Any]) -> Iterator[Any]:
        while waiting or any(worker.busy for worker in self.workers):
            if self.stopped:
                raise JobError("the job was cancelled")
            for worker in self.workers:
                # The next one lies ready while there are enough for all; the last go to who is free.
                ahead = 1 if len(waiting) > 2 * len(self.workers) else 0
                while waiting and worker.busy <= ahead:
                    self._send(worker, key, job, waiting.popleft())
            for worker in self._answering():
                yield self._answer(worker)

    def _send(self, worker: Worker, key: str, job: bytes, task: Any) -> None:
        try:
            worker.send(key, job, task)
        except (BrokenPipeError, ConnectionResetError):
            raise worker.death() from None

    def _answering(self, timeout: float | None = None) -> list[Worker]:
        busy: dict[Any, Worker] = {worker.connection: worker for worker in self.workers if worker.busy}
        ready: list[Connection] = wait(list(busy), timeout)  # type: ignore[assignment]  # connections were given
        return [busy[connection] for connection in ready]

    def _answer(self, worker: Worker) -> Any:
        try:
            kind, _, payload = pickle.loads(worker.connection.recv_bytes())  # noqa: S301 - from our own worker
        except (EOFError, ConnectionResetError):
            raise worker.death() from None
        worker.busy -= 1
        if kind == "failed":
            raise payload
        return payload

    def stop(self) -> None:
        """End all workers now, in the middle of their tasks, and do no other job. From any thread."""
        self.stopped = True
        self.interrupt()

    def interrupt(self) -> None:
        """End all workers now, in the middle of their tasks; the job that they do raises. From any thread."""
        for worker in list(self.workers):
            worker.process.terminate()

    def close(self) -> None:
        """End all workers; another job starts new ones."""
        for worker in self.workers:
            worker.connection.close()  # so that all close their jobs at once
        while self.workers:
            self.workers.pop().end()

    def retire(self) -> None:
        """End all workers once the job that they do, if any, is done."""
        with self._lock:
            self.close()


_named: dict[str, ProcessPool] = {}


@contextlib.contextmanager
def own_pool(processes: int) -> Iterator[tuple[str, ProcessPool]]:
    """A context in which this process has a pool more, which `named_pool` finds by its name.

    Args:
        processes: How many.
    """
    pool = ProcessPool(processes)
    name = uuid.uuid4().hex
    _named[name] = pool
    try:
        yield name, pool
    finally:
        del _named[name]
        pool.close()


def named_pool(name: str) -> ProcessPool | None:
    """The pool of a name; None where this is not the process that made it."""
    return _named.get(name)


def pool_of(processes: int, name: str | None = None, *, isolate: bool = False) -> ProcessPool | None:
    """The processes that compute for a job; None for this one.

    Args:
        processes: How many; 0 for as many as there are cores.
        name: The name of a pool that was made for the job, if one was, in this process or another.
        isolate: Whether a pool is to compute also where one process is enough.
    """
    own = None if name is None else named_pool(name)
    workers = processes or os.cpu_count() or 1
    return own if own is not None or (workers == 1 and not isolate) else shared_pool(workers)


_shared: ProcessPool | None = None


def shared_pool(processes: int) -> ProcessPool:
    """The pool of this process; it is made anew when another number of processes is asked for."""
    global _shared  # noqa: PLW0603 - worker processes are a resource of the process
    if _shared is None or _shared.processes != processes:
        if _shared is not None:
            _shared.retire()
        atexit.unregister(close_shared_pool)  # it is to be there once
        atexit.register(close_shared_pool)
        _shared = ProcessPool(processes)
    return _shared


def close_shared_pool() -> None:
    """End the workers of the shared pool, if there is one."""
    global _shared  # noqa: PLW0603 - worker processes are a resource of the process
    if _shared is not None:
        _shared.close()
        _shared = None


def interrupt_pool(name: str | None) -> None:
    """End the workers of a pool in the middle of their tasks; without a name those of the shared one."""
    global _shared  # noqa: PLW0603 - as above
    if name is None and _shared is not None:
        _shared.stop()
        _shared = None
    elif name in _named:
        _named[name].interrupt()
