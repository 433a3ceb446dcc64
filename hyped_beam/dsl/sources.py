"""What a job may be given as its source: a reader, or the path of files that say what they are."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import Any

from hyped_beam.errors import CallSite, DefinitionTypeError, InputError
from hyped_beam.io.readers.base import Reader

_READERS = {
    ".parquet": ("hyped_beam.io.readers.parquet", "ParquetReader"),
    ".arrow": ("hyped_beam.io.readers.arrow", "ArrowReader"),
}


def as_reader(source: Any) -> Reader:
    """A source as a reader.

    Args:
        source: A reader, or a path or pattern whose suffix tells the format.

    Raises:
        DefinitionTypeError: It is neither.
        InputError: The suffix tells nothing, or there are no such files.
    """
    if isinstance(source, Reader):
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise DefinitionTypeError(
            f"source= takes a reader or a path, got {type(source).__name__}",
            site=CallSite.nearest(),
            hint="for a dataset in memory use flow.apply(ds, ...)",
        )
    path = os.fspath(source)
    suffix = PurePath(path).suffix
    if suffix not in _READERS:
        known = ", ".join(sorted(_READERS))
        raise InputError(
            f"{path!r} does not tell its format",
            site=CallSite.nearest(),
            hint=f"give a reader; known are {known}",
        )
    import importlib

    module, name = _READERS[suffix]
    reader: Reader = getattr(importlib.import_module(module), name)(path)
    return reader
