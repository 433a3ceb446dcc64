"""Applying a flow to datasets: to each kind in its own way."""

from __future__ import annotations

import os
from collections.abc import Mapping
from numbers import Integral
from typing import Any

from hyped_beam.dsl.aggregates import AggregateState, LiveAggregates
from hyped_beam.dsl.batches import unknown_column
from hyped_beam.dsl.caching import refuse_iterable
from hyped_beam.dsl.outputs import refuse_scans
from hyped_beam.dsl.sources import made_a_dataset
from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError, InputError, unknown_name
from hyped_beam.plan.planner import Plan
from hyped_beam.types import features
from hyped_beam.types.widths import interchangeable

EACH = "each"
"""What `fit_on=` says where each split has aggregates of its own."""


def apply_to(
    data: Any,
    plan: Plan,
    *,
    batch_size: int | None = None,
    num_proc: int | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    fit_on: str | None = None,
    cache: str | None = None,
    load_from_cache_file: bool | None = None,
) -> tuple[Any, Any]:
    """The result of a plan on a dataset, and its aggregates.

    Raises:
        DefinitionTypeError: It is no dataset.
        DefinitionError: Splits need aggregates, and it is not said of which of them.
        InputError: It has not the columns that the plan reads.
    """
    import datasets

    check_positive(batch_size=batch_size, num_proc=num_proc)
    how: dict[str, Any] = {
        "batch_size": batch_size,
        "num_proc": num_proc,
        "cache_dir": cache_dir,
        "cache": cache,
        "load_from_cache_file": load_from_cache_file,
    }
    if isinstance(data, (datasets.DatasetDict, datasets.IterableDatasetDict)):
        results = _apply_to_splits(data, plan, fit_on, how)
        splits = {name: made for name, (made, _) in results.items()}
        rows = None if not plan.row_outputs else type(data)(splits)
        aggregates = {name: found for name, (_, found) in results.items()} if plan.has_aggregates else None
        return rows, aggregates
    if fit_on is not None:
        raise DefinitionTypeError(
            "fit_on= names a split of a dict of datasets, and this is one dataset", site=CallSite.nearest()
        )
    if isinstance(data, datasets.Dataset):
        from hyped_beam.dsl.dataset import apply_now

        check_columns(data.features, plan)
        return apply_now(data, plan, **how)
    if isinstance(data, datasets.IterableDataset):
        _refuse_of_iterables(num_proc, cache_dir=cache_dir, load_from_cache_file=load_from_cache_file)
        refuse_iterable(data, cache)
        return _apply_lazily(data, plan, batch_size)
    made = made_a_dataset(data)
    raise DefinitionTypeError(
        f"apply() takes a Dataset, an IterableDataset or a dict of them, got {type(data).__name__}",
        site=CallSite.nearest(),
        hint=(f"make a dataset of it: {made}; " if made else "")
        + "for one batch use flow.batch_process, for files flow.job",
    )


def _apply_to_splits(
    data: Mapping[str, Any], plan: Plan, fit_on: str | None, how: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """What comes of each split; where rows need aggregates, of those of one split or of each one's own."""
    import datasets

    if fit_on is not None and fit_on != EACH and fit_on not in data:
        raise unknown_name("split", fit_on, [*data, EACH], of="the dataset", site=CallSite.nearest())
    if len(plan.row_outputs) > 1:
        raise DefinitionError(
            "a dict of datasets is split already",
            site=CallSite.nearest(),
            hint='split one of them: ds["train"]',
        )
    if plan.earlier and fit_on is None:
        raise DefinitionError(
            "rows need aggregates, and there are several splits to take them from",
            site=CallSite.nearest(),
            hint=f'say which: fit_on="{next(iter(data))}", or fit_on="{EACH}" for each its own',
        )
    if plan.earlier and fit_on != EACH:
        from hyped_beam.dsl.fitting import fitted_plan

        plan = fitted_plan(data[str(fit_on)], plan, num_proc=how["num_proc"], cache=how["cache"])
        if isinstance(data, datasets.IterableDatasetDict):
            how = {**how, "num_proc": None}  # the fit has used them
    return {name: apply_to(split, plan, **how) for name, split in data.items()}


def _refuse_of_iterables(num_proc: int | None, **files: Any) -> None:
    """Raise for what is said of how to compute a dataset that is only computed as it is read."""
    if num_proc is not None and num_proc > 1:
        raise DefinitionError(
            f"num_proc={num_proc} does nothing for an iterable dataset, which is computed where it is read",
            site=CallSite.nearest(),
            hint=f"read it by a loader with num_workers={num_proc}, or write it: "
            f'JsonDatasetWriter("folder/", num_proc={num_proc}).consume(flow.apply(...))',
        )
    name = next((name for name, value in files.items() if value is not None), None)
    if name is not None:
        raise DefinitionError(
            f"{name}= does nothing for an iterable dataset, which is computed as it is read",
            site=CallSite.nearest(),
            hint='to keep what it gives, write it: JsonDatasetWriter("folder/").consume(flow.apply(...))',
        )


def _apply_lazily(data: Any, plan: Plan, batch_size: int | None) -> tuple[Any, Any]:
    from hyped_beam.dsl.lazy import apply_lazily, refuse_only_aggregates

    refuse_scans(plan, "an iterable dataset")
    refuse_only_aggregates(plan)
    if data.features is not None:
        check_columns(data.features, plan)
    state = AggregateState(plan) if plan.has_aggregates else None
    return apply_lazily(data, plan, batch_size, state), LiveAggregates(state) if state else None


def check_positive(**numbers: Any) -> None:
    """Raise for an argument that is neither None nor a whole number of at least 1."""
    for name, number in numbers.items():
        is_whole = isinstance(number, Integral) and not isinstance(number, bool)
        if number is not None and (not is_whole or number < 1):
            raise DefinitionTypeError(
                f"{name}= is a number of at least 1, got {number!r}",
                site=CallSite.nearest(),
                hint=None if is_whole else "give a whole number",
            )


def check_columns(given: Mapping[str, Any], plan: Plan) -> None:
    """Raise where data with some features is not what a plan reads; widths of offsets may differ."""
    wanted = plan.graph.source.feature
    for name, feature in wanted.items():
        if name not in given:
            raise unknown_column(name, given, wanted)
        if not features.same(given[name], feature) and not _alike(given[name], feature):
            raise InputError(
                f"column {name!r} is {features.describe(given[name])}, "
                f"the flow was made for {features.describe(feature)}",
                site=CallSite.nearest(),
                hint=f"convert the column of the data to {features.describe(feature)}, "
                "or make the flow for such data: DataFlow(features=...)",
            )


def _alike(given: Any, wanted: Any) -> bool:
    """Whether values of one feature can be stored as the other without loss of meaning."""
    if features.is_class_label(given) and features.is_class_label(wanted):
        return bool(given.names == wanted.names)
    if isinstance(given, Mapping) and isinstance(wanted, Mapping):
        return list(given) == list(wanted) and all(_alike(given[name], wanted[name]) for name in wanted)
    return features.family(given) is features.family(wanted) and interchangeable(
        features.to_arrow(given), features.to_arrow(wanted)
    )
