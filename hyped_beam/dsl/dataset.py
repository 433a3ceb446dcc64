"""A flow applied to a `Dataset`: a job on this machine, whose Arrow files become the new dataset."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, DatasetDict, DatasetInfo, is_caching_enabled
from datasets.table import MemoryMappedTable, concat_tables

from hyped_beam.dsl.caching import tell
from hyped_beam.dsl.outputs import ROWS
from hyped_beam.dsl.results import Results, results_of
from hyped_beam.dsl.sources import plan_for_source
from hyped_beam.io.readers.dataset import DatasetReader
from hyped_beam.io.writers.arrow import ArrowDatasetWriter
from hyped_beam.launch.bounded import BoundedResult, prepare_bounded
from hyped_beam.launch.signals import ended_cleanly
from hyped_beam.plan.planner import AGGREGATES, Plan
from hyped_beam.types import features
from hyped_beam.types.scratch import ScratchFolder


def apply_now(
    data: Dataset,
    plan: Plan,
    *,
    batch_size: int | None = None,
    num_proc: int | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    cache: str | None = None,
    load_from_cache_file: bool | None = None,
) -> tuple[Dataset | DatasetDict | None, dict[str, Any] | None]:
    """The result of a plan on a dataset, and its aggregates.

    Args:
        data: The dataset.
        plan: The plan.
        batch_size: The most rows that a node is given at once.
        num_proc: How many processes compute.
        cache_dir: Where the Arrow files of the result are.
        cache: The folder that states of aggregates are kept in; None for none.
        load_from_cache_file: Whether files of an earlier call are used; where `datasets` caches by default.
    """
    if not plan.row_outputs:
        with ended_cleanly(), ScratchFolder() as scratch:
            result = _run(data, plan.with_batch_size(batch_size), num_proc or 1, scratch.path, {}, cache)
        return None, _aggregates(plan, result)
    results = results_of(data, plan, batch_size, cache_dir)
    reuses = is_caching_enabled() if load_from_cache_file is None else load_from_cache_file
    outputs = [one.name for one in plan.row_outputs]
    found = results.found(outputs, aggregates=plan.has_aggregates) if reuses else None
    if found is not None:
        return _datasets_of(found.tables, plan, data, results), found.aggregates
    with ended_cleanly(), results.staging() as staging, ScratchFolder() as scratch:
        folders = {name: f"{staging.path}/{name}" for name in outputs}
        result = _run(data, plan.with_batch_size(batch_size), num_proc or 1, scratch.path, folders, cache)
        shards = {
            one.name: result.shards[one.name] or [_without_rows(staging.path, one.schema)]
            for one in plan.row_outputs
        }
        tables = results.put(shards, result.values.get(AGGREGATES), staging.path)
    return _datasets_of(tables, plan, data, results), _aggregates(plan, result)


def _run(
    data: Dataset, plan: Plan, processes: int, work: Path, folders: Mapping[str, str], cache: str | None
) -> BoundedResult:
    writers = {name: ArrowDatasetWriter(folder) for name, folder in folders.items()}
    with DatasetReader(data).selecting(list(plan.graph.source.feature)) as reader:
        plan = plan_for_source(plan, reader)
        job = prepare_bounded(
            plan,
            reader,
            writers,
            processes=processes,
            runner="local",
            work=work,
            cache=cache,
            is_synced=False,  # done where the files get their names
        )
        result = job.run()
    tell(result.cache)
    return result


def _aggregates(plan: Plan, result: BoundedResult) -> dict[str, Any] | None:
    return result.values[AGGREGATES].to_pylist()[0] if plan.has_aggregates else None


def _without_rows(folder: Path, schema: pa.Schema) -> str:
    """A file of no rows, which is found again as any other."""
    path = folder / f"{uuid.uuid4().hex}.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema):
        pass
    return str(path)


def _datasets_of(
    tables: Mapping[str, Sequence[MemoryMappedTable]], plan: Plan, origin: Dataset, results: Results
) -> Dataset | DatasetDict:
    """The datasets of mapped files."""
    made = {
        one.name: _dataset_of(tables[one.name], one.schema, origin, results.of(one.name))
        for one in plan.row_outputs
    }
    return made[ROWS] if list(made) == [ROWS] else DatasetDict(made)


def _dataset_of(
    tables: Sequence[MemoryMappedTable], schema: pa.Schema, origin: Dataset, fingerprint: str
) -> Dataset:
    info = DatasetInfo(features=features.as_features(schema))
    table = tables[0] if len(tables) == 1 else concat_tables(list(tables))
    return Dataset(table, info=info, split=origin.split, fingerprint=fingerprint)
