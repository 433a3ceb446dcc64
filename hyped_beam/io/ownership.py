"""Who may write to an output folder: one job at a time, the owner.

Each owner has a generation, a number that its predecessors did not have. It claims it by creating

    __hyped_beam__/generations/000002.json      with a token that nobody else knows

which one of several who try can do (`FileSystem.put_once`), and then removes the files of older generations.
A job owns its folder as long as its own file is there. What it records carries its generation, and whatever
it puts into place, it looks for that file first: a job that has been overtaken finds it gone, and fails with
a sentence.

On disks of this machine two locks close the gap between looking and doing:

    __hyped_beam__/owner.lock          held alone by the process of the job, as long as the job lives
    __hyped_beam__/publishing.lock     held shared by whoever puts something into place, while it does

The first refuses a second job while the first one lives, and ends with its process. The second is waited for
by the next owner, once it has its generation: then nothing that a worker of a dead job had begun to put into
place is still under way, and what comes later finds its generation gone. Elsewhere a job that comes later
overtakes the one before it, for nobody can tell whether that one lives.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hyped_beam.errors import InputError, JobError
from hyped_beam.io.folders import MARK, OutputFolder
from hyped_beam.io.locks import Lock, lock
from hyped_beam.io.records import as_json

if TYPE_CHECKING:
    from hyped_beam.io.destinations import Destination

MARKED = 8
"""How many characters of the token stand in names."""

PUBLISHING_SECONDS = 60.0
"""How long a job waits for the workers of the job before it, which put into place what they have begun to."""


@dataclass(frozen=True)
class Owner:
    """A job as the owner of a folder; it travels to the workers.

    Attributes:
        generation: Its number: 1 for the first job that writes to the folder.
        token: What no other job has.
        is_contested: Whether the job before it may live on and write into the folder: there is no lock there,
            and that job has not ended itself.
        is_locked: Whether locks keep all others off the folders of the job.
    """

    generation: int
    token: str
    is_contested: bool = False
    is_locked: bool = False

    @property
    def name(self) -> str:
        """What its folders of records and of staged shards are called.

        A number is given again once its job is withdrawn. Where there are no locks, one that was overtaken
        may still write then, so that the number alone would not tell two jobs apart.
        """
        return f"{self.generation:06d}" + ("" if self.is_locked else f"{MARK}{self.token[:MARKED]}")


class OvertakenError(JobError):
    """A job whose output folder belongs to another one by now."""


class Ownership:
    """That this process owns a folder, until it releases it.

    Args:
        folder: The folder.
        owner: The owner.
        held: The lock, on a disk of this machine.
    """

    def __init__(self, folder: OutputFolder, owner: Owner, held: Lock | None) -> None:
        self.folder = folder
        self.owner = owner
        self._lock = held

    @property
    def is_current(self) -> bool:
        """Whether the folder is the job's own still: not released, nor taken over by another job."""
        return _is_owner(self.folder, self.owner)

    def release(self) -> None:
        """Let another job have the folder; what it has left behind in workers can do nothing from now on."""
        with contextlib.suppress(OSError, InputError):
            held = _published(self.folder) if self._lock is not None else None
            if self.is_current:
                self.folder.filesystem.delete(self.folder.generation(self.owner.generation))
                self.folder.filesystem.remove_if_empty(self.folder.generations)
                if held is not None:
                    held.release(removed=True)
                if self._lock is not None:
                    self._lock.release(removed=True)
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def withdraw(self, made: Sequence[str]) -> None:
        """Leave nothing of the job, and release the folder. Where another job owns it, nothing is touched.

        Args:
            made: The folders that were made for it, from the inside out.
        """
        with contextlib.suppress(OSError, InputError):  # what failed before may fail again
            if self.is_current:
                self.folder.clear()
                self.folder.remove_bookkeeping()
        self.release()
        with contextlib.suppress(OSError, InputError):
            for folder in (self.folder.bookkeeping, *made):
                self.folder.filesystem.remove_if_empty(folder)


def new_token() -> str:
    """What no other job has."""
    return uuid.uuid4().hex


def claim(folder: OutputFolder, number: int, token: str) -> Ownership:
    """Become the owner of a folder.

    Args:
        folder: The folder.
        number: The generation: more than `OutputFolder.newest_generation` of each folder of the job, for what
            an attempt stages in one of them is found in the others by the same number.
        token: What no other job has, and all folders of the job have; see `new_token`.

    Raises:
        InputError: Another job owns it, and lives, or claims it at this moment.
        OSError: The folder cannot be written to.
    """
    held = _owner_lock(folder) if folder.filesystem.is_local else None
    try:
        if held is not None and held.is_real:
            folder.remove_temporaries()
        owner = Owner(number, token)
        data = _told(owner)
        _put_generation(folder, number, data)
        older = [other for other in folder.generation_numbers() if other < number]
        for other in older:
            folder.filesystem.delete(folder.generation(other))
        is_locked = held is not None and held.is_real
        if is_locked:
            _wait_for_workers(folder)
        return Ownership(folder, Owner(number, token, bool(older) and not is_locked, is_locked), held)
    except BaseException:
        if held is not None:
            held.release(removed=held.is_real)
        raise


