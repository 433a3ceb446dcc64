"""A flow applied to a `Dataset`: a job on this machine, whose Arrow files become the new dataset."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, DatasetDict, DatasetInfo
from datasets.table import MemoryMappedTable, concat_tables

from hyped_beam.dsl.caching import results_folder, tell
from hyped_beam.dsl.outputs import ROWS
from hyped_beam.dsl.sources import plan_for_source
from hyped_beam.io.readers.dataset import DatasetReader
from hyped_beam.io.writers.arrow import ArrowDatasetWriter
from hyped_beam.launch.bounded import prepare_bounded
from hyped_beam.launch.signals import ended_cleanly
from hyped_beam.plan.planner import AGGREGATES, Plan
from hyped_beam.types import features


def apply_now(
    data: Dataset,
    plan: Plan,
    processes: int,
    cache_dir: str | os.PathLike[str] | None,
    cache: str | None = None,
) -> tuple[Dataset | DatasetDict | None, dict[str, Any] | None]:
    """The result of a plan on a dataset, and its aggregates.

    Args:
        data: The dataset.
        plan: The plan.
        processes: How many processes compute.
        cache_dir: Where the Arrow files of the result are.
        cache: The folder that states of aggregates are kept in; None for none.
    """
    folder = _result_folder(data, cache_dir) if plan.row_outputs else None
    writers = {one.name: ArrowDatasetWriter(f"{folder}/{one.name}") for one in plan.row_outputs}
    with (
        ended_cleanly(),
        tempfile.TemporaryDirectory(prefix="hyped-beam-") as scratch,
        _removed_on_failure(folder),
    ):
        work = Path(scratch)
        reader = DatasetReader(data).selecting(list(plan.graph.source.feature))
        plan = plan_for_source(plan, reader)
        job = prepare_bounded(
            plan,
            reader,
            writers,
            processes=processes,
            runner="local",
            work=work,
            cache=cache,
            is_synced=False,  # found again by nobody
        )
        result = job.run()
    tell(result.cache)
    aggregates = result.values[AGGREGATES].to_pylist()[0] if plan.has_aggregates else None
    made = {one.name: _dataset_of(result.shards[one.name], one.schema, data) for one in plan.row_outputs}
    if not made:
        return None, aggregates
    return made[ROWS] if list(made) == [ROWS] else DatasetDict(made), aggregates


@contextlib.contextmanager
def _removed_on_failure(folder: str | None) -> Iterator[None]:
    """A context after whose failure, or interruption, nothing is left of a result that nobody can find."""
    try:
        yield
    except BaseException:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _result_folder(data: Dataset, cache_dir: str | os.PathLike[str] | None) -> str:
    return str(results_folder(cache_dir) / f"{data._fingerprint}-{uuid.uuid4().hex[:12]}")


def _dataset_of(shards: list[str], schema: pa.Schema, origin: Dataset) -> Dataset:
    info = DatasetInfo(features=features.as_features(schema))
    if not shards:
        return Dataset(_in_memory(schema), info=info, split=origin.split)
    tables = [MemoryMappedTable.from_file(path) for path in shards]
    table = tables[0] if len(tables) == 1 else concat_tables(tables)
    fingerprint = hashlib.blake2b("".join(shards).encode(), digest_size=8).hexdigest()
    return Dataset(table, info=info, split=origin.split, fingerprint=fingerprint)


def _in_memory(schema: pa.Schema) -> Any:
    from datasets.table import InMemoryTable

    return InMemoryTable(schema.empty_table())
