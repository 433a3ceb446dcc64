"""Running a pipeline with a profile, and saying what failed."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from hyped_beam.errors import CallSite, DefinitionError, JobError, unknown_name
from hyped_beam.launch.profiles import Profile
from hyped_beam.launch.reach import ENDPOINT, check_endpoint
from hyped_beam.launch.servers import END_SECONDS, find_program, server_of
from hyped_beam.lowering.failure import find_failure

if TYPE_CHECKING:
    import apache_beam as beam


def run_pipeline(
    fill: Callable[[beam.Pipeline], None],
    profile: Profile,
    options: Mapping[str, Any] | None = None,
    stop: Callable[[], None] | None = None,
) -> None:
    """Run a pipeline until it is done.

    Args:
        fill: Puts the transforms into the pipeline.
        profile: Where to run.
        options: Beam's options, over those of the profile.
        stop: Called to stop what its steps do elsewhere: when it is interrupted, or its program has ended.

    Raises:
        NodeError: A node raised.
        JobError: The job failed for another reason.
        KeyboardInterrupt: It was interrupted.
    """
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    merged = {**profile.options, **(options or {})}
    server = None if ENDPOINT in merged else server_of(profile)
    if server is not None:
        merged[ENDPOINT] = server.endpoint
    with quiet_workers(), contextlib.ExitStack() as held:
        runner = profile.make_runner()
        if isinstance(runner, contextlib.AbstractContextManager):
            held.enter_context(runner)
        pipeline = beam.Pipeline(runner=runner, options=PipelineOptions([], **merged))
        held.callback(_remove_temporary_folder, pipeline)
        fill(pipeline)
        result = None
        try:
            result = pipeline.run()
            result.wait_until_finish()
        except Exception as error:  # noqa: BLE001 - runners raise whatever they like
            death = None
            if server is not None and find_failure(str(error)) is None:
                death = server.death(END_SECONDS if _is_lost(error) else 0)
            if death is not None and stop is not None:
                stop()
            raise death or _failure(error) from None
        except BaseException:
            if stop is not None:
                stop()
            if result is not None:
                with contextlib.suppress(Exception):  # it may have gone by now
                    result.cancel()
            raise


def _is_lost(error: Exception) -> bool:
    """Whether it is that the program is not reached any more, which then has ended or is about to."""
    import grpc

    return isinstance(error, grpc.RpcError)


def as_proto(
    fill: Callable[[beam.Pipeline], None], profile: Profile, options: Mapping[str, Any] | None = None
) -> Any:
    """A pipeline as Beam's portable message; nothing runs.

    Args:
        fill: Puts the transforms into the pipeline.
        profile: Where it would run.
        options: Beam's options, over those of the profile.
    """
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    merged = {**profile.options, **(options or {})}
    with quiet_workers(), contextlib.ExitStack() as held:
        pipeline = beam.Pipeline(runner=profile.make_runner(), options=PipelineOptions([], **merged))
        held.callback(_remove_temporary_folder, pipeline)
        fill(pipeline)
        return pipeline.to_runner_api()


def _remove_temporary_folder(pipeline: beam.Pipeline) -> None:
    """Remove the folder that Beam makes for a pipeline, and leaves inside IPython or if nothing runs."""
    shutil.rmtree(pipeline.local_tempdir, ignore_errors=True)


def check_program(options: Mapping[str, Any], profile: Profile) -> None:
    """Refuse a runner that gives its jobs to a program that is not there, or that other machines reach.

    Raises:
        DefinitionError: It is not on this machine, or listens on more than loopback.
    """
    if ENDPOINT not in options:
        find_program(profile)
    elif profile.server is not None:
        check_endpoint(options[ENDPOINT])


def check_options(options: Mapping[str, Any], profile: Profile) -> None:
    """Refuse options that Beam does not know; it would pass over them without a word.

    Raises:
        UnknownNameError: There is no such option.
        DefinitionError: The runner is none of Beam's.
    """
    if not options:
        return
    if profile.runner is None:
        raise DefinitionError(
            f"the runner {profile.name!r} takes no options, got {', '.join(sorted(options))}",
            site=CallSite.nearest(),
            hint="they are Beam's: name one of its runners, as direct",
        )
    from apache_beam.options.pipeline_options import PipelineOptions

    known = PipelineOptions([]).get_all_options()
    for name in options:
        if name not in known:
            raise unknown_name("option", name, known, of="Beam")


def _failure(error: Exception) -> BaseException:
    ours = find_failure(str(error))
    if ours is not None:
        return ours
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    if lines and lines[-1].startswith("KeyboardInterrupt"):  # which Beam makes an error of the step
        return KeyboardInterrupt()
    return JobError(f"the job failed: {lines[-1] if lines else type(error).__name__}"[:500])


def import_beam() -> None:
    """Import Beam, without its warning that a Google Cloud library is missing that nothing here uses."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        with _root_as_it_is():
            import apache_beam  # noqa: F401 - for its effect
    finally:
        logging.root.setLevel(level)


@contextlib.contextmanager
def _root_as_it_is() -> Iterator[None]:
    """A context in which Beam's warnings give the root logger no handler.

    They would: `logging.warning` gives it one where there is none, and the user's own `basicConfig`
    would then do nothing.
    """
    if logging.root.handlers or logging.lastResort is None:
        yield
        return
    stands_in = logging.lastResort  # what writes where there is no handler
    logging.root.addHandler(stands_in)
    try:
        yield
    finally:
        logging.root.removeHandler(stands_in)


@contextlib.contextmanager
def _without_messages() -> Iterator[None]:
    """A context in which Beam does not log what a job tells as if it were the user's."""

    def is_none(record: logging.LogRecord) -> bool:
        return record.module != "portable_runner"

    logging.root.addFilter(is_none)
    try:
        yield
    finally:
        logging.root.removeFilter(is_none)


class _Quiet:
    """How many pipelines run now, and the levels that Beam's loggers had before the first."""

    lock = threading.Lock()
    pipelines = 0
    levels: ClassVar[dict[str, int]] = {}


@contextlib.contextmanager
def quiet_workers() -> Iterator[None]:
    """A context in which Beam's workers do not log the traceback of what is reported anyway."""
    loggers = [logging.getLogger(name) for name in ("apache_beam.runners", "apache_beam.typehints")]
    with _Quiet.lock:
        _Quiet.pipelines += 1
        if _Quiet.pipelines == 1:
            _Quiet.levels.update({logger.name: logger.level for logger in loggers})
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
    try:
        with _root_as_it_is(), _without_messages():
            yield
    finally:
        with _Quiet.lock:
            _Quiet.pipelines -= 1
            if _Quiet.pipelines == 0:
                for logger in loggers:
                    logger.setLevel(_Quiet.levels[logger.name])
