"""Programs that jobs are given to: found on this machine, started once in a process, ended with it."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from importlib.metadata import version
from pathlib import Path

from hyped_beam.errors import CallSite, DefinitionError, JobError
from hyped_beam.launch.profiles import Profile, ServerProgram

START_SECONDS = 60
STOP_SECONDS = 5
NOTICE_SECONDS = 1
"""How long it takes at most until one knows of a program that has ended."""
LINES = 20
"""How many of the last lines that a program has printed are kept."""


def cache_folder(program: ServerProgram) -> Path:
    """The folder that a program is looked for in, one for each version of Beam."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "hyped_beam" / f"{program.program}-{version('apache-beam')}"


def find_program(profile: Profile) -> str | None:
    """The path of the program that a runner gives its jobs to; None where it needs none.

    It is that of an environment variable, or lies in a cache folder, or on the PATH.

    Raises:
        DefinitionError: It is not on this machine.
    """
    wanted = profile.server
    if wanted is None:
        return None
    told = os.environ.get(wanted.variable)
    places = [told] if told else [str(cache_folder(wanted) / wanted.program), wanted.program]
    found = next(filter(None, map(shutil.which, places)), None)
    if found is not None:
        return found
    if told:
        message = f"{wanted.variable} is {told!r}, which is no program"
    else:
        message = f"the program {wanted.program!r} of the runner {profile.name!r} is not on this machine"
    get = wanted.get.format(folder=cache_folder(wanted), beam=version("apache-beam"))
    raise DefinitionError(
        message,
        site=CallSite.nearest(),
        hint=f"install it with `{get}`, or say where it is: {wanted.variable}=PATH",
    )


class Server:
    """A program that runs, and takes jobs.

    Args:
        name: The name of the runner, for messages.
        path: The path of the program.
        program: How it is started.

    Raises:
        JobError: It ended, or did not say where it takes jobs.
    """

    def __init__(self, name: str, path: str, program: ServerProgram) -> None:
        self.endpoint = ""
        self._name = name
        self._path = path
        self._ready = re.compile(program.ready)
        self._said: deque[str] = deque(maxlen=LINES)
        self._heard = threading.Event()
        tie = Path(__file__).with_name("tied.py")
        # In a session of its own: Ctrl-C is for this process, which then ends the job in order.
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", "-S", str(tie), path, *program.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        threading.Thread(target=self._listen, name=f"hyped-beam-{name}", daemon=True).start()
        self._heard.wait(START_SECONDS)
        if not self.endpoint:
            error = self.death(NOTICE_SECONDS) or JobError(
                f"{path} did not say where it takes jobs: {self._last()}"
            )
            self.stop()
            raise error

    def _listen(self) -> None:
        assert self._process.stdout is not None, "it was asked for"  # noqa: S101 - for type checkers
        for line in self._process.stdout:
            self._said.append(line.strip())
            found = None if self.endpoint else self._ready.search(line)
            if found is not None:
                self.endpoint = found[1]
                self._heard.set()
        self._heard.set()

    def _last(self) -> str:
        return next((line for line in reversed(self._said) if line), "it said nothing")[:300]

    def death(self, seconds: float = 0) -> JobError | None:
        """The error of a program that has ended, or does within some seconds; None while it runs."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return JobError(
            f"{self._path}, which the runner {self._name!r} gives its jobs to, ended with status {status}: "
            f"{self._last()}"
        )

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        assert self._process.stdin is not None, "it was asked for"  # noqa: S101 - for type checkers
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class _Running:
    """The programs that run for this process, by the name of the runner."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.servers: dict[str, Server] = {}


_running = _Running()


def server_of(profile: Profile) -> Server | None:
    """The running program that a runner gives its jobs to, started where it does not run; None without one.

    Raises:
        DefinitionError: It is not on this machine.
        JobError: It does not start.
    """
    path = find_program(profile)
    if path is None or profile.server is None:
        return None
    with _running.lock:
        known = _running.servers.get(profile.name)
        if known is None or known.death() is not None:
            known = _running.servers[profile.name] = Server(profile.name, path, profile.server)
        return known


@atexit.register
def stop_servers() -> None:
    """End all programs that run for this process."""
    with _running.lock:
        while _running.servers:
            _running.servers.popitem()[1].stop()


def _forget() -> None:
    """What runs for the parent of a fork is not the child's."""
    _running.__init__()  # type: ignore[misc]  # the lock may be held by a thread that the child does not have


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
