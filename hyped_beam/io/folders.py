"""The folder of an output: which names are ours, what it may hold before a job, what we keep in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hyped_beam.errors import InputError
from hyped_beam.io.filesystem import FileInfo, FileSystem, is_temporary, locate
from hyped_beam.io.records import as_json

# `datasets`, pyarrow and Spark leave out folders whose names begin so; `datasets` only with two of them.
BOOKKEEPING = "__hyped_beam__"
SHARD = re.compile(r"part-\d{5,}\.\w+(\.\w+)*")


@dataclass(frozen=True)
class OutputFolder:
    """A folder that shards are committed to.

    Attributes:
        filesystem: Where it is.
        path: Its path there, absolute.
        given: Its path as the user wrote it.
    """

    filesystem: FileSystem
    path: str
    given: str

    @classmethod
    def at(cls, given: str) -> OutputFolder:
        """The folder of a path or URI."""
        filesystem, path = locate(given)
        return cls(filesystem, path.rstrip("/") or "/", given)

    def shard(self, number: int, suffix: str) -> str:
        """The path of the shard of a range; its name says which."""
        return f"{self.path}/part-{number:05d}{suffix}"

    def record(self, number: int) -> str:
        """The path of the record of a range."""
        return f"{self.path}/{BOOKKEEPING}/ranges/{number:05d}.json"

    def states(self, number: int) -> str:
        """The path of the states of a range's aggregates."""
        return f"{self.path}/{BOOKKEEPING}/ranges/{number:05d}.arrow"

    @property
    def manifest(self) -> str:
        """The path of the manifest."""
        return f"{self.path}/{BOOKKEEPING}/manifest.json"

    @property
    def fingerprint(self) -> str:
        """The path of the fingerprint, whose presence says that the folder is ours."""
        return f"{self.path}/{BOOKKEEPING}/fingerprint.json"

    def record_numbers(self) -> list[int]:
        """The ranges of which there is a record."""
        names = (child.name for child in self.filesystem.children(f"{self.path}/{BOOKKEEPING}/ranges"))
        return [int(name.removesuffix(".json")) for name in names if re.fullmatch(r"\d+\.json", name)]

    # ---------------------------------------------------------------------------------------- ownership

    def holds_output(self) -> bool:
        """Whether it is the output of a job, finished or not.

        Raises:
            InputError: It is a file, or holds what no job of ours wrote.
        """
        info = self.filesystem.info(self.path)
        if info is not None and not info.is_folder:
            raise InputError(f"the output {self.given!r} is a file", hint="give a folder")
        children = self.filesystem.children(self.path)
        if not children:
            return False
        ours = self.filesystem.info(self.fingerprint) is not None
        known = _is_ours if ours else _is_empty_start
        foreign = [child.name for child in children if not known(child)]
        if foreign:
            shown = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")  # noqa: PLR2004
            message = f"the output folder {self.given!r} holds other files: {shown}"
            raise InputError(message, hint="give a new or empty folder; nothing was written")
        return ours

    def clear(self) -> None:
        """Remove what jobs wrote. A record never outlives its shard, nor anything the mark of ownership."""
        self.filesystem.delete(self.manifest)
        self.filesystem.delete(f"{self.path}/{BOOKKEEPING}/ranges")
        for child in self.filesystem.children(self.path):
            if SHARD.fullmatch(child.name) or is_temporary(child.name):
                self.filesystem.delete(child.path)

    def remove_temporaries(self) -> None:
        """Remove what was being written when a process died."""
        for folder in (self.path, f"{self.path}/{BOOKKEEPING}", f"{self.path}/{BOOKKEEPING}/ranges"):
            for child in self.filesystem.children(folder):
                if is_temporary(child.name):
                    self.filesystem.delete(child.path)

    # -------------------------------------------------------------------------------------- fingerprint

    def write_fingerprint(self, fingerprint: Mapping[str, str]) -> None:
        """Claim the folder for a job."""
        self.filesystem.write(self.fingerprint, as_json({"version": 1, **fingerprint}, indent=1).encode())

    def read_fingerprint(self) -> dict[str, str]:
        """The fingerprint of the job whose output it is."""
        saved: dict[str, Any] = json.loads(self.filesystem.read(self.fingerprint) or b"{}")
        saved.pop("version", None)
        return saved


def _is_ours(child: FileInfo) -> bool:
    if child.is_folder:
        return child.name == BOOKKEEPING
    return SHARD.fullmatch(child.name) is not None or is_temporary(child.name)


def _is_empty_start(child: FileInfo) -> bool:
    """Whether it is all that a job leaves that died before it could write its fingerprint."""
    return child.is_folder and child.name == BOOKKEEPING
