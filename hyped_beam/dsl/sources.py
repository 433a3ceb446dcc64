"""What a job may be given as its source: a reader, a dataset, or a path that tells its format."""

from __future__ import annotations

import os
import sys
from pathlib import PurePath
from typing import Any

from hyped_beam.errors import CallSite, DefinitionTypeError, InputError
from hyped_beam.io.readers.base import Reader

_READERS = {
    ".parquet": ("hyped_beam.io.readers.parquet", "ParquetReader"),
    ".arrow": ("hyped_beam.io.readers.arrow", "ArrowReader"),
}


def as_source(source: Any) -> Any:
    """A source as a reader; a `datasets.Dataset` is one as it is.

    Args:
        source: A reader, a dataset, or a path or pattern whose suffix tells the format.

    Raises:
        DefinitionTypeError: It is neither.
        InputError: The suffix tells nothing, or there are no such files.
    """
    if isinstance(source, Reader) or is_dataset(source):
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise DefinitionTypeError(
            f"source= takes a reader, a path or a dataset, got {type(source).__name__}",
            site=CallSite.nearest(),
            hint="an iterable dataset is computed by flow.apply(ds, ...)",
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


def is_dataset(source: Any) -> bool:
    """Whether a source is a `datasets.Dataset`; without importing it for those that are not."""
    datasets = sys.modules.get("datasets")
    return datasets is not None and isinstance(source, datasets.Dataset)
