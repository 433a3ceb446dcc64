"""Who, besides its user, reaches the program that a job is given to."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from hyped_beam.errors import CallSite, DefinitionError
from hyped_beam.launch.listening import listeners_at
from hyped_beam.launch.profiles import Profile
from hyped_beam.launch.sockets import is_socket_address

ENDPOINT = "job_endpoint"
"""Beam's option for where a job is given to; one that is set needs no program of ours."""


class ExposedRunnerWarning(UserWarning):
    """Others reach the program that a job is given to."""


def check_endpoint(endpoint: str) -> None:
    """Refuse a program on this machine that programs on other machines reach.

    Args:
        endpoint: Where it takes jobs: `localhost:8073`, or `unix:/run/user/1000/prism`.

    Raises:
        DefinitionError: It listens on more than loopback.
    """
    host, port = _host_and_port(endpoint)
    if port is None or not _is_here(host):
        return
    wide = [str(found) for found in listeners_at(port) if not found.is_loopback]
    if wide:
        raise DefinitionError(
            f"the program at {endpoint} listens on {', '.join(wide)}, where other machines reach it and can "
            "run code as you",
            site=CallSite.nearest(),
            hint="start it for yourself alone, with `prism --job_socket=FOLDER/jobs` in a folder that only "
            f"you can enter, and give {ENDPOINT}=unix:FOLDER/jobs",
        )


def who_else(profile: Profile, options: Mapping[str, Any]) -> str | None:
    """Return a sentence about what others could do to a job through its program; None for a job without one.

    Args:
        profile: The runner.
        options: Beam's options.
    """
    endpoint = options.get(ENDPOINT)
    if profile.server is None:
        return None
    if endpoint is None:
        return (
            f"{profile.name} takes jobs at a socket that only you can open: other users of this machine see "
            "that it runs, and can do no more"
        )
    host, port = _host_and_port(endpoint)
    if port is None:
        return (
            f"whoever can open {endpoint} can give it jobs, cancel yours, read their rows and run code as you"
        )
    who = "other users of this machine" if _is_here(host) else f"whoever reaches {host}"
    return f"{who} can give jobs to {endpoint}, cancel yours, read their rows and run code as you"


def exposes(options: Mapping[str, Any]) -> bool:
    """Whether a job is given to a program that others reach, as far as one can tell."""
    return ENDPOINT in options and not is_socket_address(options[ENDPOINT])


def _host_and_port(endpoint: str) -> tuple[str, int | None]:
    host, _, port = endpoint.rpartition(":")
    if is_socket_address(endpoint) or not port.isdigit():
        return endpoint, None
    return host.strip("[]"), int(port)


def _is_here(host: str) -> bool:
    """Whether a host is this machine, whose addresses one can bind to."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except OSError:
        return False
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as tried:
            try:
                tried.bind(address)
            except OSError:
                continue
        return True
    return False
