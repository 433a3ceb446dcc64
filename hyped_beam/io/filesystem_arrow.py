"""Files on S3 and Google Cloud Storage, by Arrow's own clients."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import unquote

from hyped_beam.errors import DefinitionError, unknown_name
from hyped_beam.io.filesystem import FileInfo, checksum_of
from hyped_beam.io.remote import RemoteFileSystem, explaining

SCHEMES: Mapping[str, tuple[str, ...]] = {
    "s3": ("region", "scheme", "endpoint_override", "anonymous", "force_virtual_addressing", "role_arn"),
    "gs": ("scheme", "endpoint_override", "anonymous", "project_id"),
    "gcs": ("scheme", "endpoint_override", "anonymous", "project_id"),
}
"""The options that may stand in the query of a URI, by its scheme."""

QUERY = re.compile(r"\?((?:[A-Za-z_]+=[^&?]*)(?:&[A-Za-z_]+=[^&?]*)*)$")
REGION = re.compile(r"[A-Za-z0-9-]*")
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
# What Arrow's clients look at when they are made, so that another environment makes another client.
ENVIRONMENT = re.compile(r"AWS_|GOOGLE_|CLOUDSDK_|STORAGE_EMULATOR")
# An unreachable endpoint should be told within seconds; the SDKs try for minutes.
CONNECT_SECONDS = 5
# A server that has taken a request may think about it, as when it puts the parts of a large file together.
REQUEST_SECONDS = 60
# What no other content of the same file has, by its name in what a store tells when one is opened.
CONTENT_TAGS = ("etag", "generation")
ATTEMPTS = 3
ATTEMPTS_TO_PUT = 10


def locate(uri: str) -> tuple[ArrowFileSystem, str]:
    """The file system of a URI, and the path on it: the bucket, then the key as it is, nothing unquoted.

    Raises:
        DefinitionError: An option is unknown or of a wrong value, or there is no bucket.
    """
    scheme, _, rest = uri.partition("://")
    found = QUERY.search(rest)
    options: dict[str, str] = {}
    if found is not None:
        options = dict(option.split("=", 1) for option in found[1].split("&"))
        if "/" in found[1] and not set(options) & set(SCHEMES[scheme]):
            options = {}  # a pattern: `?` is any character
        else:
            rest = rest[: found.start()]
    for name in options:
        if name not in SCHEMES[scheme]:
            raise unknown_name("option", name, SCHEMES[scheme], of=f"a {scheme}:// URI")
    path = rest.rstrip("/")
    if not path.partition("/")[0]:
        raise DefinitionError(f"{uri!r} names no bucket", hint=f"{scheme}://BUCKET/KEY")
    return ArrowFileSystem(scheme, tuple(sorted(options.items()))), path


@dataclass(frozen=True)
class ArrowFileSystem(RemoteFileSystem):
    """A store that `pyarrow.fs` reaches. Credentials come from the environment alone.

    Attributes:
        scheme: Of its URIs.
        options: As they stand in the query of a URI.
    """

    lists_less: ClassVar[bool] = True

    scheme: str
    options: tuple[tuple[str, str], ...] = ()

    def uri(self, path: str) -> str:
        """The URI of a path, with the options as its query."""
        query = "&".join(f"{name}={value}" for name, value in self.options)
        return f"{self.scheme}://{path}" + (f"?{query}" if query else "")

    def _client(self, path: str) -> Any:
        environment = tuple(sorted(item for item in os.environ.items() if ENVIRONMENT.match(item[0])))
        make = _s3 if self.scheme == "s3" else _gcs
        return make(path.partition("/")[0], self.options, environment)

    def info(self, path: str) -> FileInfo | None:
        """What is there, or None."""
        with explaining(self.uri(path)):
            return self._as_info(self._client(path).get_file_info(path))

    def children(self, folder: str) -> list[FileInfo]:
        """What a folder holds, sorted by name."""
        from pyarrow.fs import FileSelector

        with explaining(self.uri(folder)):
            found = self._client(folder).get_file_info(FileSelector(folder, allow_not_found=True))
        infos = [self._as_info(info) for info in found]
        return sorted((info for info in infos if info is not None), key=lambda info: info.name)

    def _as_info(self, info: Any) -> FileInfo | None:
        from pyarrow.fs import FileType

        if info.type == FileType.NotFound:
            return None
        is_folder = info.type == FileType.Directory
        size = 0 if is_folder else info.size
        modified = 0 if is_folder else (info.mtime_ns or 0)
        return FileInfo(info.path, is_folder, size, modified, self.uri(info.path))

    def now(self, path: str) -> FileInfo | None:
        """What is there, with the tag that the store has given this content; or None."""
        try:
            with self.open_input(path) as file:
                told = {name.lower(): value.decode() for name, value in (file.metadata() or {}).items()}
                size = file.size()
        except FileNotFoundError:
            return None
        tags = tuple((name, told[name]) for name in CONTENT_TAGS if told.get(name))
        if not tags:
            return self.info(path)
        return FileInfo(path, is_folder=False, size=size, uri=self.uri(path), tags=tags)

    def version(self, path: str) -> str | None:
        """The tag that the store has given this content."""
        with explaining(self.uri(path)), self._client(path).open_input_stream(path) as stream:
            told = {name.lower(): value.decode() for name, value in (stream.metadata() or {}).items()}
        # of S3 a hash of the content; elsewhere the number of a version, which another file may have, too
        where = "" if self.scheme == "s3" else self.uri(path)
        tag = told.get("etag") or told.get("generation")
        return None if tag is None else f"{self.scheme} {tag} {told.get('content-length')} {where}".strip()

    def open_input(self, path: str) -> Any:
        """The file as a `pyarrow.NativeFile`: what is read is fetched, and nothing else."""
        with explaining(self.uri(path)):
            return self._client(path).open_input_file(path)

    def read(self, path: str) -> bytes | None:
        """The bytes of a small file, or None where there is none."""
        try:
            with explaining(self.uri(path)), self._client(path).open_input_stream(path) as stream:
                return stream.read()
        except FileNotFoundError:
            return None

    def upload(self, local: str, path: str) -> None:
        """Put a local file in place."""
        from pyarrow.fs import LocalFileSystem, copy_files

        # Not by a stream of ours: one that is interrupted completes the upload of what it was given so far.
        with explaining(self.uri(path)):
            try:
                copy_files(
                    local,
                    path,
                    source_filesystem=LocalFileSystem(),
                    destination_filesystem=self._client(path),
                    use_threads=False,
                )
            except FileNotFoundError as error:
                raise OSError(str(error)) from error

    def delete(self, path: str) -> None:
        """Remove a file, or a folder with all that it holds."""
        info = self.info(path)
        if info is None:
            return
        with explaining(self.uri(path)):
            if info.is_folder:
                self._client(path).delete_dir(path)
            else:
                self._client(path).delete_file(path)

    def put_once(self, path: str, data: bytes) -> bytes:
        """Create a small file, unless there is one, by a conditional request; Arrow's clients make none."""
        from hyped_beam.io import conditional

        put = conditional.put_on_s3 if self.scheme == "s3" else conditional.put_on_gcs
        bucket, _, key = path.partition("/")
        for _ in range(ATTEMPTS_TO_PUT):
            with explaining(self.uri(path)):
                if put(bucket, key, data, self.options):
                    return data
            found = self.read(path)
            if found is not None:
                return found
        raise OSError(f"{self.uri(path)} is created and removed again and again")

    def why_not_once(self) -> str | None:
        """What has to be installed for conditional requests."""
        from hyped_beam.io import conditional

        return conditional.missing_package(self.scheme, self.options)

    @property
    def moves_once(self) -> bool:
        """Whether copies are conditional; Google's are not, as Arrow's client makes them."""
        return self.scheme == "s3"

    def move(self, source: str, target: str, checksum: str = "") -> bool:
        """Copy a file in the store, and remove it where it was."""
        from hyped_beam.io import conditional

        with explaining(self.uri(source)):
            try:
                if self.scheme == "s3":
                    for _ in range(ATTEMPTS_TO_PUT):
                        copied = conditional.copy_on_s3(source, target, self.options)
                        there = None if copied else conditional.read_from_s3(target, self.options)
                        if copied or (there is not None and checksum_of(there[0]) == checksum):
                            break
                        # What is there is of a job that this one has overtaken, or of one that has overtaken
                        # this one: such a job has removed the source before it put anything into place.
                        if self.info(source) is None:
                            return False
                        if there is not None:
                            conditional.delete_from_s3(target, there[1], self.options)
                    self.delete(source)
                else:
                    self._client(source).move(source, target)
            except FileNotFoundError:
                return False
        return True

    def missing(self, path: str) -> str | None:
        """Why nothing can be at a path: the bucket is not there."""
        bucket = path.partition("/")[0]
        return None if self.info(bucket) is not None else f"there is no bucket {bucket!r}"


