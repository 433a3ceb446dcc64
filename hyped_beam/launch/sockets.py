"""Unix sockets that nobody but their user can open: files in a folder that only the user can enter."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
from pathlib import Path

PREFIX = "hyped_beam-sockets-"

LONGEST = 100
"""How many bytes the path of a socket has at most; macOS takes 103."""

_PLAIN = re.compile(r"[\w/.+-]+", re.ASCII)
"""Paths that mean the same as part of a URI, as gRPC reads them."""

_NAME_CHARACTERS = 40
"""Room for the name of the folder and that of the socket."""


def private_folder() -> Path:
    """Make a folder for sockets that only this user can enter."""
    usual = tempfile.gettempdir()
    is_fit = _PLAIN.fullmatch(usual) and len(usual) + len(PREFIX) + _NAME_CHARACTERS <= LONGEST
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=usual if is_fit else "/tmp"))  # noqa: S108 - made unguessable, for us alone


def address_of(socket: Path) -> str:
    """Return the address of a socket, as gRPC takes it."""
    return f"unix:{socket}"


class PrivateSocket:
    """A place for a socket that only this user can open, under a name that nobody can guess."""

    def __init__(self) -> None:
        self._folder = private_folder()
        self.address = address_of(self._folder / secrets.token_hex(8))

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)


def is_socket_address(address: str) -> bool:
    """Whether an address is that of a Unix socket, and not of a port."""
    return address.startswith("unix:")
