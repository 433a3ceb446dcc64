"""All passes of a plan in this process, over batches in memory: for tests, and to check what runners do."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pyarrow as pa

from hyped_beam.execute.batch_result import BatchResult
from hyped_beam.execute.finish import finish
from hyped_beam.execute.keeping import restore
from hyped_beam.execute.known import Late
from hyped_beam.execute.partitions import (
    OpenPartitions,
    PartitionProgram,
    PartitionResult,
    PartitionStates,
    StateSplitter,
    add_onward,
    split_table,
    values_of_range,
)
from hyped_beam.execute.stage import StageRunner
from hyped_beam.execute.states import StateTrees
from hyped_beam.plan.joins import PARTITIONS
from hyped_beam.plan.planner import Pass, Plan
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
    running = _Running(plan, batches)
    for number in range(len(plan.passes)):
        running.run(number)
    return running.outputs


class _Running:
    """A plan some of whose passes have run."""

    def __init__(self, plan: Plan, batches: Sequence[pa.RecordBatch]) -> None:
        self.outputs: dict[str, list[pa.RecordBatch]] = {}
        self._plan = plan
        self._batches = batches
        self._late = Late()
        self._kept: list[dict[int, pa.RecordBatch]] = [{} for _ in batches]
        self._to_ranges: list[list[bytes]] = [[] for _ in batches]
        self._onward: list[list[bytes]] = [[] for _ in range(PARTITIONS)]

    def run(self, number: int) -> None:
        """Run a pass: its scan, then what is computed from the states that it leaves."""
        one = self._plan.passes[number]
        trees = StateTrees(one.scan.gathered)
        given = [PartitionStates(len(self._batches)) for _ in range(PARTITIONS)]
        splitter = StateSplitter(one.scan.combines)
        for place, result in enumerate(self._scan(one)):
            together, split = splitter.split(_as_range(one, place, result.states))
            trees.add_bytes(together)
            for partition, states in split.items():
                given[partition].states[place] = states
            for name, made in result.outputs.items():
                self.outputs.setdefault(name, []).append(made)
        if one.finish is not None:
            finished = finish(one.scan.gathered, one.finish, trees.total(), self._late)
            self._late = self._late.with_more(finished.late)
            self.outputs.update({name: [made] for name, made in finished.outputs.items()})
        program = PartitionProgram.after(self._plan, number)
        if program is not None:
            self._finish_partitions(program, given)

    def _scan(self, one: Pass) -> list[BatchResult]:
        results = []
        row = 0
        with StageRunner(one.scan, self._late) as runner:
            for place, batch in enumerate(self._batches):
                taken = runner.source_batch(batch, (Span(batch.num_rows, row),), (place, 0))
                taken.late = values_of_range(one.scan, self._to_ranges[place])
                restore(one.scan, taken, self._kept[place])
                results.append(runner.run(taken))
                self._kept[place].update(results[-1].kept)
                row += batch.num_rows
        return results

    def _finish_partitions(self, program: PartitionProgram, given: Sequence[PartitionStates]) -> None:
        for node, table in program.tables.items():
            scan = table.reader.scan(list(table.reader.features))
            for at, part in enumerate(table.reader.ranges()):
                for partition, rows in split_table(scan.read(part), table.key).items():
                    given[partition].tables.setdefault(node, {})[at] = rows
        with contextlib.closing(program.open()) as opened:
            made = [self._finish_partition(opened, *one) for one in enumerate(given)]
        for output in program.program.outputs:
            rows = pa.concat_batches([one.outputs[output.name] for one in made])
            keys = pa.concat_arrays([one.keys[output.name] for one in made])
            order = sort_order(arrays.columns_of(keys, len(keys)), len(keys))
            self.outputs[output.name] = [rows.take(pa.array(order))]

    def _finish_partition(
        self, opened: OpenPartitions, partition: int, given: PartitionStates
    ) -> PartitionResult:
        for onward in self._onward[partition]:
            add_onward(given, onward)
        made = opened.run(given, self._late)
        for place, values in made.to_ranges.items():
            self._to_ranges[place].append(values)
        if made.onward:
            self._onward[partition].append(made.onward)
        return made


def _as_range(one: Pass, number: int, states: Sequence[pa.RecordBatch]) -> bytes:
    """The states of a batch as those of a range."""
    trees = StateTrees(one.scan.combines)
    trees.add((0, number), states)
    return trees.to_bytes()
