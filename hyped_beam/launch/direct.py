"""Beam's local runner, with its servers for threads and processes on loopback alone.

They take part in a job without a password: whoever reaches one can send it rows, which may be pickles. Beam
has them listen on all network interfaces, and has no option for that.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import grpc
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner, RunnerResult

_EVERYWHERE = "[::]:0"
_LOOPBACK = "localhost:0"
_MODULES = (worker_handlers, local_job_service)
"""Where Beam makes servers: those that all workers share, and one for what each process of workers logs."""


class DirectRunner(FnApiRunner):
    """Runs a job in this process, in threads of it or in processes under it."""

    def run_stages(self, stage_context: Any, stages: Any) -> RunnerResult:
        """Run the stages of a job, as Beam cut it."""
        with _on_loopback.while_a_job_runs():
            return super().run_stages(stage_context, stages)


class _OnLoopback:
    """Has Beam's modules, while some job runs, listen on loopback where they would everywhere."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs = 0

    @contextlib.contextmanager
    def while_a_job_runs(self) -> Iterator[None]:
        """A context in which Beam's servers listen on loopback."""
        with self._lock:
            self._jobs += 1
            for module in _MODULES:
                module.grpc = SimpleNamespace(**{**vars(grpc), "server": _server})
        try:
            yield
        finally:
            with self._lock:
                self._jobs -= 1
                for module in _MODULES if self._jobs == 0 else ():
                    module.grpc = grpc


def _server(*given: Any, **options: Any) -> Any:
    server = grpc.server(*given, **options)
    listen = server.add_insecure_port
    server.add_insecure_port = lambda address: listen(_LOOPBACK if address == _EVERYWHERE else address)
    return server


_on_loopback = _OnLoopback()
