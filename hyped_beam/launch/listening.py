"""Which network addresses of this machine programs listen on, as the system tells it."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hyped_beam.errors import JobError

_LISTEN = "0A"
"""The state of a socket that listens, in the tables of Linux."""


class Listener(NamedTuple):
    """A TCP socket that listens.

    Attributes:
        host: Its address, such as `127.0.0.1`, `::` or `0.0.0.0`.
        port: Its port.
    """

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine reach it."""
        address = ipaddress.ip_address(self.host)
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listeners_of_group(group: int) -> list[Listener]:
    """Return what the processes of a process group listen on.

    Raises:
        JobError: This system does not tell.
    """
    if sys.platform != "linux":
        return _from_lsof("-a", "-g", str(group))
    owned = {inode for process in _processes_of(group) for inode in _sockets_of(process)}
    return [listener for listener, inode in _listening() if inode in owned]


def listeners_at(port: int) -> list[Listener]:
    """Return what listens at a port, whoever runs it.

    Raises:
        JobError: This system does not tell.
    """
    found = _from_lsof() if sys.platform != "linux" else [listener for listener, _ in _listening()]
    return [listener for listener in found if listener.port == port]


# ------------------------------------------------------------------------------------------------- Linux


def _listening() -> Iterator[tuple[Listener, str]]:
    """Yield all TCP sockets of this machine that listen, and their inodes."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except FileNotFoundError:  # a system without IPv6
            continue
        for fields in map(str.split, lines):
            if fields[3] == _LISTEN:
                host, port = fields[1].split(":")
                yield Listener(_address(host), int(port, 16)), fields[9]


def _address(written: str) -> str:
    """Return an address that stands in hexadecimal digits, in words of 32 bits of this machine's order."""
    words = [bytes.fromhex(written[start : start + 8]) for start in range(0, len(written), 8)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return str(ipaddress.ip_address(b"".join(words)))


def _processes_of(group: int) -> Iterator[Path]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                fields = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
            except (FileNotFoundError, ProcessLookupError):  # it has ended since
                continue
            if int(fields.split()[2]) == group:
                yield process


def _sockets_of(process: Path) -> Iterator[str]:
    """Yield the inodes of the sockets that a process has open."""
    try:
        for descriptor in (process / "fd").iterdir():
            kind, _, inode = str(descriptor.readlink()).partition(":")
            if kind == "socket":
                yield inode.strip("[]")
    except (FileNotFoundError, ProcessLookupError):  # it has ended since, or closed one
        return


# --------------------------------------------------------------------------------------- macOS and others


def _from_lsof(*chosen: str) -> list[Listener]:
    program = shutil.which("lsof") or shutil.which("lsof", path="/usr/sbin:/usr/bin")
    if program is None:
        raise JobError(
            "this machine has no way to tell on which addresses a program listens", hint="install lsof"
        )
    command = [program, "-nP", *chosen, "-iTCP", "-sTCP:LISTEN", "-Fn"]
    # it ends with status 1 where there is nothing to show
    told = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - a program of the system
    return read_lsof(told.stdout)


def read_lsof(text: str) -> list[Listener]:
    """Read what `lsof -Fn` prints of sockets that listen."""
    found = []
    for line in text.splitlines():
        host, _, port = line[1:].rpartition(":")
        if line.startswith("n") and port.isdigit():
            found.append(Listener("0.0.0.0" if host == "*" else host.strip("[]"), int(port)))  # noqa: S104 - it is read, not bound
    return found
