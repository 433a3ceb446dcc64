"""Which host a URI connects to, where that is not one of the well-known stores."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from hyped_beam.errors import DefinitionError
from hyped_beam.io import filesystem_arrow
from hyped_beam.io.filesystem import locate

NO_HOST = frozenset({"file", "local", "memory", "hf"})
"""The schemes that connect to nothing, or to Hugging Face alone."""

_BUCKET = re.compile(r"[A-Za-z0-9._-]+")


def foreign_host(uri: str) -> str | None:
    """Return the host that a URI names and that may be given credentials; None for none.

    A bucket of S3 or Google Cloud Storage lies where its store is, unless the URI names an endpoint; without
    credentials (`anonymous=true`) any endpoint is harmless.

    Args:
        uri: A path or URI.

    Raises:
        DefinitionError: There is no file system for it, or it holds credentials.

    Example:
        >>> foreign_host("s3://bucket/table.parquet?endpoint_override=https://minio.example.com:9000")
        'minio.example.com:9000'
        >>> foreign_host("s3://bucket/table.parquet"), foreign_host("table.parquet")
        (None, None)
    """
    locate(uri)
    scheme, separator, _ = uri.partition("://")
    if not separator or scheme in NO_HOST:
        return None
    if scheme in filesystem_arrow.SCHEMES:
        return _endpoint(uri)
    return urlsplit(uri).netloc.rpartition("@")[2].lower() or scheme


def _endpoint(uri: str) -> str | None:
    filesystem, path = filesystem_arrow.locate(uri)
    bucket = path.partition("/")[0]
    if not _BUCKET.fullmatch(bucket):
        raise DefinitionError(
            f"{bucket!r} is not a name of a bucket",
            hint="buckets are named by letters, digits, '.', '_' and '-'",
        )
    values = filesystem_arrow.values_of(filesystem.options)
    endpoint = values.get("endpoint_override")
    if values.get("anonymous"):
        return None
    if not endpoint and values.get("scheme", "https") != "https":
        return "http"  # keys would go over the network as plain text
    return str(endpoint).lower() if endpoint else None
