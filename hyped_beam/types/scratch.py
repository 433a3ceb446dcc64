"""Folders for temporary files, each with an owner: those of processes that were killed are removed by others.

A folder holds a file that its owner keeps locked for as long as it lives. The system releases the lock when
the process ends, however it does; so neither numbers of processes, which are used again, nor times matter.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import sys
import tempfile
import weakref
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from typing_extensions import Self

if sys.platform != "win32":
    import fcntl

PREFIX = ".hyped-beam-"
"""Hidden, so that readers of the folder that they are made in do not read what is begun there."""

OWNER = "owner"
"""The file that the owner keeps locked; it holds the name of its machine, whose locks others cannot see."""

_swept: set[tuple[int, str]] = set()
_open: weakref.WeakSet[ScratchFolder] = weakref.WeakSet()
_of_processes: dict[int, ScratchFolder] = {}


class ScratchFolder:
    """A new folder that only this user can open; it is removed when it is left, or nobody holds it any more.

    The first one that a process makes somewhere removes what owners that were killed have left there.

    Args:
        where: The folder that it is made in; that for temporary files by default.

    Attributes:
        path: The folder.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, where: str | os.PathLike[str] | None = None) -> None:
        outer = os.path.abspath(tempfile.gettempdir() if where is None else where)  # noqa: PTH100 - as `sweep`
        place = (os.getpid(), outer)
        if place not in _swept:
            _swept.add(place)
            sweep(outer)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=outer))
        owner = _own(self.path)
        self._finalizer = weakref.finalize(self, _remove, str(self.path), owner, os.getpid())
        _open.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder, and all that is in it."""
        self._finalizer()


def folder_around(path: str) -> str | None:
    """The folder in which a folder for temporary files was made that a path is, or lies in; None for none."""
    parts = path.split("/")
    inner = next((number for number, part in enumerate(parts) if part.startswith(PREFIX)), None)
    return None if inner is None else "/".join(parts[:inner]) or "/"


def process_folder() -> Path:
    """The folder for what this process needs until it ends; a forked child has another one."""
    folder = _of_processes.get(os.getpid())
    if folder is None:
        folder = _of_processes[os.getpid()] = ScratchFolder()
    return folder.path


def remove_all() -> None:
    """Remove all folders of this process, which is about to end."""
    for folder in list(_open):
        folder.close()
    _of_processes.pop(os.getpid(), None)


def sweep(where: str) -> None:
    """Remove the folders in a folder whose owners have ended without doing so.

    Those of other users, of other machines that share the folder, and what is no folder of ours stay.

    Args:
        where: The folder.
    """
    if sys.platform == "win32":  # which has no such locks
        return
    with contextlib.suppress(OSError), os.scandir(where) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX):
                with contextlib.suppress(OSError):
                    _remove_if_left(Path(entry.path))


def _remove_if_left(folder: Path) -> None:
    found = os.lstat(folder)
    if sys.platform == "win32" or not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        return
    number = os.open(folder / OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(number, "r+b") as owner:
        if owner.read() != _machine():
            return
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held while it is removed, against a second one
        _remove_owner_last(folder)


def _remove_owner_last(folder: Path) -> None:
    """Remove a folder so that what is left where this process is killed is found by the next one."""
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != OWNER:
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _own(folder: Path) -> BinaryIO | None:
    """Lock a folder; until it is locked nobody sees that it could be."""
    if sys.platform == "win32":
        return None
    beside = folder / f"{OWNER}.new"
    owner = beside.open("w+b")
    fcntl.flock(owner, fcntl.LOCK_EX)
    owner.write(_machine())
    owner.flush()
    beside.rename(folder / OWNER)
    return owner


def _machine() -> bytes:
    return socket.gethostname().encode()


def _remove(path: str, owner: BinaryIO | None, process: int) -> None:
    if os.getpid() == process:  # not in a forked child, to which it does not belong
        _remove_owner_last(Path(path))
    if owner is not None:
        owner.close()
