"""The folder of an output: which names are ours, what it may hold before a job, what we keep in it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hyped_beam.errors import InputError
from hyped_beam.io.filesystem import FileInfo, FileSystem, is_temporary, locate
from hyped_beam.io.records import as_json

# `datasets`, pyarrow and Spark leave out folders whose names begin so; `datasets` only with two of them.
BOOKKEEPING = "__hyped_beam__"
SHARD = re.compile(r"part-\d{5,}(-\d{5,})?\.\w+(\.\w+)*")
PARTITION = re.compile(r"[^/=%]+=[^/]*")
SHOWN = 3


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
        if ours:
            start = len(self.path.rstrip("/")) + 1
            foreign = [file.path[start:] for file in self._files() if not _is_ours(file)]
        else:  # all that a job leaves that died before it could write its fingerprint
            foreign = [child.name for child in children if child.name != BOOKKEEPING or not child.is_folder]
        if foreign:
            shown = ", ".join(foreign[:SHOWN]) + (", ..." if len(foreign) > SHOWN else "")
            message = f"the output folder {self.given!r} holds other files: {shown}"
            raise InputError(message, hint="give a new or empty folder; nothing was written")
        return ours

    def _files(self) -> Iterator[FileInfo]:
        """What lies in it and in the folders of its partitions; other folders are told as they are."""
        waiting = [self.path]
        while waiting:
            for child in self.filesystem.children(waiting.pop(0)):
                if not child.is_folder:
                    yield child
                elif PARTITION.fullmatch(child.name):
                    waiting.append(child.path)
                elif child.path != f"{self.path}/{BOOKKEEPING}":
                    yield child

    def shard_sizes(self) -> dict[str, int]:
        """The bytes of each shard that lies in it, by its path in the folder."""
        start = len(self.path.rstrip("/")) + 1
        return {file.path[start:]: file.size for file in self._files() if SHARD.fullmatch(file.name)}

    # ----------------------------------------------------------------------------------------- removing

    def clear(self) -> None:
        """Remove what jobs wrote. A record never outlives its shard, nor anything the mark of ownership."""
        self.filesystem.delete(self.manifest)
        self.filesystem.delete(f"{self.path}/{BOOKKEEPING}/ranges")
        self.keep_only(())

    def keep_only(self, shards: Collection[str]) -> None:
        """Remove what was begun and never committed, and all shards but some.

        Args:
            shards: The paths in the folder of those that stay.
        """
        for folder in (f"{self.path}/{BOOKKEEPING}", f"{self.path}/{BOOKKEEPING}/ranges"):
            for child in self.filesystem.children(folder):
                if is_temporary(child.name):
                    self.filesystem.delete(child.path)
        self._keep_only(self.path, shards)

    def _keep_only(self, folder: str, shards: Collection[str]) -> None:
        start = len(self.path.rstrip("/")) + 1
        for child in self.filesystem.children(folder):
            if child.is_folder:
                if PARTITION.fullmatch(child.name):
                    self._keep_only(child.path, shards)
                    if not self.filesystem.children(child.path):
                        self.filesystem.delete(child.path)
            elif is_temporary(child.name) or (
                SHARD.fullmatch(child.name) and child.path[start:] not in shards
            ):
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

    def missing_folders(self) -> list[str]:
        """The folders that claiming it would make: itself and those it lies in, from the inside out."""
        missing, path = [], self.path
        while path.strip("/") and self.filesystem.info(path) is None:
            missing.append(path)
            path = path.rpartition("/")[0]
        return missing

    def disclaim(self, made: Sequence[str]) -> None:
        """Take back a claim.

        Args:
            made: The folders that it made: what `missing_folders` said before.
        """
        with contextlib.suppress(OSError):  # what failed before may fail again
            self.filesystem.delete(f"{self.path}/{BOOKKEEPING}")
            for folder in made:
                if not self.filesystem.children(folder):
                    self.filesystem.delete(folder)


def _is_ours(file: FileInfo) -> bool:
    return not file.is_folder and (SHARD.fullmatch(file.name) is not None or is_temporary(file.name))
