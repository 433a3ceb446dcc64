"""The folder of an output: which names are ours, what it may hold before a job, what we keep in it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hyped_beam.errors import InputError
from hyped_beam.io.filesystem import FileInfo, FileSystem, is_temporary, locate
from hyped_beam.io.records import RangeRecord, as_json
from hyped_beam.io.shard_names import ShardNames

# `datasets`, pyarrow and Spark leave out folders whose names begin so; `datasets` only with two of them.
BOOKKEEPING = "__hyped_beam__"
GENERATIONS, FINGERPRINT, MANIFEST = "generations", "fingerprint.json", "manifest.json"
FILES = "files"
"""What the names of shards are told as, beside the fingerprint."""
PARTITION = re.compile(r"[^/=%]+=[^/]*")
STATES = re.compile(r"\d+-[0-9a-f]+\.arrow")
MARK = "-"
OWNER = re.compile(rf"\d+({MARK}[0-9a-f]+)?")
"""The names of owners: the number of the generation, and a mark where others may write as well."""
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

    @property
    def bookkeeping(self) -> str:
        """The path of the folder of all that is not data."""
        return f"{self.path}/{BOOKKEEPING}"

    @property
    def is_unfinished(self) -> bool:
        """Whether a job has done ranges here that another one may go on from."""
        if self.filesystem.info(self.manifest) is not None:
            return False
        return any(self.record_numbers(owner) for owner in self.recorders())

    @property
    def generations(self) -> str:
        """The path of the folder of the generations that are claimed; see `ownership`."""
        return f"{self.bookkeeping}/{GENERATIONS}"

    def generation(self, number: int) -> str:
        """The path of the file whose owner owns this folder."""
        return f"{self.generations}/{number:06d}.json"

    @property
    def owner_lock(self) -> str:
        """The path of what the process of a job locks as long as it lives."""
        return f"{self.bookkeeping}/owner.lock"

    @property
    def publishing_lock(self) -> str:
        """The path of what is locked by whoever puts something into place."""
        return f"{self.bookkeeping}/publishing.lock"

    def records(self, owner: str) -> str:
        """The path of the folder of the records of an owner, by its name (`Owner.name`)."""
        return f"{self.bookkeeping}/ranges/{owner}"

    def record(self, owner: str, number: int) -> str:
        """The path of the record of a range."""
        return f"{self.records(owner)}/{number:05d}.json"

    def states(self, owner: str, record: RangeRecord) -> str:
        """The path of the states of the aggregates of an attempt at a range."""
        return f"{self.records(owner)}/{record.number:05d}-{record.attempt}.arrow"

    def begun(self, owner: str) -> str:
        """The path of what an owner leaves beside its records before the first one.

        It goes with the records, whoever removes them. So what an owner writes that was overtaken, and whose
        records are removed, is told from the records of one that died.
        """
        return f"{self.records(owner)}/begun"

    def staging(self, owner: str) -> str:
        """The path of the folder of the shards of an owner that are not in their places yet."""
        return f"{self.bookkeeping}/staged/{owner}"

    def staged(self, owner: str, record: RangeRecord, index: int) -> str:
        """The path of a shard of an attempt at a range until it is in its place.

        Args:
            owner: The name of the owner.
            record: The record of the attempt.
            index: Which of the shards it is that the record lists for this output.
        """
        return f"{self.staging(owner)}/{record.number:05d}-{record.attempt}-{index}"

    @property
    def manifest(self) -> str:
        """The path of the manifest."""
        return f"{self.bookkeeping}/{MANIFEST}"

    @property
    def fingerprint(self) -> str:
        """The path of the fingerprint, whose presence says that the folder is ours."""
        return f"{self.bookkeeping}/{FINGERPRINT}"

    def record_numbers(self, owner: str) -> list[int]:
        """The ranges of which an owner has a record."""
        names = (child.name for child in self.filesystem.children(self.records(owner)))
        return [int(name.removesuffix(".json")) for name in names if re.fullmatch(r"\d+\.json", name)]

    def recorders(self) -> list[str]:
        """The names of the owners whose records count, the oldest first."""
        return [
            name
            for name in self._owners("ranges")
            if MARK not in name or self.filesystem.info(self.begun(name)) is not None
        ]

    def _owners(self, kind: str) -> list[str]:
        names = (child.name for child in self.filesystem.children(f"{self.bookkeeping}/{kind}"))
        return sorted((name for name in names if OWNER.fullmatch(name)), key=_generation_of)

    def generation_numbers(self) -> list[int]:
        """The generations that are claimed, and were not released."""
        names = (child.name for child in self.filesystem.children(self.generations))
        return [int(name.removesuffix(".json")) for name in names if re.fullmatch(r"\d+\.json", name)]

    def newest_generation(self) -> int:
        """The largest number of a generation that something here is of; 0 for nothing."""
        owners = (*self._owners("ranges"), *self._owners("staged"))
        return max(*self.generation_numbers(), *map(_generation_of, owners), self._of_manifest(), 0)

    def _of_manifest(self) -> int:
        number = self._read_object(self.manifest).get("generation", 0)
        if not isinstance(number, int) or number < 0:
            raise self.damaged(self.manifest)
        return number

    def _read_object(self, path: str) -> dict[str, Any]:
        """What a file of the bookkeeping says; nothing where the machine stopped before it was on the disk.

        Raises:
            InputError: It is JSON, and not what a job writes.
        """
        try:
            saved = json.loads(self.filesystem.read(path) or b"{}")
        except ValueError:
            return {}
        except RecursionError:
            saved = None
        if not isinstance(saved, dict):
            raise self.damaged(path)
        return saved

    def damaged(self, path: str) -> InputError:
        """What is said of a file of the bookkeeping that is not what a job writes."""
        name = path[len(self.path.rstrip("/")) + 1 :]
        return InputError(
            f"{name} in the output {self.given!r} is not what a job has written",
            hint="bring the file back, or remove the whole folder; nothing was written",
        )

    # ---------------------------------------------------------------------------------------- ownership

    def refuse_links(self) -> None:
        """Refuse a folder that is a link, or that keeps its records behind one.

        Raises:
            InputError: It is.
        """
        if self.filesystem.is_link(self.path):
            real = self.filesystem.real_path(self.path)
            raise InputError(
                f"the output {self.given!r} is a link to {real!r}", hint=f"give the folder itself: {real}"
            )
        inner = [child.path for child in self.filesystem.children(self.bookkeeping) if child.is_link]
        for path in (self.bookkeeping, *inner):
            if self.filesystem.is_link(path):
                name = path[len(self.path.rstrip("/")) + 1 :]
                message = f"{name} in the output {self.given!r} is a link"
                raise InputError(message, hint="no job makes one: give another folder; nothing was written")

    def refuse_within_another(self) -> None:
        """Refuse a folder that lies in the output of a job that is not finished.

        Raises:
            InputError: It does: that job could not be finished then.
        """
        inner = self.filesystem.real_path(self.path).rstrip("/")
        while "/" in inner:
            outer = inner = inner.rpartition("/")[0]
            try:
                names = {child.name for child in self.filesystem.children(f"{outer}/{BOOKKEEPING}")}
            except (InputError, OSError):  # what may not be looked into is none of ours
                continue
            if MANIFEST not in names and not names.isdisjoint({FINGERPRINT, GENERATIONS}):
                raise InputError(
                    f"the output {self.given!r} lies inside an unfinished output: {outer}",
                    hint="give a folder apart from it; nothing was written",
                )

    def holds_output(self, *, is_claimed: bool = False) -> bool:
        """Whether it is the output of a job, finished or not.

        Args:
            is_claimed: Whether the claim that it may hold is that of the job that asks.

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
        if not ours and not is_claimed and not self.filesystem.is_local:
            ours = bool(self.generation_numbers())  # claimed a moment ago, or by a job that died then
        if ours:
            is_ours = self._what_is_ours()
            foreign = [self._inner(file) for file in self._files() if not is_ours(file)]
        else:  # all that a job leaves that died before it could write its fingerprint
            foreign = [child.name for child in children if child.name != BOOKKEEPING or not child.is_folder]
        if foreign:
            shown = ", ".join(foreign[:SHOWN]) + (", ..." if len(foreign) > SHOWN else "")
            message = f"the output folder {self.given!r} holds other files: {shown}"
            raise InputError(message, hint="give a new or empty folder; nothing was written")
        return ours

    def _listed(self) -> set[str] | None:
        """The shards that the manifest lists, beside which a finished output has none; None without one."""
        shards = self._read_object(self.manifest).get("shards")
        if shards is None:
            return None
        try:
            return {shard["file"] for shard in shards}
        except (TypeError, LookupError):
            raise self.damaged(self.manifest) from None

    def _files(self) -> Iterator[FileInfo]:
        """What lies in it and in the folders of partitions; links and other folders are told as they are."""
        waiting = [self.path]
        while waiting:
            for child in self.filesystem.children(waiting.pop(0)):
                if child.is_link or not child.is_folder:
                    yield child
                elif PARTITION.fullmatch(child.name):
                    waiting.append(child.path)
                elif child.path != self.bookkeeping:
                    yield child

    def shard_sizes(self) -> dict[str, int]:
        """The bytes of each file that lies where shards do, by its path in the folder."""
        return {self._inner(file): file.size for file in self._files() if _is_plain(file)}

    def _inner(self, file: FileInfo) -> str:
        """The path of a file in it."""
        return file.path[len(self.path.rstrip("/")) + 1 :]

    def _what_is_ours(self) -> Callable[[FileInfo], bool]:
        """What tells the files that jobs have put into it, beside the bookkeeping.

        They are those that the manifest lists. Without one they are all that the job can have named which the
        folder belongs to, for a machine that stops may lose the record of a shard that is in its place.
        """
        listed, names = self._listed(), self._names()

        def is_ours(file: FileInfo) -> bool:
            path = self._inner(file)
            if not _is_plain(file):
                return False
            return names is not None and names.has(path) if listed is None else path in listed

        return is_ours

    # ----------------------------------------------------------------------------------------- removing

    def clear(self) -> None:
        """Remove what jobs wrote. A record never outlives its shard, nor anything the mark of ownership.

        An output of another job that lies within stays as it is.
        """
        is_ours = self._what_is_ours()
        self.filesystem.delete(self.manifest)
        for name in ("ranges", "staged"):
            self.filesystem.delete(f"{self.bookkeeping}/{name}")
        dict(self._keep_only(self.path, (), is_ours, []))

    def check_removable(self, *, with_shards: bool) -> None:
        """Refuse what `clear` could not remove, before anything of it is.

        Args:
            with_shards: Whether shards go too, and not the bookkeeping alone.

        Raises:
            OSError: Nothing may be removed from a folder of it.
        """
        waiting = [self.bookkeeping, *([self.path] if with_shards else [])]
        while waiting:
            folder = waiting.pop()
            inner = [
                child for child in self.filesystem.children(folder) if child.is_folder and not child.is_link
            ]
            if folder == self.path:
                inner = [child for child in inner if PARTITION.fullmatch(child.name)]
            self.filesystem.check_writable(folder)
            waiting += [child.path for child in inner]

    def remove_temporaries(self, *others: str) -> None:
        """Remove what processes have left of our own files that died while they wrote them.

        Args:
            *others: Folders to look into besides those of ownership.
        """
        for folder in (self.bookkeeping, self.generations, *others):
            for child in self.filesystem.children(folder):
                if is_temporary(child.name):
                    self.filesystem.delete(child.path)

    def remove_older(self, owner: str) -> None:
        """Remove the records, and what was never put into place, of the generations before an owner's.

        What a process has left behind that still writes there is removed by whoever comes next.
        """
        for kind in ("ranges", "staged"):
            self._remove_older(kind, owner)

    def _remove_older(self, kind: str, owner: str) -> None:
        for child in self.filesystem.children(f"{self.bookkeeping}/{kind}"):
            if not OWNER.fullmatch(child.name) or _generation_of(child.name) < _generation_of(owner):
                with contextlib.suppress(OSError):
                    self.filesystem.delete(child.path)

    def remove_staged(self, owner: str) -> None:
        """Remove what an owner and those before it have begun to write, and not put into place."""
        self._remove_older("staged", owner)
        with contextlib.suppress(OSError):
            self.filesystem.delete(self.staging(owner))
        self.filesystem.remove_if_empty(f"{self.bookkeeping}/staged")

    def remove_states(self, owner: str, records: Iterable[RangeRecord]) -> None:
        """Remove the states of attempts that have failed.

        Args:
            owner: Whose they are.
            records: What counts.
        """
        counting = {self.states(owner, record).rpartition("/")[2] for record in records}
        for child in self.filesystem.children(self.records(owner)):
            if STATES.fullmatch(child.name) and child.name not in counting:
                self.filesystem.delete(child.path)

    def remove_bookkeeping(self) -> None:
        """Remove all that is not data, but what says who owns the folder."""
        for child in self.filesystem.children(self.bookkeeping):
            if child.path not in (self.generations, self.owner_lock, self.publishing_lock):
                self.filesystem.delete(child.path)

    def keep_only(self, shards: Collection[str]) -> dict[str, int]:
        """Remove all that jobs have put into it but some shards; nothing behind a link.

        What has a name that no shard of this output has is somebody else's, and stays.

        Args:
            shards: The paths in the folder of those that stay.

        Returns:
            The bytes of each of these that is there, by its path.

        Raises:
            InputError: Within lies an output of another job, of which nothing is removed.
        """
        others: list[str] = []
        sizes = dict(self._keep_only(self.path, shards, self._what_is_ours(), others))
        if others:
            raise InputError(
                f"the output {self.given!r} holds the output of another job: {others[0]}",
                hint='move that one elsewhere, and run this again with overwrite="resume"',
            )
        return sizes

    def _keep_only(
        self, folder: str, shards: Collection[str], is_ours: Callable[[FileInfo], bool], others: list[str]
    ) -> Iterator[tuple[str, int]]:
        """See `keep_only`; the folders of outputs that lie within are gathered in `others`."""
        children = self.filesystem.children(folder)
        if folder != self.path and any(child.name == BOOKKEEPING for child in children):
            others.append(folder[len(self.path.rstrip("/")) + 1 :])
            return
        for child in children:
            if child.is_link:
                continue
            if child.is_folder:
                if PARTITION.fullmatch(child.name):
                    yield from self._keep_only(child.path, shards, is_ours, others)
                    self.filesystem.remove_if_empty(child.path)
            elif self._inner(child) in shards:
                yield self._inner(child), child.size
            elif is_ours(child):
                self.filesystem.delete(child.path)

    def begin(self, owner: str, *, is_synced: bool) -> None:
        """Make the folders of an owner, on a disk of this machine; a store has none.

        Args:
            owner: Its name.
            is_synced: Whether the disk is to keep them also if the machine stops.
        """
        for folder in (self.staging(owner), self.records(owner)):
            self.filesystem.make_folder(folder)
        if MARK in owner:
            self.filesystem.write(self.begun(owner), b"")
        if is_synced and self.filesystem.is_local:
            self.filesystem.sync([self.fingerprint, *([self.begun(owner)] if MARK in owner else [])])
            outer = [f"{self.bookkeeping}/staged", f"{self.bookkeeping}/ranges", self.bookkeeping, self.path]
            self.filesystem.sync(outer)

    # -------------------------------------------------------------------------------------- fingerprint

    def write_fingerprint(self, fingerprint: Mapping[str, str], names: ShardNames) -> None:
        """Say which job the folder belongs to, and what its shards are called, where it does not say so."""
        told = {"version": 1, FILES: str(names), **fingerprint}
        with contextlib.suppress(InputError):  # what is replaced may be anything
            if self._read_object(self.fingerprint) == told:
                return
        self.filesystem.write(self.fingerprint, as_json(told, indent=1).encode())

    def read_fingerprint(self) -> dict[str, str]:
        """The fingerprint of the job whose output it is; nothing where it died before it wrote one.

        Raises:
            InputError: It is not what a job writes.
        """
        saved = self._read_object(self.fingerprint)
        return {name: text for name, text in saved.items() if name not in ("version", FILES)}

    def _names(self) -> ShardNames | None:
        """What the shards of the job are called whose output it is; None where that is not known."""
        with contextlib.suppress(InputError):  # what is replaced may be anything
            names = self._read_object(self.fingerprint).get(FILES)
            return ShardNames.parse(names) if isinstance(names, str) else None
        return None

    def missing_folders(self) -> list[str]:
        """The folders that claiming it would make: itself and those it lies in, from the inside out."""
        missing, path = [], self.path
        while path.strip("/") and self.filesystem.info(path) is None:
            missing.append(path)
            path = path.rpartition("/")[0]
        return missing


def _generation_of(owner: str) -> int:
    return int(owner.partition(MARK)[0])


def _is_plain(file: FileInfo) -> bool:
    return not file.is_folder and not file.is_link
