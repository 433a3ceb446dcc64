"""Beam's portable runner, with the steps of a job in threads of this process.

Beam's own has habits that do not go with what a job promises: its workers print what a step raises, whoever
reaches their port can have them run code, a job ends with an error after `job_server_timeout` however well it
runs, and when it has failed or was cancelled nobody waits for the steps that still run.
"""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions, PortableOptions
from apache_beam.portability import common_urns, python_urns
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_runner_api_pb2,
    endpoints_pb2,
)
from apache_beam.runners.portability.portable_runner import (
    JobServiceHandle,
    PipelineResult,
    PortableRunner,
)
from apache_beam.runners.worker import sdk_worker_main, statesampler
from apache_beam.runners.worker.sdk_worker import SdkHarness
from apache_beam.transforms.environments import Environment, PythonLoopbackEnvironment
from apache_beam.utils.sentinel import Sentinel
from apache_beam.utils.thread_pool_executor import shared_unbounded_instance
from typing_extensions import Self

from hyped_beam.launch.sockets import PrivateSocket

STOP_SECONDS = 300
"""How long the steps of a job that has ended are waited for at most."""


_READERS = ("read_grpc_client_inputs", "read_state")
"""The threads in which Beam's workers read what the program sends."""


class _QuietReaders:
    """A hook that does not print that the program has gone, for of that the job tells.

    It stands in the process while some job has workers.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs = 0
        self._before = threading.excepthook

    @contextlib.contextmanager
    def while_a_job_runs(self) -> Iterator[None]:
        """A context in which the hook stands."""
        with self._lock:
            self._jobs += 1
            if self._jobs == 1 and threading.excepthook != self._print_unless_known:
                self._before = threading.excepthook
                threading.excepthook = self._print_unless_known
        try:
            yield
        finally:
            with self._lock:
                self._jobs -= 1
                # one that others have put over it since goes on to call it
                if self._jobs == 0 and threading.excepthook == self._print_unless_known:
                    threading.excepthook = self._before

    def _print_unless_known(self, raised: threading.ExceptHookArgs) -> None:
        reads = raised.thread is not None and raised.thread.name in _READERS
        if not (self._jobs and reads and issubclass(raised.exc_type, grpc.RpcError)):
            self._before(raised)


_quiet_readers = _QuietReaders()


class Worker(SdkHarness):
    """A worker that knows how many bundles it has in hand, and tells only the runner what they raise."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._changed = threading.Condition()
        self._in_hand = 0
        self._is_over = False

    def run(self) -> None:
        """Take requests until there are no more."""
        try:
            super().run()
        except grpc.RpcError:  # the runner has gone; steps that wait for rows from it are let go
            for channels in (self._data_channel_factory, self._state_handler_factory):
                with contextlib.suppress(grpc.RpcError):
                    channels.close()
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def stop(self) -> None:
        """Take no more requests."""
        self._responses.put(Sentinel.sentinel)

    def wait(self, seconds: float) -> None:
        """Wait until no step runs here, and none will."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over and not self._in_hand, seconds)

    def _request_execute(self, request: Any) -> None:
        with self._changed:
            self._in_hand += 1

        def task() -> None:
            try:
                self._execute(lambda: self.create_worker().do_instruction(request), request)
            finally:
                with self._changed:
                    self._in_hand -= 1
                    self._changed.notify_all()

        self._worker_thread_pool.submit(task)

    def _execute(self, task: Callable[[], Any], request: Any) -> None:
        with statesampler.instruction_id(request.instruction_id):
            try:
                response = task()
            except BaseException:  # noqa: BLE001 - whatever it is, the runner is told
                response = beam_fn_api_pb2.InstructionResponse(
                    instruction_id=request.instruction_id, error=traceback.format_exc()
                )
        self._responses.put(response)


class Workers(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts workers in this process when the runner asks for them.

    Args:
        options: The options of the job.
    """

    def __init__(self, options: PipelineOptions) -> None:
        experiments = options.view_as(DebugOptions).experiments or []
        self._options = {
            "state_cache_size": sdk_worker_main._get_state_cache_size_bytes(options=options),  # noqa: SLF001 - as Beam's
            "data_buffer_time_limit_ms": sdk_worker_main._get_data_buffer_time_limit_ms(experiments),  # noqa: SLF001 - as above
        }
        self._workers: dict[str, Worker] = {}
        # Whoever reaches it can have this process run code, so that it is for this user alone.
        self._socket = PrivateSocket()
        self._server = grpc.server(shared_unbounded_instance())
        self._server.add_insecure_port(self._socket.address)
        beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(self, self._server)
        self._server.start()

    def as_payload(self) -> bytes:
        """What tells the runner where to ask for workers."""
        address = endpoints_pb2.ApiServiceDescriptor(url=self._socket.address)
        payload: bytes = beam_runner_api_pb2.ExternalPayload(endpoint=address).SerializeToString()
        return payload

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802 - Beam's name
        """Start a worker, as the runner asks."""
        del context
        try:
            worker = Worker(request.control_endpoint.url, worker_id=request.worker_id, **self._options)
        except Exception:  # noqa: BLE001 - the runner is told
            return beam_fn_api_pb2.StartWorkerResponse(error=traceback.format_exc())
        self._workers[request.worker_id] = worker
        threading.Thread(target=worker.run, name=f"hyped-beam-{request.worker_id}", daemon=True).start()
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802 - Beam's name
        """Have a worker take no more requests, as the runner asks."""
        del context
        if request.worker_id in self._workers:
            self._workers[request.worker_id].stop()
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """Stop all workers, and wait until their steps have come to an end."""
        deadline = time.monotonic() + STOP_SECONDS
        for worker in self._workers.values():
            worker.stop()
        for worker in self._workers.values():
            worker.wait(deadline - time.monotonic())
        self._server.stop(1)
        self._socket.remove()


class LoopbackRunner(PortableRunner):
    """Runs a job on the program at the option `job_endpoint`.

    It is a context, after which no step of the job runs.
    """

    def __init__(self) -> None:
        super().__init__()
        self._workers = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._workers.enter_context(_quiet_readers.while_a_job_runs())
        return self

    def __exit__(self, *raised: object) -> None:
        self._workers.close()

    def default_environment(self, options: PipelineOptions) -> Environment:
        """Where steps run; in this process nothing is staged, for which Beam leaves a folder."""
        if options.view_as(PortableOptions).environment_type == "LOOPBACK":
            return PythonLoopbackEnvironment.default()
        return super().default_environment(options)

    def create_job_service_handle(self, job_service: Any, options: PipelineOptions) -> JobServiceHandle:
        """What gives a job to the program; it is followed for as long as it runs."""
        handle = super().create_job_service_handle(job_service, options)
        handle.timeout = None  # it would be the deadline of the whole job
        return handle

    def run_portable_pipeline(self, pipeline: Any, options: PipelineOptions) -> PipelineResult:
        """Give a pipeline to the program."""
        for environment in pipeline.components.environments.values():
            if environment.urn == python_urns.EMBEDDED_PYTHON_LOOPBACK:
                workers = Workers(options)
                self._workers.callback(workers.close)
                environment.urn = common_urns.environments.EXTERNAL.urn
                environment.payload = workers.as_payload()
        result = super().run_portable_pipeline(pipeline, options)
        result._message_stream = _while_it_lasts(result._message_stream)  # noqa: SLF001 - Beam has no other way
        return result


def _while_it_lasts(messages: Iterator[Any]) -> Iterator[Any]:
    """Messages up to where the program ends without a word, which is told by the states of the job."""
    with contextlib.suppress(grpc.RpcError):
        yield from messages
