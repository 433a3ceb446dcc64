"""From the paths, globs and folders that a user gave to files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from hyped_beam.errors import InputError, nearest_name, some_of
from hyped_beam.io.filesystem import FileInfo, FileSystem, check_regular, locate
from hyped_beam.io.globs import GLOB, as_regex, escaped_glob, may_share

Path: TypeAlias = str | os.PathLike[str]
"""A path or URI."""

Paths: TypeAlias = Path | Sequence[Path]
"""One path or several."""

CACHED = re.compile(r"cache-.*\.arrow")
"""Names of files in which `datasets`, and our `apply`, keep results next to the files of a dataset."""

CACHE = "cache-"
"""How a pattern begins that means such files."""

SAVED, SAVED_SUFFIX = "state.json", ".arrow"
"""What `save_to_disk` lists its files in, and how their names end."""

# What is looked for with more suffixes than this is any format.
SUFFIXES_OF_A_FORMAT = 5


def as_path(given: Any) -> str:
    """A path or URI as a string.

    Raises:
        ValueError: It is none.
        DefinitionError: There is no file system for its scheme.
    """
    if not isinstance(given, str | os.PathLike) or not os.fspath(given):
        raise ValueError("not a path")
    path = os.fspath(given)
    if not isinstance(path, str):
        raise ValueError("not a path of text")  # noqa: TRY004 - pydantic takes ValueErrors
    locate(path)
    return path


def as_paths(given: Any) -> tuple[str, ...]:
    """One path or several as a tuple of strings; see `as_path`."""
    if isinstance(given, Iterable) and not isinstance(given, str | bytes):
        return tuple(as_path(path) for path in given)
    return (as_path(given),)


def find_files(paths: Sequence[str], suffixes: tuple[str, ...]) -> list[FileInfo]:
    """The files that paths mean, each once; those of one glob or folder are sorted.

    Of a folder or glob, files of the cache of `datasets` are left out, and Arrow files in the folder of a
    saved dataset that it does not list, as `load_from_disk` leaves them out. A path, or a glob of
    `cache-...`, reads them.

    Args:
        paths: Files, globs (`*`, `?`, `[...]`, and `**` for any folders) and folders.
        suffixes: What the files of a folder are told by.

    Raises:
        InputError: A path, glob or folder matches nothing, or may not be looked at.
    """
    found: dict[str, FileInfo] = {}
    for given in paths:
        try:
            matched = _match(given, suffixes)
        except OSError as error:
            reason = error.strerror or str(error).splitlines()[0]
            raise InputError(f"{given!r} cannot be read: {reason}") from error
        for file in matched:
            check_regular(file)
            found.setdefault(file.uri, file)
    return list(found.values())


def lies_in(path: str, folders: Sequence[str]) -> str | None:
    """Which of some files and folders a path is, or lies in; None for none.

    Args:
        path: A path or URI.
        folders: Paths or URIs, without globs.
    """
    filesystem, place = locate(path)
    real = filesystem.real_path(place)
    for folder in folders:
        there, outer = locate(folder)
        outer = there.real_path(outer)
        if type(there) is type(filesystem) and (real == outer or real.startswith(outer.rstrip("/") + "/")):
            return folder
    return None


def matched_by(path: str, inputs: Sequence[str], inner: Sequence[str] = ()) -> str | None:
    """Which of some globs would match a path, or a file that is to be written below it; None for none.

    Args:
        path: A path or URI.
        inputs: Paths, URIs and globs; those that are no glob are left out.
        inner: What is to be written below the path, as globs relative to it.
    """
    filesystem, place = locate(path)
    real = filesystem.real_path(place).rstrip("/")
    for given in inputs:
        there, whole = locate(given)
        if type(there) is not type(filesystem) or not GLOB.search(whole):
            continue
        root, pattern = _split_glob(whole)
        root = there.real_path(root).rstrip("/") + "/"
        if not f"{real}/".startswith(root):
            continue
        below = escaped_glob(f"{real}/"[len(root) :])
        candidates = [below.rstrip("/"), *(below + file for file in inner)]
        if any(_is_visible(file) and may_share(pattern, file) for file in candidates if file):
            return given
    return None


def _is_visible(path: str) -> bool:
    """Whether a search of folders gets to a file; it leaves out what is hidden by a leading `.` or `_`."""
    return not any(part.startswith((".", "_")) for part in path.split("/")[:-1])


def _match(given: str, suffixes: tuple[str, ...]) -> list[FileInfo]:
    filesystem, path = locate(given)
    info = filesystem.info(path)
    if info is not None and not info.is_folder:
        return [info]
    if info is not None:
        inside = list(filesystem.walk(path))
        found = [file for file in inside if file.name.lower().endswith(suffixes)]
        if not found:
            bare = [
                suffix for suffix in suffixes if suffix.count(".") == 1
            ]  # that of a compression may follow
            kind = f"{bare[0]} files" if len(bare) <= SUFFIXES_OF_A_FORMAT else "files of a known format"
            hint = f"files of a folder are told by their names: {', '.join(bare)}"
            raise InputError(f"there are no {kind} in the folder {given!r}", hint=hint)
        return _without_leftovers(filesystem, f"the folder {given!r} holds", found, inside)
    beside, files = _glob(filesystem, path) if GLOB.search(path) else ([], [])
    if not files:
        kind = "no file matches" if GLOB.search(path) else "there is no file or folder"
        reason = filesystem.missing(path)
        if reason is not None:
            raise InputError(f"{kind} {given!r}: {reason}", hint="look at its name and at the endpoint")
        raise InputError(f"{kind} {given!r}", hint=_nearest(filesystem, path))
    if path.rpartition("/")[2].startswith(CACHE):
        return files
    return _without_leftovers(filesystem, f"{given!r} matches", files, beside)


def _without_leftovers(
    filesystem: FileSystem, shown: str, files: list[FileInfo], beside: list[FileInfo]
) -> list[FileInfo]:
    """Files without those of the cache of `datasets`, and without what a saved dataset does not list.

    Args:
        filesystem: Where they are.
        shown: How they were found, for a message.
        files: The files.
        beside: Whatever was looked at to find them, files that list those of saved datasets among it.

    Raises:
        InputError: Nothing is left.
    """
    listed = {
        file.path.rpartition("/")[0]: names
        for file in beside
        if file.name == SAVED and (names := _names_in(filesystem.read(file.path))) is not None
    }
    kept = [file for file in files if not CACHED.fullmatch(file.name) and _is_listed(file, listed)]
    if not kept:
        raise InputError(
            f"{shown} only files of the cache of datasets, or such as the dataset saved there does not list, "
            f"which are left out: {files[0].name}",
            hint="name the files to read them",
        )
    return kept


def _is_listed(file: FileInfo, listed: Mapping[str, Collection[str]]) -> bool:
    folder, _, name = file.path.rpartition("/")
    return not name.lower().endswith(SAVED_SUFFIX) or folder not in listed or name in listed[folder]


def _names_in(state: bytes | None) -> set[str] | None:
    """The files that a saved dataset lists; None where it is something else that has the same name."""
    try:
        return {str(file["filename"]) for file in json.loads(state or b"")["_data_files"]}
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _glob(filesystem: FileSystem, path: str) -> tuple[list[FileInfo], list[FileInfo]]:
    """The files that were looked at, and those of them that match."""
    root, rest = _split_glob(path)
    pattern = re.compile(as_regex(rest))
    start = len(root.rstrip("/")) + 1
    deep = "/" in rest or "**" in rest
    candidates = filesystem.walk(root) if deep else iter(filesystem.children(root))
    files = [file for file in candidates if not file.is_folder]
    return files, [file for file in files if pattern.fullmatch(file.path[start:])]


def _split_glob(path: str) -> tuple[str, str]:
    """The folder that a glob looks in, and what it looks for there."""
    parts = path.split("/")
    fixed = next(index for index, part in enumerate(parts) if GLOB.search(part))
    return "/".join(parts[:fixed]) or "/", "/".join(parts[fixed:])


def _nearest(filesystem: FileSystem, path: str) -> str:
    """What to look at instead: the nearest name in the first folder of the path that exists."""
    missing, folder = path, path
    while "/" in folder and (GLOB.search(folder) or not filesystem.children(folder)):
        missing, folder = folder, folder.rpartition("/")[0]
    folder = folder or "/"
    names = [child.name for child in filesystem.children(folder) if not child.name.startswith(".")]
    wanted = missing.rpartition("/")[2]
    close = nearest_name(wanted, names)
    if close is not None:
        return f"did you mean {folder.rstrip('/')}/{close}?"
    if not names:
        return f"{folder} is empty"
    return f"{folder} holds {some_of(names)}"
