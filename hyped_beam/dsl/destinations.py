"""The writer of a folder that is given as text, whose name may tell the format."""

from __future__ import annotations

import importlib
import re
from typing import Any

from hyped_beam.errors import InputError
from hyped_beam.io.writers.base import Writer

_WRITERS = {
    ".arrow": ("hyped_beam.io.writers.arrow", "ArrowDatasetWriter"),
    ".csv": ("hyped_beam.io.writers.csv", "CsvDatasetWriter"),
    ".json": ("hyped_beam.io.writers.json", "JsonDatasetWriter"),
    ".jsonl": ("hyped_beam.io.writers.json", "JsonDatasetWriter"),
    ".parquet": ("hyped_beam.io.writers.parquet", "ParquetDatasetWriter"),
}
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
_TOLD = re.compile(r"[^/](?P<format>\.[a-z]+)(?P<compression>\.(?:gz|zst|bz2))?$")


def writer_like(folder: str, like: Writer | None, default: str | None = None) -> Writer:
    """A writer to another folder.

    Args:
        folder: The folder; a name that ends in `.csv`, `.jsonl`, `.jsonl.gz`, `.parquet` or `.arrow` tells
            the format.
        like: The writer whose format and options it has unless the name tells another format.
        default: The format where neither tells it.

    Raises:
        DefinitionError: The folder is none.
        InputError: Nothing tells the format.
    """
    told = _told(folder)
    kind, compression = told or (None, None)
    if like is not None and (kind is None or kind is type(like)):
        changed = {"path": folder} if compression is None else {"path": folder, "compression": compression}
        return type(like).from_json({**like.to_json(), **changed})
    if kind is None:
        if default is None:
            raise InputError(f"{folder!r} does not tell its format", hint=f"one of {', '.join(_WRITERS)}")
        kind = _kind(default)
    options: dict[str, Any] = {} if compression is None else {"compression": compression}
    if like is not None:
        options["overwrite"] = like.overwrite
    return kind(folder, **options)


def _told(folder: str) -> tuple[type[Writer], str | None] | None:
    """The format and the compression that the name of a folder tells."""
    found = _TOLD.search(folder.rstrip("/").lower())
    if found is None or found["format"] not in _WRITERS:
        return None
    return _kind(found["format"]), _COMPRESSIONS.get(found["compression"] or "")


def _kind(suffix: str) -> type[Writer]:
    module, name = _WRITERS[suffix]
    kind: type[Writer] = getattr(importlib.import_module(module), name)
    return kind
