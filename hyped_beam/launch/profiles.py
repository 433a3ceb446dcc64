"""Runner profiles: what one needs to know to run somewhere, read from `runners/NAME/profile.toml`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hyped_beam.errors import CallSite, DefinitionError, unknown_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Limit:
    """Something that a runner cannot do.

    Attributes:
        feature: What.
        reason: What happens instead.
        since: The version of Beam it was seen with.
    """

    feature: str
    reason: str
    since: str


@dataclass(frozen=True)
class ServerProgram:
    """A program that a runner gives its jobs to.

    Attributes:
        program: Its name.
        variable: The environment variable that says where it is.
        arguments: What it is started with; `{socket}` is the path of the socket that it shall take jobs at.
        unsafe: What it prints if it was built otherwise and does not know of that socket.
        ready: A regular expression for the line that it prints once it takes jobs; its group is the address.
        build: The script that builds it, in the folder of the profile.
        variant: How it is built, as part of the name of the folder it is kept in.
    """

    program: str
    variable: str
    arguments: tuple[str, ...]
    unsafe: str
    ready: str
    build: str
    variant: str


@dataclass(frozen=True)
class Profile:
    """A place to run.

    Attributes:
        name: Its name.
        description: One line.
        runner: The dotted path of the Beam runner's class; None where jobs run without Beam.
        options: Beam's options and their defaults.
        limits: What the runner cannot do.
        own_processes: Whether ranges are done by processes of their own also where one is enough: where steps
            run in threads, which nothing can stop.
        server: The program that is started for it; None where there is none.
    """

    name: str
    description: str
    runner: str | None
    options: Mapping[str, Any]
    limits: tuple[Limit, ...]
    own_processes: bool = False
    server: ServerProgram | None = None

    def make_runner(self) -> Any:
        """A new Beam runner.

        Raises:
            DefinitionError: Jobs run without Beam.
        """
        if self.runner is None:
            raise DefinitionError(
                f"the runner {self.name!r} runs without Beam: there is no pipeline",
                site=CallSite.nearest(),
                hint="name one of Beam's: direct",
            )
        module, _, name = self.runner.rpartition(".")
        return getattr(importlib.import_module(module), name)()


def profiles_folder() -> Path:
    """The folder of profiles: in the wheel, or beside the package in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "_runners"
    return inside if inside.is_dir() else package.parent / "runners"


@lru_cache(maxsize=32)
def load_profile(name: str) -> Profile:
    """The profile of a runner.

    Raises:
        UnknownNameError: There is none of that name.
    """
    folder = profiles_folder()
    file = folder / name / "profile.toml"
    if not file.is_file():
        known = [entry.parent.name for entry in folder.glob("*/profile.toml")]
        raise unknown_name("runner", name, known, of="hyped_beam", site=CallSite.nearest())
    described = tomllib.loads(file.read_text(encoding="utf-8"))
    server = described.get("server")
    return Profile(
        name=described["name"],
        description=described["description"],
        runner=described.get("runner"),
        options=described.get("options", {}),
        limits=tuple(Limit(**limit) for limit in described.get("limits", ())),
        own_processes=described.get("own_processes", False),
        server=server and ServerProgram(**{**server, "arguments": tuple(server["arguments"])}),
    )
