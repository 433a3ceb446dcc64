"""What files hold, as fingerprints: a hash of their bytes, or what a store says of them."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import xxhash

from hyped_beam.errors import InputError
from hyped_beam.io.entries import SUFFIX
from hyped_beam.io.filesystem import LOCAL, locate

# A file that was changed more recently may be changed again and look the same: clocks of file systems tick
# rarely, and what is written to a memory map changes them late.
SETTLED_SECONDS = 60
CHUNK_BYTES = 8 << 20

_Stamp: TypeAlias = tuple[int, ...]
"""Size, times of change of contents and of all else (nanoseconds), inode and device of a local file."""


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Attributes:
        fingerprint: Equal for two files only where they hold the same.
        stamp: What the file system said of the file, where another content would have another.
    """

    fingerprint: str
    stamp: _Stamp | None = None


class Contents:
    """Fingerprints of files, each read once: as long as it stays as it is they are remembered.

    Args:
        folder: A local folder to remember them in.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._known: dict[str, Content] = {}

    def of(self, uri: str) -> Content:
        """What a file holds; as long as this object is there, what it held at first.

        Raises:
            InputError: It is gone, or cannot be read.
        """
        if uri not in self._known:
            self._known[uri] = self._found(uri)
        return self._known[uri]

    def is_still(self, uri: str, content: Content) -> bool:
        """Whether a file holds what it held, so that whatever was read of it since is of that."""
        try:
            if content.stamp is not None and _stamp_of(uri) == content.stamp:
                return True
            return self._found(uri).fingerprint == content.fingerprint
        except (InputError, OSError):
            return False

    def _found(self, uri: str) -> Content:
        filesystem, path = locate(uri)
        if not filesystem.is_local:
            version = filesystem.version(path)
            return Content(fingerprint_of(uri) if version is None else version)
        before = _stamp_of(uri)
        remembered = self._read(path, before)
        if remembered is not None:
            return remembered
        fingerprint = fingerprint_of(uri)
        if before is None or _stamp_of(uri) != before:
            return Content(fingerprint)
        self._remember(path, before, fingerprint)
        return Content(fingerprint, before)

    def _place(self, path: str) -> Path:
        return self._folder / f"{xxhash.xxh3_128_hexdigest(os.fsencode(path))}{SUFFIX}"

    def _read(self, path: str, stamp: _Stamp | None) -> Content | None:
        """What is remembered of a file that is as it was."""
        if stamp is None:
            return None
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
            told = json.loads(self._place(path).read_text(encoding="utf-8"))
            if told == _told(path, stamp, told["fingerprint"]):
                return Content(told["fingerprint"], stamp)
        return None

    def _remember(self, path: str, stamp: _Stamp, fingerprint: str) -> None:
        with contextlib.suppress(OSError):  # it is found out again
            text = json.dumps(_told(path, stamp, fingerprint), indent=1)
            LOCAL.write(str(self._place(path)), text.encode())


def _told(path: str, stamp: _Stamp, fingerprint: str) -> dict[str, object]:
    """What is written down of a file, with a checksum."""
    told = {"path": path, "stamp": list(stamp), "fingerprint": fingerprint}
    return {**told, "checksum": xxhash.xxh3_128_hexdigest(json.dumps(told).encode())}


def _stamp_of(uri: str) -> _Stamp | None:
    """What the file system says of a local file that has been left alone for a while, else None."""
    filesystem, path = locate(uri)
    if not filesystem.is_local:
        return None
    try:
        with Path(path).open("rb") as file:  # a network's file system looks again when one is opened
            status = os.fstat(file.fileno())
    except OSError:
        return None
    since = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns)
    if since < SETTLED_SECONDS * 1_000_000_000:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev


def fingerprint_of(uri: str) -> str:
    """A hash of the bytes of a file.

    Raises:
        InputError: It is gone, or cannot be read.
    """
    filesystem, path = locate(uri)
    hashed = xxhash.xxh3_128()
    try:
        with filesystem.open_input(path) as file:
            while data := file.read_buffer(CHUNK_BYTES):
                hashed.update(data)
            size = file.tell()
    except FileNotFoundError:
        raise InputError(f"{uri} is gone", hint="files must stay while a job reads them") from None
    except OSError as error:
        raise InputError(f"{uri} cannot be read: {error}") from error
    return f"xxh128:{hashed.hexdigest()}:{size}"
