"""What a job may be given as its source: a reader, a dataset, or a path that tells its format."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError, InputError
from hyped_beam.io.readers.base import Reader

HUB_DATASET = re.compile(r"hf://datasets/[^/@?*]+/[^/?*]+/?")
"""A whole dataset of the Hub; with more behind it, files in one."""


def as_source(source: Any) -> Any:
    """A source as a reader; a `datasets.Dataset` is one as it is.

    Args:
        source: A reader, a dataset, or a path, URI or pattern, whose files tell their format by their names.

    Raises:
        DefinitionTypeError: It is neither.
        InputError: There are no such files, or their names tell no format, or several.
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
    try:
        if HUB_DATASET.fullmatch(path):
            from hyped_beam.io.readers.hub import HubReader

            return HubReader(path)
        from hyped_beam.io.readers.formats import reader_of

        return reader_of([path])
    except (DefinitionError, InputError) as error:
        error.site = error.site or CallSite.nearest()
        raise


def is_dataset(source: Any) -> bool:
    """Whether a source is a `datasets.Dataset`; without importing it for those that are not."""
    datasets = sys.modules.get("datasets")
    return datasets is not None and isinstance(source, datasets.Dataset)