def values_of(options: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """The options of a URI as Arrow's clients take them.

    Raises:
        DefinitionError: One has a wrong value.
    """
    values: dict[str, Any] = {}
    for name, text in options:
        if name in ("anonymous", "force_virtual_addressing"):
            if text.lower() not in BOOLEANS:
                raise DefinitionError(f"the option {name!r} of a URI is true or false, got {text!r}")
            values[name] = BOOLEANS[text.lower()]
        else:
            values[name] = unquote(text)
    if not REGION.fullmatch(values.get("region", "")):  # it becomes a part of the host's name
        raise DefinitionError(
            f"the option 'region' of a URI is no region: {values['region']!r:.60}", hint="region=eu-west-1"
        )
    endpoint = values.get("endpoint_override", "")
    if "://" in endpoint:
        values["scheme"], _, values["endpoint_override"] = endpoint.partition("://")
    return values


def s3_values(options: tuple[tuple[str, str], ...], environment: Mapping[str, str]) -> dict[str, Any]:
    """What is set for S3, by the query of a URI or else by the environment."""
    values = values_of(options)
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    if endpoint and "endpoint_override" not in values:
        values = {**values_of((("endpoint_override", endpoint),)), **values}
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if region and "region" not in values:
        values["region"] = region
    return values


def gcs_values(options: tuple[tuple[str, str], ...], environment: Mapping[str, str]) -> dict[str, Any]:
    """What is set for Google Cloud Storage, by the query of a URI or else by the environment."""
    values = values_of(options)
    emulator = environment.get("STORAGE_EMULATOR_HOST")
    if emulator and "endpoint_override" not in values:
        values = {"anonymous": True, **values_of((("endpoint_override", emulator),)), **values}
    return values


@lru_cache(maxsize=16)
def _s3(bucket: str, options: tuple[tuple[str, str], ...], environment: tuple[tuple[str, str], ...]) -> Any:
    from pyarrow import fs

    values = s3_values(options, dict(environment))
    if "region" not in values and "endpoint_override" not in values:
        values["region"] = fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(
        **values,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=REQUEST_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
    )


@lru_cache(maxsize=16)
def _gcs(bucket: str, options: tuple[tuple[str, str], ...], environment: tuple[tuple[str, str], ...]) -> Any:
    del bucket
    from datetime import timedelta

    from pyarrow import fs

    values = gcs_values(options, dict(environment))
    return fs.GcsFileSystem(**values, retry_time_limit=timedelta(seconds=CONNECT_SECONDS * ATTEMPTS))
