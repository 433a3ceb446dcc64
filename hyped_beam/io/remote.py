"""What all remote stores share: no credentials in URIs, uploads that appear whole, errors that help."""

from __future__ import annotations

import os
import re
import tempfile
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

from hyped_beam.errors import DefinitionError, InputError
from hyped_beam.io.filesystem import BUFFER_BYTES, FileSystem, PendingFile
from hyped_beam.types.scratch import process_folder

SECRET_OPTION = re.compile(
    r"secret|password|passwd|token|signature|credential|access_key|api_?key|^sig$", re.IGNORECASE
)

# What stores say, in the words of the AWS SDK, of Google's client and of fsspec.
NO_BUCKET = re.compile(
    r"NO_SUCH_BUCKET|NoSuchBucket|specified bucket does not exist|bucket .*not found", re.IGNORECASE
)
REFUSED = re.compile(
    r"ACCESS_DENIED|AccessDenied|INVALID_ACCESS_KEY_ID|InvalidAccessKeyId|SIGNATURE_DOES_NOT_MATCH"
    r"|SignatureDoesNotMatch|EXPIRED_TOKEN|ExpiredToken|INVALID_CLIENT_TOKEN_ID|InvalidToken"
    r"|HTTP status 40[13]|Forbidden|Unauthorized|PERMISSION_DENIED|UNAUTHENTICATED|Permission denied",
    re.IGNORECASE,
)
UNREACHABLE = re.compile(
    r"NETWORK_CONNECTION|curlCode|Could ?n[o']t (?:connect|resolve)|Connection (?:refused|reset)|timed? ?out"
    r"|Cannot connect|Name or service not known|UNAVAILABLE",
    re.IGNORECASE,
)


def check_uri(uri: str) -> None:
    """Refuse credentials in a URI, which would stand in plans, saved files and messages.

    Raises:
        DefinitionError: There are some; the message does not repeat them.
    """
    authority = re.split(r"[/?]", uri.partition("://")[2], maxsplit=1)[0]
    query = urlsplit(uri).query
    secret = next((name for name, _ in parse_qsl(query) if SECRET_OPTION.search(name)), None)
    if ":" in authority.rpartition("@")[0] or secret is not None:
        shown = f"{uri.partition('://')[0]}://...{authority.rpartition('@')[2]}"
        where = "before the '@'" if secret is None else f"as the option {secret!r}"
        message = f"the URI {shown} holds credentials, {where}"
        raise DefinitionError(message, hint=credentials_hint(uri))


def credentials_hint(uri: str) -> str:
    """Where credentials for a store belong."""
    scheme = uri.partition("://")[0]
    if scheme == "s3":
        return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    if scheme in ("gs", "gcs"):
        return "set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login"
    if scheme == "hf":
        return "set HF_TOKEN, or run hf auth login"
    return f"give them in fsspec's configuration: FSSPEC_{scheme.upper()}_..."


def explained(uri: str, error: BaseException) -> InputError | None:
    """The error for what a store answered, or None where it is none of those that a user can mend.

    Args:
        uri: What was asked for.
        error: What was raised.
    """
    text = str(error)
    scheme, _, rest = uri.partition("://")
    bucket = rest.partition("/")[0].partition("?")[0]
    where = uri.partition("?")[0]
    if NO_BUCKET.search(text):
        hint = "make the bucket first, or look at its name and at the endpoint"
        return InputError(f"there is no bucket {bucket!r}, for {where!r}", hint=hint)
    if REFUSED.search(text):
        return InputError(f"access to {where!r} was refused", hint=credentials_hint(uri))
    if UNREACHABLE.search(text):
        hint = "look at the network"
        if scheme == "s3":
            hint += ", at the region and at AWS_ENDPOINT_URL or ?endpoint_override="
        return InputError(f"the store of {where!r} cannot be reached", hint=hint)
    return None


@contextmanager
def explaining(uri: str) -> Iterator[None]:
    """Raise what a store answers as an error that says how to mend it; files that are missing pass."""
    try:
        yield
    except FileNotFoundError as error:
        if NO_BUCKET.search(str(error)):
            raise explained(uri, error) or error from None
        raise
    except OSError as error:
        told = explained(uri, error)
        if told is None:
            reason = " ".join(str(error).split())[:200]
            told = InputError(f"{uri.partition('?')[0]!r}: {reason}")
        raise told from error


class RemoteFileSystem(FileSystem):
    """A store that takes whole files."""

    is_local: ClassVar[bool] = False

    @abstractmethod
    def upload(self, local: str, path: str) -> None:
        """Put a local file in place; it appears whole, and replaces one that is there."""

    def create(self, path: str, *, makes_folder: bool = True) -> PendingFile:  # noqa: ARG002 - stores have none
        """Begin a file, which is uploaded when it is published."""
        return SpooledFile(self, path)


class SpooledFile(PendingFile):
    """A file for a remote store: written to a local temporary file, and uploaded as a whole by `publish`.

    An upload that is begun while rows are written cannot be taken back everywhere: Arrow's streams complete
    it also when they are thrown away, and then half a file is there. So it is begun when all is known.
    """

    def __init__(self, filesystem: RemoteFileSystem, path: str) -> None:
        super().__init__()
        self._filesystem = filesystem
        self._path = path
        handle, name = tempfile.mkstemp(dir=process_folder(), suffix=".upload")
        self._local: Path | None = Path(name)
        self._file = os.fdopen(handle, "wb", buffering=BUFFER_BYTES)

    def _append(self, view: memoryview) -> None:
        if self._local is not None:  # pyarrow ends what it has begun also after a `discard`
            self._file.write(view)

    def complete(self) -> None:
        """Close it, so that any number of files can wait to be published."""
        self._file.close()

    def publish(self, path: str | None = None) -> None:
        """Upload it."""
        if self._local is not None:
            self._file.close()
            self._filesystem.upload(str(self._local), self._path if path is None else path)
            self.discard()

    def discard(self) -> None:
        """Remove the temporary file."""
        if self._local is not None:
            with suppress(OSError):  # a full disk fails again where the last bytes are flushed
                self._file.close()
            self._local.unlink(missing_ok=True)
            self._local = None
