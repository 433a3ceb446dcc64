"""A flow applied to an `IterableDataset`: computed as it is read, still an `IterableDataset`.

`datasets` has no public base for the iterables inside an `IterableDataset`, so this extends its private one:
its `map` has one batch in flight, and may skip a batch when it resumes.
"""

from __future__ import annotations

import base64
import itertools
import os
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from datasets import IterableDataset
from datasets.iterable_dataset import _BaseExamplesIterable, _batch_to_examples

from hyped_beam.dsl.aggregates import AggregateState
from hyped_beam.dsl.batches import to_record_batch
from hyped_beam.dsl.outputs import ROWS
from hyped_beam.errors import CallSite, DefinitionError
from hyped_beam.execute.stage import Batch, BatchResult, StageRunner
from hyped_beam.execute.states import StateTree, from_bytes, to_bytes
from hyped_beam.plan.planner import Plan
from hyped_beam.plan.program import Program

BATCH_ROWS = 1000
"""Rows that are computed at once unless `batch_size=` says otherwise, as in `datasets.map`."""


def apply_lazily(data: IterableDataset, plan: Plan, batch_size: int | None, state: AggregateState | None) -> IterableDataset:
    """A flow on an iterable dataset.

    Args:
        data: The dataset.
        plan: The plan of the flow.
        batch_size: The rows that are computed at once.
        state: Where its latest iteration adds up aggregates; None where there are none.
    """
    size = batch_size or BATCH_ROWS
    described = plan.graph.source.feature
    typed = data if data.features is not None else data.cast(_features(described))
    if plan.scan.columns and set(plan.scan.columns) < set(typed.features):
        typed = typed.select_columns(list(plan.scan.columns))
    # What `map` puts in front of a function on Arrow tables: batches of the right size, typed.
    front = typed.with_format("arrow").map(_identity, batched=True, batch_size=size)._ex_iterable.ex_iterable
    (output,) = plan.scan.outputs
    info = data.info.copy()
    info.features = _features(output.schema)
    stage = StageIterable(front, LazyRunner(plan.scan), described, size, state)
    return IterableDataset(
        ex_iterable=stage,
        info=info,
        split=data.split,
        distributed=data._distributed,
        token_per_repo_id=data._token_per_repo_id,
    )


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
    """

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
        self.program = runner.program
        self.columns = columns
        self.batch_size = batch_size
        self.state = state

    @property
    def iter_arrow(self) -> Callable[[], Iterator[tuple[Any, pa.Table]]]:
        """Iterating over Arrow tables."""
        return self._iter_arrow

    @property
    def is_typed(self) -> bool:
        """Whether its features are known."""
        return True

    @property
    def features(self) -> Any:
        """Its columns."""
        (output,) = self.program.outputs
        return _features(output.schema)

    def _init_state_dict(self) -> dict[str, Any]:
        self._state_dict: dict[str, Any] = {
            "examples_iterable": self.ex_iterable._init_state_dict(),
            "previous_state": None,
            "row": 0,
            "aggregates": None,
            "type": type(self).__name__,
        }
        return self._state_dict

    def __iter__(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        from datasets.formatting.formatting import PythonFormatter

        formatter = PythonFormatter()
        for key, table in self._iter_arrow():
            for number, row in enumerate(_batch_to_examples(formatter.format_batch(table))):
                yield f"{key}_{number}", row

    def _iter_arrow(self) -> Iterator[tuple[Any, pa.Table]]:
        saved = self._state_dict
        row = 0
        if saved and saved["previous_state"]:
            self.ex_iterable.load_state_dict(saved["previous_state"])
            row = saved["row"]
        if self.state is not None:
            self._restore_aggregates(saved["aggregates"] if saved else None)
        before: list[tuple[Any, int, Any]] = []  # for each batch in flight: its key, and the state behind it

        def batches() -> Iterator[Batch]:
            nonlocal row
            for key, batch in self._input():
                behind = self.ex_iterable.state_dict() if saved else None
                values = {self.program.takes[0]: dict(zip(batch.schema.names, batch.columns, strict=True))}
                made = Batch(values, batch.num_rows, row)
                row += batch.num_rows
                before.append((key, row, behind))
                yield made

        for result in self.runner.get().run_all(batches()):
            key, next_row, behind = before.pop(0)
            if self.state is not None:
                self.state.add(result.states)
            if saved:
                saved["previous_state"], saved["row"] = behind, next_row
                saved["aggregates"] = self._saved_aggregates()
            yield key, pa.Table.from_batches([_rows(result)])

    def _input(self) -> Iterator[tuple[Any, pa.RecordBatch]]:
        """Batches of the columns that the stage reads."""
        if self.ex_iterable.ex_iterable.iter_arrow:
            for key, table in self.ex_iterable.iter_arrow():
                yield key, to_record_batch(table, self.columns)
            return
        rows = iter(self.ex_iterable.ex_iterable)
        while taken := list(itertools.islice(rows, self.batch_size)):
            lists = {name: [row.get(name) for _, row in taken] for name in self.columns}
            yield taken[0][0], to_record_batch(lists, self.columns)

    def _saved_aggregates(self) -> str | None:
        if self.state is None:
            return None
        return f"{self.state.parts} " + base64.b64encode(to_bytes(self.state.tree.to_batch())).decode()

    def _restore_aggregates(self, saved: str | None) -> None:
        assert self.state is not None  # noqa: S101 - the caller's condition
        self.state.clear()
        if saved:
            parts, encoded = saved.split(" ")
            tree = StateTree(self.state.merger)
            tree.add_batch(from_bytes(base64.b64decode(encoded)))
            self.state.restore(tree, int(parts))

    def _on(self, ex_iterable: _BaseExamplesIterable) -> StageIterable:
        return StageIterable(ex_iterable, self.runner, self.columns, self.batch_size, self.state)

    def shuffle_data_sources(self, generator: Any) -> StageIterable:
        """The same on shuffled shards."""
        return self._on(self.ex_iterable.shuffle_data_sources(generator))

    def shard_data_sources(self, num_shards: int, index: int, contiguous: bool = True) -> StageIterable:  # noqa: FBT001, FBT002 - the base's signature
        """The same on some of the shards."""
        return self._on(self.ex_iterable.shard_data_sources(num_shards, index, contiguous=contiguous))

    def reshard_data_sources(self) -> StageIterable:
        """The same on finer shards."""
        return self._on(self.ex_iterable.reshard_data_sources())

    @property
    def num_shards(self) -> int:
        """How many shards there are, and so how many loaders can share them."""
        return int(self.ex_iterable.num_shards)


def _rows(result: BatchResult) -> pa.RecordBatch:
    return result.outputs[ROWS]


class LazyRunner:
    """The executor of a program, opened in each process that first needs it, and shared by all shards there.

    Args:
        program: The program.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._runner: StageRunner | None = None
        self._process = 0

    def get(self) -> StageRunner:
        """The open executor of this process."""
        if self._runner is None or self._process != os.getpid():
            runner = StageRunner(self.program)
            runner.open()
            weakref.finalize(self, runner.close)
            self._runner, self._process = runner, os.getpid()
        return self._runner

    def __getstate__(self) -> dict[str, Any]:
        return {"program": self.program, "_runner": None, "_process": 0}


def refuse_only_aggregates(plan: Plan) -> None:
    """Raise for a plan without rows: there would be nothing to iterate over."""
    if not plan.scan.outputs:
        raise DefinitionError(
            "an iterable dataset is computed as its rows are read, and no rows were asked for",
            site=CallSite.nearest(),
            hint="say which columns: collect={...}",
        )
