"""A flow applied to an `IterableDataset`: computed as it is read, still an `IterableDataset`.

`datasets` has no public base for the iterables inside an `IterableDataset`, so this extends its private one:
its `map` has one batch in flight, and may skip a batch when it resumes.
"""

from __future__ import annotations

import copy
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from datasets import IterableDataset
from datasets.iterable_dataset import _BaseExamplesIterable, _batch_to_examples

from hyped_beam.dsl.aggregates import AggregateState
from hyped_beam.dsl.batches import to_record_batch, unknown_column
from hyped_beam.dsl.outputs import ROWS
from hyped_beam.errors import CallSite, DefinitionError
from hyped_beam.execute.batch import Batch
from hyped_beam.execute.lazy_runner import LazyRunner
from hyped_beam.plan.planner import Plan
from hyped_beam.types.spans import Span

BATCH_ROWS = 1000
"""Rows that are computed at once unless `batch_size=` says otherwise, as in `datasets.map`."""


def apply_lazily(
    data: IterableDataset, plan: Plan, batch_size: int | None, state: AggregateState | None
) -> IterableDataset:
    """A flow on an iterable dataset.

    Args:
        data: The dataset.
        plan: The plan of the flow.
        batch_size: The rows that are computed at once.
        state: Where its latest iteration adds up aggregates; None where there are none.
    """
    size = batch_size or BATCH_ROWS
    origin = Origin(data, plan, batch_size)
    described = plan.graph.source.feature
    if plan.scan.columns and set(plan.scan.columns) < set(data.features or ()):
        data = data.select_columns(list(plan.scan.columns))
    # What `map` puts in front of a function on Arrow tables: batches of the right size, typed.
    front = data.with_format("arrow").map(_identity, batched=True, batch_size=size)._ex_iterable.ex_iterable
    (output,) = plan.scan.outputs
    info = data.info.copy()
    info.features = _features(output.schema)
    stage = StageIterable(front, LazyRunner(plan.scan), described, size, state)
    stage.origin = origin
    return IterableDataset(
        ex_iterable=stage,
        info=info,
        split=data.split,
        distributed=data._distributed,
        token_per_repo_id=data._token_per_repo_id,
    )


@dataclass(frozen=True)
class Origin:
    """What was applied to what, so that a job can do it as well.

    Attributes:
        data: The dataset below.
        plan: The plan of the flow.
        batch_size: The bound that was given on the rows that are computed at once.
    """

    data: IterableDataset
    plan: Plan
    batch_size: int | None

    def __reduce__(self) -> tuple[Any, ...]:
        return _nothing, ()  # only the process that applied it runs a job of it


def _nothing() -> None:
    return None


def _features(columns: Any) -> Any:
    from hyped_beam.types import features

    return features.as_features(columns)


def _identity(table: pa.Table) -> pa.Table:
    return table


