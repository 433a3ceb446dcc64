"""Where files are: the few operations that readers, writers and the commit need of a file system.

A file system may be local or remote; all that is asked of it is that a file can appear whole at once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, ClassVar
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import xxhash

from hyped_beam.errors import InputError
from hyped_beam.io.versions import CHANGED, INODE, Version
from hyped_beam.types.mapped import open_regular

TEMPORARY_SUFFIX = ".tmp"
TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp", re.DOTALL)
# What a disk says that has no hard links, such as FAT.
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
# Small writes are gathered; larger ones go to the system as they come.
BUFFER_BYTES = 1 << 18


def checksum_of(data: bytes) -> str:
    """The checksum of bytes, in the form in which all are written down."""
    return "xxh128:" + xxhash.xxh3_128(data).hexdigest()


@dataclass(frozen=True)
class FileInfo:
    """What a file system says about a file or folder.

    Attributes:
        path: Where it is on its file system.
        is_folder: Whether it is a folder.
        size: Bytes; 0 for a folder.
        modified: Nanoseconds since 1970, or where a store knows no times another number of this content.
        uri: What `locate` finds it by, in any process; for a local file its path.
        tags: What else tells this content of a file from another one; see `Version`.
        is_link: Whether it is a symbolic link, to what the rest tells of; known of what a folder holds.
        is_special: Whether it is a pipe, a socket or a device, which reading would wait for.
    """

    path: str
    is_folder: bool
    size: int = 0
    modified: int = 0
    uri: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    is_link: bool = False
    is_special: bool = False

    def __post_init__(self) -> None:
        if not self.uri:
            object.__setattr__(self, "uri", self.path)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rstrip("/").rsplit("/", 1)[-1]

    @property
    def version(self) -> Version:
        """What is known of the file's content."""
        return Version(self.size, self.modified, self.tags)


class PendingFile(ABC):
    """A file that is being written: `publish` makes it appear whole, `discard` leaves nothing.

    It is what pyarrow takes as a Python file. Bytes are counted and checksummed on their way; XXH3 costs
    a fiftieth of SHA-256 and is lost in the noise of writing.
    """

    def __init__(self) -> None:
        self.size = 0
        self.closed = False
        self._hash = xxhash.xxh3_128()

    def write(self, data: Any) -> int:
        """Append bytes, a buffer or a memory view."""
        view = memoryview(data)
        self._hash.update(view)
        self._append(view)
        self.size += view.nbytes
        return view.nbytes

    @property
    def checksum(self) -> str:
        """Of the bytes written so far, as the command `xxh128sum` prints it."""
        return "xxh128:" + self._hash.hexdigest()

    def flush(self) -> None:  # noqa: B027 - part of what pyarrow calls
        """Nothing: only `publish` makes a file visible."""

    def close(self) -> None:  # noqa: B027 - part of what pyarrow calls
        """Nothing: pyarrow closes what it wraps before the file is known to be complete."""

    def writable(self) -> bool:
        """That it is."""
        return True

    def readable(self) -> bool:
        """That it is not."""
        return False

    def seekable(self) -> bool:
        """That it is not."""
        return False

    def tell(self) -> int:
        """The number of bytes written."""
        return self.size

    @abstractmethod
    def _append(self, view: memoryview) -> None: ...

    def complete(self) -> None:  # noqa: B027 - a place may have nothing to do
        """Let go of what only writing needs: no bytes follow, and `publish` may come much later."""

    def sync(self) -> None:  # noqa: B027 - a store keeps what it has taken
        """Have the disk keep what was written, which is complete, also if the machine stops."""

    @abstractmethod
    def publish(self, path: str | None = None) -> None:
        """Make the file appear, whole, in place of one that is there.

        Args:
            path: Another path than it was begun for, in the same folder.
        """

    @abstractmethod
    def discard(self) -> None:
        """Leave nothing behind; after `publish` nothing happens."""


