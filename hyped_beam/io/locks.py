"""Locks on files of this machine: they end with the process that holds them, however it ends."""

from __future__ import annotations

import errno
import fcntl
import functools
import os
import time
import weakref
from pathlib import Path

_UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_BUSY = (errno.EACCES, errno.EAGAIN)
LOOK_SECONDS = 0.005


class Lock:
    """A lock that is held.

    Args:
        path: The file.
        descriptor: The open file; None on a disk that has no locks.
    """

    def __init__(self, path: str, descriptor: int | None) -> None:
        self.path = path
        self._descriptor = descriptor
        self._process = os.getpid()
        _held.add(self)

    @property
    def is_real(self) -> bool:
        """Whether it keeps others off; False on a disk that has no locks."""
        return self._descriptor is not None

    def release(self, *, removed: bool = False) -> None:
        """Let others have it.

        Args:
            removed: Whether the file is removed, too; only for one who holds it alone.
        """
        descriptor, self._descriptor = self._descriptor, None
        if removed:
            Path(self.path).unlink(missing_ok=True)
        if descriptor is not None:
            if os.getpid() == self._process:
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child that is being forked may still have a copy
            os.close(descriptor)

    def __del__(self) -> None:
        self.release()


_held: weakref.WeakSet[Lock] = weakref.WeakSet()


def _close_copies() -> None:
    for held in list(_held):
        held.release()


@functools.cache
def _close_copies_after_forks() -> None:
    # A process that is forked has copies of open files, which would keep the locks of its parent alive.
    os.register_at_fork(after_in_child=_close_copies)


def lock(path: str, *, shared: bool = False, seconds: float = 0, creates: bool = True) -> Lock | None:
    """Lock a file.

    Args:
        path: The file.
        shared: Whether others may have it shared at the same time.
        seconds: How long to wait for it.
        creates: Whether the file is created where it is missing.

    Returns:
        The lock; None where others have it.

    Raises:
        FileNotFoundError: There is no such file, or no folder for it.
        OSError: It cannot be opened.
    """
    _close_copies_after_forks()
    deadline = time.monotonic() + seconds
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if creates else 0), 0o666)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in _UNSUPPORTED:
                return Lock(path, None)
            if error.errno not in _BUSY:
                raise
            if time.monotonic() >= deadline:
                return None
            time.sleep(LOOK_SECONDS)
            continue
        if _is_at(descriptor, path):
            return Lock(path, descriptor)
        os.close(descriptor)  # it was removed since it was opened


def _is_at(descriptor: int, path: str) -> bool:
    try:
        there = Path(path).stat()
    except FileNotFoundError:
        return False
    opened = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino)
