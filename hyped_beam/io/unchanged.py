"""Whether files are what they were when a source was cut: looked at whenever one is read, and at the end.

That a file is what it was, once it has been read, tells that it was so all the time between: whoever replaces
a file and puts the old one back changes what is known of it as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from hyped_beam.errors import InputError
from hyped_beam.io.filesystem import FileInfo, locate
from hyped_beam.io.versions import Version

REQUESTS_AT_ONCE = 16
"""How many files of a store are asked for at once."""

_HINT = "files must stay as they are while they are read: run it again once nothing writes to this one"

_Found = TypeVar("_Found")


def present(uri: str, version: Version | None = None) -> FileInfo:
    """What is at a path or URI that was there when the source was cut, with all that its place tells of it.

    Args:
        uri: The path or URI.
        version: What was known of the file then; None where nothing was.

    Raises:
        InputError: It is gone, or has changed.
    """
    filesystem, path = locate(uri)
    now = filesystem.now(path)
    if now is None or now.is_folder:
        raise InputError(f"{uri} is gone", hint="files must stay while a job reads them")
    difference = None if version is None else version.difference(now.version)
    if difference is not None:
        raise InputError(f"{uri} has changed while it was read: {difference}", hint=_HINT)
    return now


def described(files: Sequence[FileInfo]) -> list[FileInfo]:
    """Files with all that their places tell of them; a list of files may tell less.

    Raises:
        InputError: One is gone, or has changed since it was listed.
    """
    return list(_each(_described, files))


def _described(file: FileInfo) -> FileInfo:
    if not locate(file.uri)[0].lists_less:
        return file
    return replace(file, tags=present(file.uri, file.version).tags)


def check_files(files: Sequence[FileInfo]) -> None:
    """Refuse files that are no longer what they were.

    Raises:
        InputError: One is gone, or has changed.
    """
    for _ in _each(lambda file: present(file.uri, file.version), files):
        pass


def _each(do: Callable[[FileInfo], _Found], files: Sequence[FileInfo]) -> Iterable[_Found]:
    """Do something with each file; several at once where every request takes its time."""
    if len(files) == 1 or all(locate(file.uri)[0].is_local for file in files):
        return map(do, files)
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as threads:
        return list(threads.map(do, files))