class FileSystem(ABC):
    """What is asked of a place that holds files. Paths are absolute, their parts separated by `/`.

    All that a remote one does raises an `InputError` where the store cannot be reached, refuses the
    credentials, or lacks the bucket.
    """

    is_local: ClassVar[bool] = False
    lists_less: ClassVar[bool] = False
    """Whether `now` tells more of a file than `info` and lists of folders do."""

    @property
    def moves_once(self) -> bool:
        """Whether a `move` that somebody began long ago cannot replace what was put into that place since."""
        return True

    @abstractmethod
    def uri(self, path: str) -> str:
        """What `locate` finds the path by, in any process."""

    @abstractmethod
    def info(self, path: str) -> FileInfo | None:
        """What is there, or None."""

    @abstractmethod
    def children(self, folder: str) -> list[FileInfo]:
        """What a folder holds, sorted by name; nothing where there is no folder."""

    @abstractmethod
    def open_input(self, path: str) -> Any:
        """The file as a `pyarrow.NativeFile` with random access."""

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """The bytes of a small file, or None where there is none."""

    @abstractmethod
    def create(self, path: str, *, makes_folder: bool = True) -> PendingFile:
        """Begin a file.

        Args:
            path: Where it is to appear.
            makes_folder: Whether its folder is made where it is missing.
        """

    @abstractmethod
    def delete(self, path: str) -> None:
        """Remove a file, or a folder with all that it holds; nothing where there is none.

        Links are removed, and never followed.
        """

    @abstractmethod
    def put_once(self, path: str, data: bytes) -> bytes:
        """Create a small file, unless there is one: of several who try, in any process, one succeeds.

        Args:
            path: Where it appears, whole.
            data: Its bytes.

        Returns:
            The bytes that are there: `data` for the one who succeeds, and for the others the winner's.
        """

    @abstractmethod
    def move(self, source: str, target: str, checksum: str = "") -> bool:
        """Put a file in another place; one that is there is replaced.

        Args:
            source: Where it is.
            target: Where it appears, whole; the folder is made where it is missing.
            checksum: Of its bytes. Where the store can tell, what somebody else puts there later does not
                replace it.

        Returns:
            Whether it was there to be moved; a store may say so, too, where it is in its new place already.
        """

    def why_not_once(self) -> str | None:
        """Why `put_once` cannot keep its promise here, in words for a user; None where it can."""
        return None

    def sync(self, paths: Sequence[str]) -> None:  # noqa: B027 - a store keeps what it has taken
        """Have the disk keep files, and what folders hold, also if the machine stops.

        Args:
            paths: Files and folders; folders last.
        """

    def make_folder(self, path: str) -> None:  # noqa: B027 - a store has none
        """Make a folder, with those it lies in; one that is there stays.

        Raises:
            OSError: The name is too long, the disk is full, ...
        """

    def remove_if_empty(self, folder: str) -> None:
        """Remove a folder that holds nothing; any other stays."""
        if not self.children(folder):
            self.delete(folder)

    def is_link(self, path: str) -> bool:  # noqa: ARG002 - for those that have links
        """Whether a path is a symbolic link, to anything or nothing."""
        return False

    def missing(self, path: str) -> str | None:  # noqa: ARG002 - for those that have buckets
        """Why there can be nothing at a path, where the file system knows: the bucket is not there."""
        return None

    def version(self, path: str) -> str | None:  # noqa: ARG002 - for those that tell one
        """What the store calls this content of a file, and no other; None where it tells nothing."""
        return None

    def now(self, path: str) -> FileInfo | None:
        """What is there, with all that tells this content of a file from another one; or None."""
        return self.info(path)

    def check_writable(self, path: str) -> None:  # noqa: B027 - a store tells when something is written
        """Refuse a folder, which need not be there yet, that the system says nothing can be written to.

        Raises:
            OSError: It may not be written to.
        """

    def real_path(self, path: str) -> str:
        """The path of what is meant, where several paths may mean one thing."""
        return path

    def write(self, path: str, data: bytes) -> None:
        """Make a small file appear whole."""
        pending = self.create(path)
        try:
            pending.write(data)
            pending.publish()
        finally:
            pending.discard()

    def walk(self, folder: str) -> Iterator[FileInfo]:
        """The files under a folder, sorted by path, without those hidden by a leading `.` or `_`."""
        for child in self.children(folder):
            if child.name.startswith((".", "_")):
                continue
            if child.is_folder:
                yield from self.walk(child.path)
            else:
                yield child


