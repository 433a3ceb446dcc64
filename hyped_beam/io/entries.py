"""A folder of results that can be used again: entries appear whole, and what is damaged is none."""

from __future__ import annotations

import contextlib
import os
import struct
import time
from pathlib import Path

import xxhash

from hyped_beam.errors import InputError
from hyped_beam.io.filesystem import LOCAL, is_temporary

MAGIC = b"hyped_beam entry 1\n"
SUFFIX = ".entry"
UNUSED_DAYS = 30
"""After how many days entries that nobody has used are removed."""
_DAY = 86_400
_SWEPT = "swept"


class Entries:
    """Entries by their keys.

    An entry is a file: a line that says what it is, the checksum of the rest, the key with its length, and
    the content. Several processes may read and write at once.

    Args:
        folder: A local folder.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def _place(self, key: str) -> Path:
        name = xxhash.xxh3_128_hexdigest(key.encode())
        return self._folder / name[:2] / f"{name}{SUFFIX}"

    def read(self, key: str) -> bytes | None:
        """The content of an entry; None where there is none, or what is there is damaged or another's."""
        place = self._place(key)
        try:
            data = place.read_bytes()
        except OSError:
            return None
        content = _content(data, key)
        if content is not None:
            with contextlib.suppress(OSError):  # that it was used
                if time.time() - place.stat().st_mtime > _DAY:
                    os.utime(place)
        return content

    def write(self, key: str, content: bytes) -> bool:
        """Put an entry in place of what is there; False where that cannot be done, as on a full disk."""
        head = key.encode()
        body = struct.pack("<I", len(head)) + head + content
        try:
            LOCAL.write(str(self._place(key)), MAGIC + xxhash.xxh3_128_digest(body) + body)
        except OSError:
            return False
        return True


def _content(data: bytes, key: str) -> bytes | None:
    """The content of an entry as it was written under a key."""
    start = len(MAGIC) + 16
    body = data[start:]
    if not data.startswith(MAGIC) or xxhash.xxh3_128_digest(body) != data[len(MAGIC) : start]:
        return None
    head = struct.pack("<I", len(key.encode())) + key.encode()
    return body[len(head) :] if body.startswith(head) else None


def prepare_folder(folder: str) -> None:
    """Make a folder of entries, and once a day remove those that have not been used for long.

    Args:
        folder: The folder; nothing but entries is ever put there.

    Raises:
        InputError: It cannot be written to.
    """
    place = Path(folder)
    try:
        LOCAL.check_writable(folder)
        place.mkdir(parents=True, exist_ok=True)
        mark = place / _SWEPT
        if mark.exists() and time.time() - mark.stat().st_mtime < _DAY:
            return
        mark.touch()
    except OSError as error:
        raise InputError(
            f"the cache {folder!r} cannot be written to: {error.strerror or error}",
            hint="give another folder: cache=PATH",
        ) from None
    for file in place.rglob("*"):
        with contextlib.suppress(OSError):  # another process removes them as well
            is_ours = file.suffix == SUFFIX or is_temporary(file.name)
            if is_ours and time.time() - file.stat().st_mtime > UNUSED_DAYS * _DAY:
                file.unlink()
