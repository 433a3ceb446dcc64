"""A local file system that can be stopped between any two of its operations, and whose disk forgets."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

from hyped_beam.io import folders
from hyped_beam.io.filesystem import LocalFileSystem, LocalPendingFile


class Died(BaseException):
    """The process has died: nothing that it would do happens."""


class Attempt:
    """Something that runs step by step: each operation on files is a step.

    Args:
        work: What it does.
        fails_at: The number of the operation for which the disk is full, as far as it knows.
    """

    def __init__(self, work, fails_at=None):
        self.fails_at = fails_at
        self.steps = 0
        self.result = None
        self.error = None
        self.is_over = False
        self.dead = False
        self._permit = threading.Semaphore(0)
        self._arrived = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()
        self._arrived.acquire()

    def _run(self, work):
        STEPS.attempt = self
        try:
            self.pause()
            self.steps = 0
            self.result = work()
        except Died:
            pass
        except Exception as error:  # noqa: BLE001 - looked at by the test
            self.error = error
        self.is_over = True
        self._arrived.release()

    def pause(self):
        """Wait for the next step; called in its own thread."""
        if not self.dead:
            self._arrived.release()
            self._permit.acquire()
        if self.dead:
            raise Died
        self.steps += 1
        if self.steps - 1 == self.fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def step(self):
        """Let it do one operation."""
        self._permit.release()
        self._arrived.acquire()

    def die(self):
        """End it here."""
        self.dead = True
        self.step()
        self._thread.join()


class Steps(threading.local):
    """The attempt that a thread runs, if it runs one."""

    attempt = None


STEPS = Steps()


class SteppedFileSystem(LocalFileSystem):
    """A file system of this machine, all of whose operations go through `step`.

    Attributes:
        operations: How many there were.
        dies_at: The number of the operation that does not happen any more, nor does any after it.
        unsynced: The files whose bytes would be lost if the machine stopped.
    """

    def __init__(self):
        self.operations = 0
        self.dies_at = None
        self.unsynced = set()

    def step(self):
        """Called before each operation."""
        if STEPS.attempt is not None:
            STEPS.attempt.pause()
        if self.dies_at is not None and self.operations >= self.dies_at:
            raise Died
        self.operations += 1

    def lose(self):
        """What a machine that stops leaves of files that were never synced: their sizes."""
        for path in map(Path, self.unsynced):
            if path.exists():
                path.write_bytes(bytes(path.stat().st_size))
        self.unsynced.clear()

    def create(self, path, *, makes_folder=True):
        self.step()
        return SteppedFile(self, path, makes_folder=makes_folder)

    def put_once(self, path, data):
        self.step()
        there = super().put_once(path, data)
        if there == data:
            self.unsynced.add(path)
        return there

    def move(self, source, target, checksum=""):
        self.step()
        if not super().move(source, target, checksum):
            return False
        self.unsynced.discard(target)
        if source in self.unsynced:
            self.unsynced.remove(source)
            self.unsynced.add(target)
        return True

    def sync(self, paths):
        self.step()  # a disk that is really forced takes long when others use it, and shows nothing
        self.unsynced -= set(paths)

    def delete(self, path):
        self.step()
        super().delete(path)

    def remove_if_empty(self, folder):
        self.step()
        super().remove_if_empty(folder)

    def make_folder(self, path):
        self.step()
        super().make_folder(path)

    def read(self, path):
        self.step()
        return super().read(path)

    def info(self, path):
        self.step()
        return super().info(path)

    def children(self, folder):
        self.step()
        return super().children(folder)


class SteppedFile(LocalPendingFile):
    """A file of it that is being written."""

    def __init__(self, filesystem, path, *, makes_folder):
        super().__init__(path, makes_folder=makes_folder)
        self._filesystem = filesystem

        self._is_synced = False

    def sync(self):
        self._filesystem.step()
        self._is_synced = True

    def publish(self, path=None):
        if self._temporary is not None:
            self._filesystem.step()
            super().publish(path)
            place = str(self._path if path is None else path)
            (self._filesystem.unsynced.discard if self._is_synced else self._filesystem.unsynced.add)(place)

    def discard(self):
        if self._temporary is not None:
            self._filesystem.step()
            super().discard()


def use(monkeypatch, filesystem):
    """Have outputs use a file system.

    Args:
        monkeypatch: Undoes it.
        filesystem: The file system.
    """
    locate = folders.locate
    monkeypatch.setattr(folders, "locate", lambda given: (filesystem, locate(given)[1]))
