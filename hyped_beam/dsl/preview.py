"""The first rows of whatever holds rows."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from hyped_beam.dsl.batches import python_columns, to_record_batch
from hyped_beam.dsl.sources import made_a_dataset
from hyped_beam.errors import CallSite, DefinitionTypeError
from hyped_beam.types.features import Feature


def first_rows(data: Any, rows: int, columns: Mapping[str, Feature]) -> pa.RecordBatch:
    """The first rows of a dataset, an iterable dataset, a dict of them (its first split) or a batch.

    Raises:
        DefinitionTypeError: The data is none of these.
        InputError: It has not the columns that the flow reads.
    """
    import datasets

    if isinstance(data, (datasets.DatasetDict, datasets.IterableDatasetDict)):
        data = next(iter(data.values()))
    if isinstance(data, datasets.Dataset):
        data = data.with_format("arrow")[:rows]
    elif isinstance(data, datasets.IterableDataset):
        taken = list(itertools.islice(data, rows))
        names = list(taken[0]) if taken else list(columns)
        data = {name: [row[name] for row in taken] for name in names}
    elif isinstance(data, (pa.Table, pa.RecordBatch)):
        data = data.slice(0, rows)
    elif isinstance(data, Mapping):
        data = {name: values[:rows] for name, values in data.items()}
    else:
        made = made_a_dataset(data)
        raise DefinitionTypeError(
            f"preview() takes a dataset or a batch, got {type(data).__name__}",
            site=CallSite.nearest(),
            hint=f"make a dataset of it: {made}" if made else None,
        )
    return to_record_batch(data, columns)


def frame_of(batch: pa.RecordBatch) -> Any:
    """Output rows as a `pandas.DataFrame` that shows all of its columns."""
    from hyped_beam.dsl.frame import Preview

    return Preview(python_columns(pa.Table.from_batches([batch])))
