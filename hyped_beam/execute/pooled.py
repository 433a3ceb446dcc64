"""A stage whose batches a pool computes, while this process reads and writes them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from hyped_beam.execute.batch import Batch
from hyped_beam.execute.batch_result import BatchResult
from hyped_beam.execute.bindings import PriorResults
from hyped_beam.execute.materialized import kept_of, restore
from hyped_beam.execute.pool import ProcessPool
from hyped_beam.execute.stage import StageRunner
from hyped_beam.execute.streams import from_bytes, to_bytes
from hyped_beam.execute.timing import START, Timings, add_timings
from hyped_beam.plan.program import Program
from hyped_beam.types import arrays
from hyped_beam.types.scratch import ScratchFolder
from hyped_beam.types.spans import Span


class PooledStage:
    """Runs a program on batches as `StageRunner` does, in other processes; results come in order.

    Args:
        program: The program, of a stage that takes a source.
        pool: The processes.
        prior: What earlier stages have made known.
    """

    uses_loop = True
    """Whether several batches are in flight."""

    def __init__(self, program: Program, pool: ProcessPool, prior: PriorResults) -> None:
        self.program = program
        self.pool = pool
        self._late = prior
        self._of_ranges = _LateFiles()

    def open(self) -> None:
        """Nothing: each process opens its own."""

    def close(self) -> None:
        """Remove what was put aside for the processes, each of which closes its own."""
        self._of_ranges.close()

    def run_all(self, batches: Iterable[Batch]) -> Iterator[BatchResult]:
        """The results of batches, in their order; a few of them are in flight.

        Raises:
            NodeError: A node raised.
            JobError: A process ended.
        """
        tasks = map(self._packed, batches)
        job = _ComputeJob(self.program, self._late)
        for outputs, states, timings, kept in self.pool.run_in_order(job, tasks):
            self._of_ranges.done()
            made = {name: from_bytes(held)[0] for name, held in outputs.items()}
            held_values = {node: from_bytes(held)[0] for node, held in kept.items()}
            yield BatchResult(made, timings, held_values, None, from_bytes(states))

    def _packed(self, batch: Batch) -> _Task:
        columns: Any = batch.values[self.program.takes[0]]
        if columns:
            held = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
        else:
            held = pa.RecordBatch.from_struct_array(arrays.struct_of({}, batch.rows))
        restored = {node: to_bytes([part]) for node, part in kept_of(self.program, batch).items()}
        # a pickle of a slice would hold all that it is cut from
        prior = self._of_ranges.add(batch.prior)
        return _Task(to_bytes([held]), batch.spans, batch.batch_id, restored, prior)


class _LateFiles:
    """What is known of ranges, as files that the batches of one share while they are in flight."""

    def __init__(self) -> None:
        self._folder: ScratchFolder | None = None
        self._late: Mapping[int, pa.Array] = {}
        self._flying: deque[str] = deque()
        self._made = 0

    def add(self, prior: Mapping[int, pa.Array]) -> str:
        """The file for one more batch; nothing for one of whose range nothing is known."""
        if not prior:
            self._flying.append("")
        elif prior is self._late:
            self._flying.append(self._flying[-1] if self._flying else self._write(prior))
        else:
            self._late = prior
            self._flying.append(self._write(prior))
        return self._flying[-1]

    def _write(self, prior: Mapping[int, pa.Array]) -> str:
        if self._folder is None:
            self._folder = ScratchFolder()
        self._made += 1
        path = self._folder.path / f"{self._made}.arrow"
        path.write_bytes(PriorResults(dict(prior)).to_bytes())
        return str(path)

    def done(self) -> None:
        """The first of the batches in flight is done."""
        path = self._flying.popleft()
        if path and path not in self._flying:
            Path(path).unlink()

    def close(self) -> None:
        """Remove all that is left."""
        if self._folder is not None:
            self._folder.close()
            self._folder = None


@dataclass(frozen=True)
class _Task:
    """A batch on its way to a process."""

    columns: bytes
    spans: tuple[Span, ...]
    batch_id: tuple[int, int]
    restored: dict[int, bytes]
    prior: str


@dataclass(frozen=True)
class _ComputeJob:
    program: Program
    prior: PriorResults

    def open(self) -> _Compute:
        return _Compute(self.program, self.prior)


class _Compute:
    def __init__(self, program: Program, prior: PriorResults) -> None:
        began = time.perf_counter()
        self._runner = StageRunner(program, prior)
        self._runner.open()
        self._start: Timings = {START: (time.perf_counter() - began, 0)}
        self._path = ""
        self._of_range: Mapping[int, pa.Array] = {}

    def run(self, task: _Task) -> tuple[dict[str, bytes], bytes, Any, dict[int, bytes]]:
        batch = self._runner.source_batch(from_bytes(task.columns)[0], task.spans, task.batch_id)
        kept = {node: from_bytes(held)[0] for node, held in task.restored.items()}
        restore(self._runner.program, batch, kept)
        batch.prior = self._late_in(task.prior)
        result = self._runner.run(batch)
        add_timings(result.timings, self._start)
        self._start = {}
        outputs = {name: to_bytes([made]) for name, made in result.outputs.items()}
        held = {node: to_bytes([made]) for node, made in result.kept.items()}
        return outputs, to_bytes(result.states), result.timings, held

    def close(self) -> None:
        self._runner.close()

    def _late_in(self, path: str) -> Mapping[int, pa.Array]:
        """What is known of a range, which is read once for all of its batches."""
        if path != self._path:
            self._path = path
            self._of_range = PriorResults.from_bytes(Path(path).read_bytes()).values if path else {}
        return self._of_range