class LocalFileSystem(FileSystem):
    """Files of this machine, or of one that is mounted."""

    is_local: ClassVar[bool] = True

    def uri(self, path: str) -> str:
        """The path itself."""
        return path

    def info(self, path: str) -> FileInfo | None:
        """What is there, or None.

        Raises:
            InputError: It is a pipe, a socket or a device.
        """
        found = self._look_at(path)
        if found is not None:
            check_regular(found)
        return found

    def _look_at(self, path: str) -> FileInfo | None:
        try:
            status = Path(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISDIR(status.st_mode):
            return FileInfo(path, is_folder=True)
        if not stat.S_ISREG(status.st_mode):
            return FileInfo(path, is_folder=False, is_special=True)
        # no number of the device: other machines that see the file have another one
        tags = ((CHANGED, str(status.st_ctime_ns)), (INODE, str(status.st_ino)))
        return FileInfo(path, is_folder=False, size=status.st_size, modified=status.st_mtime_ns, tags=tags)

    def children(self, folder: str) -> list[FileInfo]:
        """What a folder holds, sorted by name."""
        try:
            with os.scandir(folder) as entries:
                names = sorted((entry.name, entry.is_symlink()) for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except PermissionError:
            raise InputError(f"{folder} may not be looked into", hint="look at its permissions") from None
        found = [(self._look_at(f"{folder.rstrip('/')}/{name}"), is_link) for name, is_link in names]
        return [replace(child, is_link=is_link) if is_link else child for child, is_link in found if child]

    def is_link(self, path: str) -> bool:
        """Whether it is a symbolic link, to anything or nothing."""
        return Path(path).is_symlink()

    def open_input(self, path: str) -> Any:
        """The file as a `pyarrow.NativeFile`."""
        return pa.OSFile(path)

    def read(self, path: str) -> bytes | None:
        """The bytes of a small file, or None where there is none."""
        try:
            with open_regular(path) as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def create(self, path: str, *, makes_folder: bool = True) -> PendingFile:
        """Begin a file beside its place."""
        return LocalPendingFile(path, makes_folder=makes_folder)

    def delete(self, path: str) -> None:
        """Remove a file, or a folder with all that it holds; of a link just the link."""
        try:
            if Path(path).is_dir() and not Path(path).is_symlink():
                shutil.rmtree(path)
            else:
                Path(path).unlink(missing_ok=True)
        except (FileNotFoundError, NotADirectoryError):  # somebody else removes it as well
            return

    def make_folder(self, path: str) -> None:
        """Make a folder."""
        Path(path).mkdir(parents=True, exist_ok=True)

    def remove_if_empty(self, folder: str) -> None:
        """Remove a folder that holds nothing."""
        with contextlib.suppress(OSError):
            Path(folder).rmdir()

    def put_once(self, path: str, data: bytes) -> bytes:
        """Create a small file, unless there is one, by a link to one that is complete."""
        pending = LocalPendingFile(path)
        try:
            pending.write(data)
            return data if pending.publish_once() else Path(path).read_bytes()
        finally:
            pending.discard()

    def move(self, source: str, target: str, checksum: str = "") -> bool:  # noqa: ARG002 - a lock holds others off
        """Rename a file."""
        try:
            Path(source).replace(target)
        except FileNotFoundError:
            if not Path(source).exists():
                return False
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            Path(source).replace(target)
        return True

    def sync(self, paths: Sequence[str]) -> None:
        """Have the disk keep files and folders."""
        for path in paths:
            sync_file(path)

    def check_writable(self, path: str) -> None:
        """Look at the rights to the nearest folder that is there."""
        nearest = Path(path)
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        if not nearest.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(nearest))
        effective = os.access in os.supports_effective_ids
        if not os.access(nearest, os.W_OK | os.X_OK, effective_ids=effective):
            is_read_only = os.statvfs(nearest).f_flag & os.ST_RDONLY
            reason = errno.EROFS if is_read_only else errno.EACCES
            raise OSError(reason, os.strerror(reason), str(nearest))

    def real_path(self, path: str) -> str:
        """The path without symbolic links."""
        return os.path.realpath(path)


class LocalPendingFile(PendingFile):
    """A local file, written beside its place under a name of its own and renamed.

    A process may die at any moment and leaves no torn file; for a machine that stops there is `sync`.
    """

    def __init__(self, path: str, *, makes_folder: bool = True) -> None:
        super().__init__()
        self._path = Path(path)
        self._makes_folder = makes_folder
        name = f".{self._path.name}.{uuid.uuid4().hex[:12]}{TEMPORARY_SUFFIX}"
        self._temporary: Path | None = self._path.with_name(name)
        self._file = self._open(self._temporary)

    def _open(self, temporary: Path) -> BinaryIO:
        try:
            return temporary.open("xb", buffering=BUFFER_BYTES)
        except FileNotFoundError:
            if not self._makes_folder:
                raise
            temporary.parent.mkdir(parents=True, exist_ok=True)
            return temporary.open("xb", buffering=BUFFER_BYTES)

    def _append(self, view: memoryview) -> None:
        if self._temporary is not None:  # pyarrow ends what it has begun also after a `discard`
            self._file.write(view)

    def complete(self) -> None:
        """Close it, so that any number of files can wait to be published."""
        self._file.close()

    def sync(self) -> None:
        """Force it to the disk."""
        if self._temporary is not None:
            self._file.close()
            sync_file(str(self._temporary))

    def publish(self, path: str | None = None) -> None:
        """Rename it into its place."""
        if self._temporary is not None:
            self._file.close()
            self._temporary.replace(self._path if path is None else path)
            self._temporary = None

    def publish_once(self) -> bool:
        """Put it into its place unless something is there; whether that was so."""
        if self._temporary is None:
            return False
        self._file.close()
        try:
            os.link(self._temporary, self._path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return self._copy_once(self._temporary)
        return True

    def _copy_once(self, temporary: Path) -> bool:
        """As `publish_once`, on a disk that has no hard links: whoever creates the file fills it at once."""
        data = temporary.read_bytes()
        try:
            with self._path.open("xb", buffering=len(data) + 1) as file:
                file.write(data)
        except FileExistsError:
            return False
        return True

    def discard(self) -> None:
        """Remove the temporary file."""
        if self._temporary is not None:
            with contextlib.suppress(OSError):  # a full disk fails again where the last bytes are flushed
                self._file.close()
            self._temporary.unlink(missing_ok=True)
            self._temporary = None


def sync_file(path: str) -> None:
    """Force a file, or what a folder holds, to the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # a folder that may be written to, and not looked into
        if Path(path).is_dir():
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # of folders, on some disks
            raise
    finally:
        os.close(descriptor)


LOCAL = LocalFileSystem()


def locate(uri: str) -> tuple[FileSystem, str]:
    """The file system of a path or URI, and the path on it. Nothing is looked at there.

    Args:
        uri: A path, relative to the working directory or absolute, a `file://` URI, `s3://bucket/key`,
            `gs://bucket/key`, or any URI whose scheme fsspec knows. Options of S3 and GCS may follow as a
            query: `?endpoint_override=localhost:9000&scheme=http&region=eu-west-1`.

    Raises:
        DefinitionError: There is no file system for the scheme, an option is unknown, or the URI holds
            credentials.
    """
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return LOCAL, os.path.abspath(os.path.expanduser(uri))  # noqa: PTH100, PTH111 - Path would keep `..`
    if scheme in ("file", "local"):
        return LOCAL, unquote(urlsplit(uri).path)
    from hyped_beam.io import filesystem_arrow, filesystem_fsspec, remote

    remote.check_uri(uri)
    if scheme in filesystem_arrow.SCHEMES:
        return filesystem_arrow.locate(uri)
    return filesystem_fsspec.locate(uri)


def check_regular(file: FileInfo) -> None:
    """Refuse what is no file: a pipe would be waited for, and a device may have no end.

    Raises:
        InputError: It is a pipe, a socket or a device.
    """
    if file.is_special:
        message = f"{file.uri} is a pipe, a socket or a device, and no file"
        raise InputError(message, hint="write what it gives to a file first")


def is_temporary(name: str) -> bool:
    """Whether a file's name is one of a `PendingFile` that was left behind."""
    return TEMPORARY.fullmatch(name) is not None
