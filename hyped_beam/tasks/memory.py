"""All passes of a plan in this process, over batches in memory: for tests, and to check what runners do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from hyped_beam.execute.batch_result import BatchResult
from hyped_beam.execute.bindings import PriorResults
from hyped_beam.execute.materialized import restore
from hyped_beam.execute.stage import StageRunner
from hyped_beam.execute.states import StateTrees
from hyped_beam.plan.joins import PARTITIONS
from hyped_beam.plan.planner import Plan, ScanStage
from hyped_beam.tasks.driver import Backend, drive
from hyped_beam.tasks.partitions import (
    PartitionProgram,
    PartitionResult,
    PartitionStates,
    StateSplitter,
    add_carry_over,
    split_table,
    values_of_range,
)
from hyped_beam.tasks.reduce import reduce_states
from hyped_beam.types import arrays
from hyped_beam.types.identity import sort_order
from hyped_beam.types.spans import Span


def run_here(plan: Plan, batches: Sequence[pa.RecordBatch]) -> dict[str, list[pa.RecordBatch]]:
    """The outputs of a plan, each as the batches that it came in.

    Args:
        plan: The plan.
        batches: The rows of the source, with the columns that it reads, each batch as a range of its own; at
            least one.

    Raises:
        NodeError: A node raised.
    """
    backend = _MemoryBackend(plan, batches)
    drive(range(len(plan.stages)), backend)
    return backend.outputs


@dataclass(frozen=True)
class _Scanned:
    """What came of the batches of a scan.

    Attributes:
        trees: The states that are put together in one place.
        partitions: Those of each partition of groups.
    """

    trees: StateTrees
    partitions: list[PartitionStates]


@dataclass(frozen=True)
class _Shuffled:
    """What the partitions after a scan leave for later ones.

    Attributes:
        to_ranges: For each range what partitions have sent it.
        carry_over: What each partition needs again.
    """

    to_ranges: list[list[bytes]]
    carry_over: list[bytes]


class _MemoryBackend(Backend[int, _Scanned, PriorResults, _Shuffled]):
    """The parts of a bounded job over batches in memory; its stages are numbers of passes of the plan."""

    def __init__(self, plan: Plan, batches: Sequence[pa.RecordBatch]) -> None:
        self.outputs: dict[str, list[pa.RecordBatch]] = {}
        self._plan = plan
        self._batches = batches
        self._kept: list[dict[int, pa.RecordBatch]] = [{} for _ in batches]

    def no_results(self) -> PriorResults:
        return PriorResults()

    def scan(self, level: int, stage: int, prior: PriorResults, shuffled: Sequence[_Shuffled]) -> _Scanned:
        del level
        one = self._plan.stages[stage]
        trees = StateTrees(one.scan.gathered)
        partitions = [PartitionStates(len(self._batches)) for _ in range(PARTITIONS)]
        splitter = StateSplitter(one.scan.combines)
        for place, result in enumerate(self._results(one, prior, shuffled)):
            together, split = splitter.split(_as_range(one, place, result.states))
            trees.add_bytes(together)
            for partition, states in split.items():
                partitions[partition].states[place] = states
            for name, made in result.outputs.items():
                self.outputs.setdefault(name, []).append(made)
        return _Scanned(trees, partitions)

    def _results(
        self, one: ScanStage, prior: PriorResults, shuffled: Sequence[_Shuffled]
    ) -> Iterator[BatchResult]:
        row = 0
        with StageRunner(one.scan, prior) as runner:
            for place, batch in enumerate(self._batches):
                taken = runner.source_batch(batch, (Span(batch.num_rows, row),), (place, 0))
                slices = [values for level in shuffled for values in level.to_ranges[place]]
                taken.prior = values_of_range(one.scan, slices)
                restore(one.scan, taken, self._kept[place])
                result = runner.run(taken)
                self._kept[place].update(result.kept)
                row += batch.num_rows
                yield result

    def reduce(self, level: int, stage: int, scanned: _Scanned, prior: PriorResults) -> PriorResults:
        del level
        one = self._plan.stages[stage]
        if one.reduce is None:
            return prior
        reduced = reduce_states(one.scan.gathered, one.reduce, scanned.trees.total(), prior)
        self.outputs.update({name: [made] for name, made in reduced.outputs.items()})
        return prior.with_more(reduced.prior)

    def partitions(
        self, level: int, stage: int, scanned: _Scanned, prior: PriorResults, shuffled: Sequence[_Shuffled]
    ) -> _Shuffled | None:
        del level
        program = PartitionProgram.after(self._plan, stage)
        if program is None:
            return None
        given = scanned.partitions
        for node, table in program.tables.items():
            scan = table.reader.scan(list(table.reader.features))
            for at, part in enumerate(table.reader.ranges()):
                for partition, rows in split_table(scan.read(part), table.key).items():
                    given[partition].tables.setdefault(node, {})[at] = rows
        for before in shuffled:
            for partition, carry_over in enumerate(before.carry_over):
                if carry_over:
                    add_carry_over(given[partition], carry_over)
        with contextlib.closing(program.open()) as opened:
            made = [opened.run(one, prior) for one in given]
        self._add_groups(program, made)
        to_ranges: list[list[bytes]] = [[] for _ in self._batches]
        for result in made:
            for place, values in result.to_ranges.items():
                to_ranges[place].append(values)
        return _Shuffled(to_ranges, [result.carry_over for result in made])

    def _add_groups(self, program: PartitionProgram, made: Sequence[PartitionResult]) -> None:
        """The rows of all partitions, in the order of the keys of their groups."""
        for output in program.program.outputs:
            rows = pa.concat_batches([one.outputs[output.name] for one in made])
            keys = pa.concat_arrays([one.keys[output.name] for one in made])
            order = sort_order(arrays.columns_of(keys, len(keys)), len(keys))
            self.outputs[output.name] = [rows.take(pa.array(order))]


def _as_range(one: ScanStage, number: int, states: Sequence[pa.RecordBatch]) -> bytes:
    """The states of a batch as those of a range."""
    trees = StateTrees(one.scan.combines)
    trees.add((0, number), states)
    return trees.to_bytes()
