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
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from hyped_beam.errors import CallSite, DefinitionError, JobError
from hyped_beam.launch.listening import listeners_of_group
from hyped_beam.launch.profiles import Profile, ServerProgram, profiles_folder
from hyped_beam.launch.sockets import address_of, private_folder

START_SECONDS = 300
"""How long a program that runs may take at most until it takes jobs; it takes one where nothing else runs."""
STOP_SECONDS = 5
END_SECONDS = 60
"""How long one that has closed its output may take at most to end."""
LINES = 20
"""How many of the last lines that a program has printed are kept."""


def cache_folder(program: ServerProgram) -> Path:
    """The folder that a program is looked for in, one for each version of Beam and way to build it."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "hyped_beam" / f"{program.program}-{version('apache-beam')}-{program.variant}"


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
    raise DefinitionError(message, site=CallSite.nearest(), hint=how_to_build(profile))


def how_to_build(profile: Profile) -> str | None:
    """How one comes to the program of a runner; None where it needs none."""
    wanted = profile.server
    if wanted is None:
        return None
    script = profiles_folder() / profile.name / wanted.build
    return f"build it with `{sys.executable} {script}`, or say where it is: {wanted.variable}=PATH"


class Server:
    """A program that runs, and takes jobs at a socket that only this user can open.

    Args:
        profile: The runner.
        path: The path of the program.
        program: How it is started.

    Raises:
        DefinitionError: It takes jobs from others, too.
        JobError: It ended, or did not say where it takes jobs.
    """

    def __init__(self, profile: Profile, path: str, program: ServerProgram) -> None:
        self.endpoint = ""
        self._name = profile.name
        self._path = path
        self._ready = re.compile(program.ready)
        self._unsafe = program.unsafe
        self._is_unsafe = False
        self._said: deque[str] = deque(maxlen=LINES)
        self._heard = threading.Event()
        folder = private_folder()
        socket = folder / "jobs"
        arguments = [argument.format(socket=socket) for argument in program.arguments]
        tie = Path(__file__).with_name("tied.py")
        # In a session of its own: Ctrl-C is for this process, which then ends the job in order.
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", "-S", str(tie), str(folder), path, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        threading.Thread(target=self._listen, name=f"hyped-beam-{self._name}", daemon=True).start()
        self._heard.wait(START_SECONDS)
        try:
            self._check_private(profile, address_of(socket))
            if not self.endpoint:
                raise self.death(END_SECONDS) or JobError(  # noqa: TRY301 - as what comes before it
                    f"{path} did not say where it takes jobs: {self._last()}"
                )
        except BaseException:
            self.stop()
            raise

    def _check_private(self, profile: Profile, address: str) -> None:
        """Refuse a program that takes jobs from others, before it has got any."""
        if self._is_unsafe:
            fault = "is not built for one user alone: it would take jobs, and commands to run, from everybody"
        elif self.endpoint and self.endpoint != address:
            fault = f"takes jobs at {self.endpoint}, and not at the socket of one user alone"
        else:
            wide = [str(found) for found in listeners_of_group(self._process.pid) if not found.is_loopback]
            if not wide:
                return
            fault = f"listens on {', '.join(wide)}, where other machines reach it"
        raise DefinitionError(
            f"{self._path}, which the runner {self._name!r} would give its jobs to, {fault}",
            site=CallSite.nearest(),
            hint=how_to_build(profile),
        )

    def _listen(self) -> None:
        assert self._process.stdout is not None, "it was asked for"  # noqa: S101 - for type checkers
        with self._process.stdout as lines:
            for line in lines:
                self._said.append(line.strip())
                self._is_unsafe |= self._unsafe in line
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
    """The programs that run for this process, by the name of the runner and their path."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.servers: dict[tuple[str, str], Server] = {}


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
        known = _running.servers.get((profile.name, path))
        if known is None or known.death() is not None:
            _end_with_process()
            known = _running.servers[profile.name, path] = Server(profile, path, profile.server)
        return known


def stop_servers() -> None:
    """End all programs that run for this process."""
    with _running.lock:
        while _running.servers:
            _running.servers.popitem()[1].stop()


@lru_cache(maxsize=1)
def _end_with_process() -> None:
    """Have programs end when this process does; what runs for the parent of a fork is not the child's."""
    atexit.register(stop_servers)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget)


def _forget() -> None:
    _running.__init__()  # type: ignore[misc]  # the lock may be held by a thread that the child does not have
