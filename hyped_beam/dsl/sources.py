"""What a job may be given as its source: a reader, a dataset, or a path that tells its format."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Any

from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError, InputError
from hyped_beam.io.readers.base import Reader
from hyped_beam.io.readers.files import FileReader
from hyped_beam.plan.joins import Extent
from hyped_beam.plan.planner import Plan

HUB_DATASET = re.compile(r"hf://datasets/[^/@?*]+/[^/?*]+/?")
"""A whole dataset of the Hub; with more behind it, files in one."""


def as_source(source: Any, features: Any = None, *, argument: str = "source") -> Reader:
    """A source as a reader.

    Args:
        source: A reader, a dataset, or a path, URI or pattern, whose files tell their format by their names.
        features: Of the rows, for an iterable dataset that does not say them.
        argument: The name of the argument that it was given as.

    Raises:
        DefinitionTypeError: It is neither.
        InputError: There are no such files, or their names tell no format, or several.
    """
    if isinstance(source, Reader):
        return source
    if is_dataset(source):
        from hyped_beam.io.readers.dataset import DatasetReader

        return DatasetReader(source, features=features)
    if not isinstance(source, (str, os.PathLike)):
        raise DefinitionTypeError(
            f"{argument}= takes a reader, a path or a dataset, got {type(source).__name__}",
            site=CallSite.nearest(),
            hint=_hint_for(source),
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


def _hint_for(source: Any) -> str:
    """What to give instead of something that is no source."""
    if isinstance(source, Mapping) and source and all(map(is_dataset, source.values())):
        return "of a dict of datasets give one split"
    made = made_a_dataset(source)
    if made is None:
        return 'give a path, as in "table.parquet", or a dataset'
    return f"make a dataset of it: {made}; or write it to a Parquet file, and give the path"


def made_a_dataset(data: Any) -> str | None:
    """How a dataset is made of data in memory; None where nothing is known that would."""
    if isinstance(data, Mapping):
        return 'datasets.Dataset.from_dict({"key": [...], "value": [...]}), lists by the names of columns'
    if isinstance(data, list) and data and isinstance(data[0], Mapping):
        return "datasets.Dataset.from_list(rows)"
    return {
        "polars": "datasets.Dataset.from_polars(frame)",
        "pandas": "datasets.Dataset.from_pandas(frame)",
        "pyarrow": "datasets.Dataset(table)",
    }.get(type(data).__module__.partition(".")[0])


def source_like(path: str, like: Any) -> Any:
    """The source at a path, read as another one is where both are of one format.

    Args:
        path: A path, URI or pattern, whose files tell their format by their names.
        like: The source whose options the reader has.

    Raises:
        InputError: There are no such files, or their names tell no format, or several.
    """
    # one's own format first, whose names the library knows nothing of
    if isinstance(like, FileReader) and path.lower().endswith(like.suffixes):
        return type(like).from_json({**like.to_json(), "paths": [path]})
    source = as_source(path)
    if isinstance(like, FileReader) and type(source) is type(like):
        return type(like).from_json({**like.to_json(), "paths": [path]})
    return source


def plan_for_source(plan: Plan, source: Reader) -> Plan:
    """A plan with what is chosen by the size of its source, which is looked at only if something is.

    Raises:
        InputError: The source is missing or damaged.
    """
    return plan.for_source(Extent(*source.extent())) if plan.depends_on_source else plan


def is_dataset(source: Any) -> bool:
    """Whether a source is a dataset; without importing `datasets` for those that are not."""
    datasets = sys.modules.get("datasets")
    return datasets is not None and isinstance(source, (datasets.Dataset, datasets.IterableDataset))
