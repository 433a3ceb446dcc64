"""Files in whatever place fsspec knows: `memory://`, `hf://`, `sftp://`, `abfs://`, `https://`, ..."""

from __future__ import annotations

import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import xxhash

from hyped_beam.errors import DefinitionError
from hyped_beam.io.filesystem import TEMPORARY_SUFFIX, FileInfo, FileSystem
from hyped_beam.io.remote import RemoteFileSystem, explaining

# What says that a file is not the one it was, by its name in fsspec's descriptions; the first that is there.
VERSIONS = ("mtime", "LastModified", "last_modified", "modified", "created", "ETag", "etag", "blob_id", "md5")

# Where a file is created by one of several who try: fsspec's `mode="create"` is one request there.
CREATE_ONCE = ("memory", "s3a", "abfs", "abfss", "az", "adl")
ATTEMPTS_TO_PUT = 10
_ONE_AT_A_TIME = threading.Lock()  # files in memory are created by two steps

# What no other content of the same file has.
CONTENT_TAGS = ("sha256", "blob_id", "md5", "md5Hash", "ETag", "etag", "generation", "version_id")


def locate(uri: str) -> tuple[FileSystem, str]:
    """The file system of a URI, and the path on it.

    Raises:
        DefinitionError: fsspec knows no such scheme, or lacks the package for it.
    """
    import fsspec

    scheme = uri.partition("://")[0]
    try:
        kind = fsspec.get_filesystem_class(scheme)
    except (ValueError, ImportError) as error:
        reason = " ".join(str(error).split())
        message = f"there is no file system for {scheme!r}, in {uri!r}"
        raise DefinitionError(message, hint=f"fsspec says: {reason}") from None
    has_host = "host" in kind._get_kwargs_from_urls(uri)  # noqa: SLF001 - what fsspec asks its own classes
    path = kind._strip_protocol(uri).rstrip("/") or "/"  # noqa: SLF001 - as above
    return FsspecFileSystem(scheme, urlsplit(uri).netloc if has_host else ""), path


@dataclass(frozen=True)
class FsspecFileSystem(RemoteFileSystem):
    """A place that fsspec reaches; credentials come from its configuration and the environment.

    Attributes:
        scheme: Of its URIs.
        host: The host, and the port, where paths do not begin with them.
    """

    scheme: str
    host: str = ""

    @property
    def _client(self) -> Any:
        import fsspec

        return fsspec.core.url_to_fs(f"{self.scheme}://{self.host}/")[0]  # fsspec keeps what it made

    def uri(self, path: str) -> str:
        """The URI of a path."""
        if self.host:
            return f"{self.scheme}://{self.host}{path}"
        return path if "://" in path else f"{self.scheme}://{path.lstrip('/')}"

    def info(self, path: str) -> FileInfo | None:
        """What is there, or None."""
        try:
            with explaining(self.uri(path)):
                client = self._client
                client.invalidate_cache()
                return self._as_info(client.info(path))
        except FileNotFoundError:
            return None

    def children(self, folder: str) -> list[FileInfo]:
        """What a folder holds, sorted by name."""
        try:
            with explaining(self.uri(folder)):
                client = self._client
                client.invalidate_cache()
                found = client.ls(folder, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        infos = [self._as_info(info) for info in found if info["name"].rstrip("/") != folder]
        return sorted(infos, key=lambda info: info.name)

    def _as_info(self, info: dict[str, Any]) -> FileInfo:
        path = info["name"].rstrip("/")
        if info["type"] == "directory":
            return FileInfo(path, is_folder=True, uri=self.uri(path))
        size = info.get("size") or 0
        return FileInfo(path, False, size, _modified(info), self.uri(path), _tags(info))  # noqa: FBT003

    def version(self, path: str) -> str | None:
        """What the place says of this content of the file, if it says something."""
        with explaining(self.uri(path)):
            self._client.invalidate_cache()
            told = self._client.info(path)
        found = [f"{name} {value}" for name, value in _tags(told)]
        return f"{self.uri(path)} {told.get('size')} {' '.join(found)}" if found else None

    def open_input(self, path: str) -> Any:
        """The file as a `pyarrow.NativeFile` with random access."""
        with explaining(self.uri(path)):
            return pa.PythonFile(self._client.open(path, "rb"), mode="r")

    def read(self, path: str) -> bytes | None:
        """The bytes of a small file, or None where there is none."""
        try:
            with explaining(self.uri(path)):
                return bytes(self._client.cat_file(path))
        except FileNotFoundError:
            return None

    def upload(self, local: str, path: str) -> None:
        """Put a local file in place: beside it first, for not every place takes files whole."""
        folder, _, name = path.rpartition("/")
        beside = f"{folder}/.{name}.{uuid.uuid4().hex[:12]}{TEMPORARY_SUFFIX}"
        with explaining(self.uri(path)):
            try:
                self._client.makedirs(folder, exist_ok=True)
                self._client.put_file(local, beside)
                self._move(beside, path)
            except BaseException:
                if self._client.exists(beside):
                    self._client.rm_file(beside)
                raise

    def _move(self, source: str, target: str) -> None:
        from fsspec import AbstractFileSystem

        if type(self._client).mv is not AbstractFileSystem.mv:
            self._client.mv(source, target)
            return
        self._client.cp_file(source, target)  # fsspec's own `mv` and `rm` take paths for patterns
        self._client.rm_file(source)

    def put_once(self, path: str, data: bytes) -> bytes:
        """Create a small file, unless there is one, as fsspec's clients of some stores can."""
        folder = path.rpartition("/")[0]
        for _ in range(ATTEMPTS_TO_PUT):
            with explaining(self.uri(path)), _ONE_AT_A_TIME:
                try:
                    self._client.makedirs(folder, exist_ok=True)
                    self._client.pipe_file(path, data, mode="create")
                except FileExistsError:
                    pass
                else:
                    return data
            found = self.read(path)
            if found is not None:
                return found
        raise OSError(f"{self.uri(path)} is created and removed again and again")

    def why_not_once(self) -> str | None:
        """What is said of schemes whose clients look whether there is a file, and then write it."""
        if self.scheme in CREATE_ONCE:
            return None
        return f"fsspec cannot create a file on {self.scheme}:// only where there is none"

    @property
    def moves_once(self) -> bool:
        """That it may: fsspec copies over what is there, and a store may take its time for it."""
        return False

    def move(self, source: str, target: str, checksum: str = "") -> bool:  # noqa: ARG002 - it cannot be told
        """Rename a file."""
        try:
            with explaining(self.uri(source)):
                self._client.makedirs(target.rpartition("/")[0], exist_ok=True)
                self._move(source, target)
        except FileNotFoundError:
            return False
        return True

    def delete(self, path: str) -> None:
        """Remove a file, or a folder with all that it holds."""
        info = self.info(path)
        if info is None:
            return
        with explaining(self.uri(path)):
            if not info.is_folder:
                self._client.rm_file(path)
                return
            for child in self.children(path):
                self.delete(child.path)
            with suppress(FileNotFoundError):  # a store's folders go with their last file
                self._client.rmdir(path)


def _tags(info: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(info[name])) for name in CONTENT_TAGS if isinstance(info.get(name), (str, int)))


def _modified(info: dict[str, Any]) -> int:
    found = next((info[name] for name in VERSIONS if info.get(name)), None)
    if isinstance(found, datetime):
        found = found.timestamp()
    if isinstance(found, (int, float)):  # some tell one file's time in both forms
        return round(found * 1_000_000) * 1_000
    return 0 if found is None else xxhash.xxh64_intdigest(str(found).encode())
