"""Requests to S3 and Google Cloud Storage that succeed only where nothing is there yet.

Arrow's clients write over what is there (https://github.com/apache/arrow/issues/44281), so these requests go
through `botocore`, and for Google through its JSON interface with the credentials of `google-auth`. Both take
credentials from where Arrow's clients take them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from hyped_beam.io.filesystem_arrow import gcs_values, s3_values

CONNECT_SECONDS = 5
READ_SECONDS = 60
ATTEMPTS = 3
CONFLICTS = 10
"""How often a request is made that S3 asks to make again, for another one was under way."""

_EXISTS = ("PreconditionFailed", "412")
_CONFLICT = ("ConditionalRequestConflict", "OperationAborted", "409")
_MISSING = ("NoSuchKey", "404")
_UNKNOWN = ("NotImplemented", "501")

Options = tuple[tuple[str, str], ...]


def missing_package(scheme: str, options: Options) -> str | None:
    """Why there can be no conditional requests to a store, in words for a user; None where there can."""
    if scheme == "s3":
        package, extra = "botocore", "s3"
    elif gcs_values(options, os.environ).get("anonymous"):
        return None
    else:
        package, extra = "google.auth", "gcs"
    try:
        found = importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        found = False
    if found:
        return None
    return (
        f"{package} is not installed, which writing to {scheme}:// needs: pip install 'hyped_beam[{extra}]'"
    )


# ------------------------------------------------------------------------------------------------------- S3


def put_on_s3(bucket: str, key: str, data: bytes, options: Options) -> bool:
    """Create an object, unless there is one; whether it was created.

    Raises:
        OSError: The store refuses it, or cannot be reached.
    """
    client = _s3(options, _environment())
    return _unless_there(lambda: client.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*"))


def copy_on_s3(source: str, target: str, options: Options) -> bool:
    """Copy an object, unless there is one in its new place; whether it was copied.

    A store that does not know the condition copies over what is there.

    Raises:
        FileNotFoundError: There is no such object.
        OSError: The store refuses it, or cannot be reached.
    """
    client = _s3(options, _environment())
    bucket, _, key = target.partition("/")
    from_bucket, _, from_key = source.partition("/")
    request = {"Bucket": bucket, "Key": key, "CopySource": {"Bucket": from_bucket, "Key": from_key}}
    try:
        return _unless_there(lambda: client.copy_object(**request, IfNoneMatch="*"))
    except NotImplementedError:
        return _unless_there(lambda: client.copy_object(**request))


def read_from_s3(path: str, options: Options) -> tuple[bytes, str] | None:
    """An object, and the tag of its content; None where there is none.

    Raises:
        OSError: The store refuses it, or cannot be reached.
    """
    client = _s3(options, _environment())
    bucket, _, key = path.partition("/")
    found: dict[str, Any] = {}
    try:
        _unless_there(lambda: found.update(client.get_object(Bucket=bucket, Key=key)))
    except FileNotFoundError:
        return None
    return found["Body"].read(), found["ETag"]


def delete_from_s3(path: str, tag: str, options: Options) -> None:
    """Remove an object if its content is still the one of a tag.

    A store that does not know the condition removes whatever is there.

    Raises:
        OSError: The store refuses it, or cannot be reached.
    """
    client = _s3(options, _environment())
    bucket, _, key = path.partition("/")
    try:
        _unless_there(lambda: client.delete_object(Bucket=bucket, Key=key, IfMatch=tag))
    except FileNotFoundError:
        return
    except NotImplementedError:
        _unless_there(lambda: client.delete_object(Bucket=bucket, Key=key))


def _unless_there(request: Any) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError

    for last in reversed(range(CONFLICTS)):
        try:
            request()
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _EXISTS:
                return False
            if code in _MISSING:
                raise FileNotFoundError(str(error)) from error
            if code in _UNKNOWN:
                raise NotImplementedError(str(error)) from error
            if code in _CONFLICT and last:
                continue
            raise OSError(str(error)) from error
        except BotoCoreError as error:
            raise OSError(str(error)) from error
        return True
    return False


def _environment() -> Options:
    return tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))


@lru_cache(maxsize=16)
def _s3(options: Options, environment: Options) -> Any:
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config

    values = s3_values(options, dict(environment))
    endpoint = values.get("endpoint_override")
    is_virtual = values.get("force_virtual_addressing") or not endpoint
    settings: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "retries": {"total_max_attempts": ATTEMPTS, "mode": "standard"},
        "s3": {"addressing_style": "auto" if is_virtual else "path"},
    }
    if values.get("anonymous"):
        settings["signature_version"] = UNSIGNED
    session = botocore.session.Session()
    if values.get("region"):
        session.set_config_variable("region", values["region"])
    credentials = {}
    if values.get("role_arn"):
        credentials = _of_role(session, values["role_arn"])
    return session.create_client(
        "s3",
        region_name=session.get_config_variable("region") or "us-east-1",
        endpoint_url=f"{values.get('scheme', 'https')}://{endpoint}" if endpoint else None,
        config=Config(**settings),
        **credentials,
    )


def _of_role(session: Any, role: str) -> dict[str, str]:
    taken = session.create_client("sts").assume_role(RoleArn=role, RoleSessionName="hyped_beam")
    told = taken["Credentials"]
    return {
        "aws_access_key_id": told["AccessKeyId"],
        "aws_secret_access_key": told["SecretAccessKey"],
        "aws_session_token": told["SessionToken"],
    }


# ----------------------------------------------------------------------------------------------------- Google


def put_on_gcs(bucket: str, key: str, data: bytes, options: Options) -> bool:
    """Create an object, unless there is one; whether it was created.

    Raises:
        OSError: The store refuses it, or cannot be reached.
    """
    values = gcs_values(options, os.environ)
    host = values.get("endpoint_override", "storage.googleapis.com")
    scheme = values.get("scheme", "https")
    query = urlencode({"uploadType": "media", "name": key, "ifGenerationMatch": "0"})
    request = urllib.request.Request(  # noqa: S310 - the scheme is one of the options
        f"{scheme}://{host}/upload/storage/v1/b/{quote(bucket, safe='')}/o?{query}",
        data=data,
        headers={"Content-Type": "application/octet-stream", **_authorization(values)},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=READ_SECONDS) as answer:  # noqa: S310 - as above
            json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 412:  # noqa: PLR2004 - precondition failed
            return False
        raise OSError(f"HTTP status {error.code}: {error.read(500).decode(errors='replace')}") from error
    except urllib.error.URLError as error:
        raise OSError(f"Could not connect: {error.reason}") from error
    return True


def _authorization(values: Mapping[str, Any]) -> dict[str, str]:
    if values.get("anonymous"):
        return {}
    import google.auth
    import google.auth.transport.requests

    scope = "https://www.googleapis.com/auth/devstorage.read_write"
    credentials, _ = google.auth.default(scopes=[scope])
    credentials.refresh(google.auth.transport.requests.Request())
    return {"Authorization": f"Bearer {credentials.token}"}