class StageIterable(_BaseExamplesIterable):
    """The rows that a stage makes of another iterable's.

    Args:
        ex_iterable: The iterable that it reads.
        runner: The stage.
        columns: The columns that it reads, with their features.
        batch_size: The rows that are computed at once.
        state: Where the latest iteration adds up aggregates.

    Attributes:
        origin: What was applied to what; None for a part of it, or in another process.
    """

    keeps_shards = True
    """That its shards one after the other are its rows; readers look for it."""

    def __init__(
        self,
        ex_iterable: _BaseExamplesIterable,
        runner: LazyRunner,
        columns: Any,
        batch_size: int,
        state: AggregateState | None,
    ) -> None:
        super().__init__()
        self.ex_iterable = ex_iterable
        self.runner = runner
        self.columns = columns
        self.batch_size = batch_size
        self.state = state
        self.origin: Origin | None = None
        (output,) = runner.program.outputs
        self.described = _features(output.schema)
        self.iteration = object()
        self.shard = 0
        self._splits: dict[int, object] = {}

    @property
    def iter_arrow(self) -> Callable[[], Iterator[tuple[Any, pa.Table]]]:
        """Iterating over Arrow tables."""
        return self._iter_arrow

    @property
    def stays_in_process(self) -> bool:
        """Whether it must be iterated over in this process, which adds up aggregates; readers look for it."""
        return self.state is not None

    @property
    def is_typed(self) -> bool:
        """Whether rows come as their features say; images and such are left to be decoded by who iterates."""
        return not any(self.described._column_requires_decoding.values())

    @property
    def features(self) -> Any:
        """Its columns, where rows come as they say."""
        return self.described if self.is_typed else None

    def _init_state_dict(self) -> dict[str, Any]:
        start = self.ex_iterable._init_state_dict()
        self._state_dict: dict[str, Any] = {
            "examples_iterable": start,
            # A copy: the iterable below counts in its own, ahead of what has been given out.
            "before": {"previous_state": copy.deepcopy(start), "row": 0, "aggregates": None},
            "rows_of_batch": 0,
            "type": type(self).__name__,
        }
        return self._state_dict

    def __iter__(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        from datasets.formatting.formatting import PythonFormatter

        formatter = PythonFormatter()
        saved = self._state_dict
        skipped = saved["rows_of_batch"] if saved else 0
        for key, table, behind in self._results():
            for number, row in enumerate(_batch_to_examples(formatter.format_batch(table))):
                if number < skipped:
                    continue
                if saved:
                    saved["rows_of_batch"] = number + 1
                    if number + 1 == len(table):
                        saved["before"], saved["rows_of_batch"] = behind, 0
                yield f"{key}_{number}", row
            skipped = 0

    def _iter_arrow(self) -> Iterator[tuple[Any, pa.Table]]:
        for key, table, behind in self._results():
            if self._state_dict:
                self._state_dict["before"] = behind
            yield key, table

    def _results(self) -> Iterator[tuple[Any, pa.Table, dict[str, Any] | None]]:
        """For each batch: its key, its rows, and the state from which one goes on behind it."""
        saved = self._state_dict["before"] if self._state_dict else None
        if saved:
            self.ex_iterable.load_state_dict(saved["previous_state"])
        if self.state is not None:
            self.state.begin(self.iteration, self.shard, saved["aggregates"] if saved else None)
        flying: deque[tuple[Any, dict[str, Any]]] = deque()
        for result in self.runner.get().run_all(self._batches(saved["row"] if saved else 0, flying)):
            key, behind = flying.popleft()
            if self.state is not None:
                self.state.add(result.states, self.shard)
                if self._state_dict:
                    behind["aggregates"] = self.state.save(self.shard)
            yield key, pa.Table.from_batches([result.outputs[ROWS]]), behind

    def _batches(self, row: int, flying: deque[tuple[Any, dict[str, Any]]]) -> Iterator[Batch]:
        """The batches that the stage takes; notes for each its key and the state behind it."""
        source = self.runner.program.takes[0]
        for key, batch in self._input():
            state = self.ex_iterable.state_dict() if self._state_dict else None
            flying.append((key, {"previous_state": state, "row": row + batch.num_rows, "aggregates": None}))
            values = dict(zip(batch.schema.names, batch.columns, strict=True))
            yield Batch({source: values}, batch.num_rows, (Span(batch.num_rows, row),))
            row += batch.num_rows

    def _input(self) -> Iterator[tuple[Any, pa.RecordBatch]]:
        """Batches of the columns that the stage reads."""
        if self.ex_iterable.ex_iterable.iter_arrow:
            for key, table in self.ex_iterable.iter_arrow():
                yield key, to_record_batch(table, self.columns)
            return
        rows = iter(self.ex_iterable.ex_iterable)
        seen: set[str] = set()
        while taken := list(itertools.islice(rows, self.batch_size)):
            seen.update(*(row for _, row in taken))
            for name in self.columns:
                if name not in seen:  # single rows may lack a value, but not all from the first on
                    raise unknown_column(name, seen, self.columns)
            lists = {name: [row.get(name) for _, row in taken] for name in self.columns}
            yield taken[0][0], to_record_batch(lists, self.columns)

    def shuffle_data_sources(self, generator: Any) -> StageIterable:
        """The same on shuffled shards."""
        return self._on(self.ex_iterable.shuffle_data_sources(generator))

    def shard_data_sources(self, num_shards: int, index: int, contiguous: bool = True) -> StageIterable:  # noqa: FBT001, FBT002 - the base's signature
        """The same on some of the shards; those of one split add up their aggregates together."""
        part = self._on(self.ex_iterable.shard_data_sources(num_shards, index, contiguous=contiguous))
        part.iteration = self._splits.setdefault(num_shards, object())
        part.shard = index
        return part

    def reshard_data_sources(self) -> StageIterable:
        """The same on finer shards."""
        return self._on(self.ex_iterable.reshard_data_sources())

    def _on(self, ex_iterable: _BaseExamplesIterable) -> StageIterable:
        return StageIterable(ex_iterable, self.runner, self.columns, self.batch_size, self.state)

    @property
    def num_shards(self) -> int:
        """How many shards there are, and so how many loaders can share them."""
        return int(self.ex_iterable.num_shards)


def refuse_only_aggregates(plan: Plan) -> None:
    """Raise for a plan without rows: there would be nothing to iterate over."""
    if not plan.scan.outputs:
        raise DefinitionError(
            "an iterable dataset is computed as its rows are read, and no rows were asked for",
            site=CallSite.nearest(),
            hint="say which columns: collect={...}",
        )