def refuse_owned(folder: OutputFolder) -> None:
    """Refuse a folder that another process of this machine writes to.

    Raises:
        InputError: There is one.
    """
    if folder.filesystem.is_local and folder.filesystem.info(folder.owner_lock) is not None:
        with contextlib.suppress(FileNotFoundError, PermissionError):  # the claim will tell
            held = lock(folder.owner_lock, creates=False)
            if held is None:
                raise _owned(folder, folder.newest_generation())
            held.release()


def _owner_lock(folder: OutputFolder) -> Lock:
    folder.filesystem.make_folder(folder.bookkeeping)
    held = lock(folder.owner_lock)
    if held is None:
        raise _owned(folder, folder.newest_generation())
    return held


def _wait_for_workers(folder: OutputFolder) -> None:
    """Wait until what the workers of an earlier job have begun to put into place is there.

    Raises:
        InputError: It takes too long.
    """
    waited = _published(folder)
    if waited is None:
        hint = "end it, or give another folder"
        raise InputError(f"a process of an earlier job still writes to {folder.given!r}", hint=hint)
    waited.release()


def _published(folder: OutputFolder) -> Lock | None:
    """Wait until nobody puts anything into place; the lock that keeps it so, None where it takes too long."""
    return lock(folder.publishing_lock, seconds=PUBLISHING_SECONDS)


def _put_generation(folder: OutputFolder, number: int, data: bytes) -> None:
    """Create the file of a generation.

    Raises:
        InputError: Another job has created it, or the store takes the condition and does not look at it.
    """
    newest = folder.newest_generation()
    if newest >= number or folder.filesystem.put_once(folder.generation(number), data) != data:
        raise _owned(folder, newest)
    newest = folder.newest_generation()
    if newest > number:
        folder.filesystem.delete(folder.generation(number))
        raise _owned(folder, newest)
    if folder.filesystem.is_local:
        return
    if folder.filesystem.put_once(folder.generation(number), data + b"\n") != data:
        raise InputError(
            f"the store of {folder.given!r} writes over files that are created only where there are none",
            hint="two jobs at once would lose rows there: write elsewhere, and copy the output",
        )


def _told(owner: Owner) -> bytes:
    told = {
        "generation": owner.generation,
        "token": owner.token,
        "process": os.getpid(),
        "host": socket.gethostname(),
    }
    return as_json(told).encode()


def _owned(folder: OutputFolder, number: int) -> InputError:
    return InputError(
        f"another job{_who(folder, number)} writes to {folder.given!r}",
        hint="a folder has one job at a time: wait for it, or give another folder; nothing was written",
    )


def _who(folder: OutputFolder, number: int) -> str:
    try:
        told = json.loads(folder.filesystem.read(folder.generation(number)) or b"")
        return f" (process {told['process']} on {told['host']})"
    except (ValueError, KeyError, TypeError, OSError):
        return ""


# ------------------------------------------------------------------------------------------------ as an owner


def _is_owner(folder: OutputFolder, owner: Owner) -> bool:
    try:
        saved = folder.filesystem.read(folder.generation(owner.generation))
        return saved is not None and json.loads(saved)["token"] == owner.token
    except (ValueError, KeyError, TypeError):
        return False


def check_owner(destination: Destination) -> None:
    """Refuse to go on with an output whose folder belongs to another job.

    Raises:
        OvertakenError: It does.
    """
    folder = destination.folder
    if not _is_owner(folder, destination.claimed):
        newest = folder.newest_generation()
        raise OvertakenError(
            f"another job{_who(folder, newest)} has taken over the output folder {folder.given!r}",
            hint="what it has is left alone; a folder has one job at a time",
        )


@contextlib.contextmanager
def publishing(destinations: Sequence[Destination]) -> Iterator[None]:
    """A context in which an owner may put things into place: no other job becomes the owner meanwhile.

    Where there are no locks it may all the same, in the moment after it was looked.

    Raises:
        OvertakenError: The folder of an output belongs to another job.
    """
    with contextlib.ExitStack() as held:
        for destination in destinations:
            if destination.folder.filesystem.is_local:
                with contextlib.suppress(FileNotFoundError):  # its job is over
                    found = lock(
                        destination.folder.publishing_lock,
                        shared=True,
                        seconds=PUBLISHING_SECONDS,
                        creates=False,
                    )
                    if found is not None:
                        held.callback(found.release)
            check_owner(destination)
        yield
