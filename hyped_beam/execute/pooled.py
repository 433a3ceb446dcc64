"""A stage whose batches a pool computes, while this process reads and writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from hyped_beam.execute.pool import ProcessPool
from hyped_beam.execute.stage import Batch, BatchResult, StageRunner
from hyped_beam.execute.states import from_bytes, to_bytes
from hyped_beam.plan.program import Program
from hyped_beam.types import arrays


class PooledStage:
    """Runs a program on batches as `StageRunner` does, in other processes; results come in order.

    Args:
        program: The program, of a stage that takes a source.
        pool: The processes.
    """

    uses_loop = True
    """Whether several batches are in flight."""

    def __init__(self, program: Program, pool: ProcessPool) -> None:
        self.program = program
        self.pool = pool

    def open(self) -> None:
        """Nothing: each process opens its own."""

    def close(self) -> None:
        """Nothing: each process closes its own."""

    def run_all(self, batches: Iterable[Batch]) -> Iterator[BatchResult]:
        """The results of batches, in their order; a few of them are in flight.

        Raises:
            NodeError: A node raised.
            JobError: A process ended.
        """
        tasks = (self._packed(batch) for batch in batches)
        for outputs, states, timings in self.pool.run_in_order(_ComputeJob(self.program), tasks):
            yield BatchResult({name: from_bytes(held) for name, held in outputs.items()}, states, timings)

    def _packed(self, batch: Batch) -> tuple[bytes, int | None]:
        columns: Any = batch.values[self.program.takes[0]]
        if columns:
            held = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
        else:
            held = pa.RecordBatch.from_struct_array(arrays.struct_of({}, batch.rows))
        return to_bytes(held), batch.first_row  # a pickle of a slice would hold all that it is cut from


@dataclass(frozen=True)
class _ComputeJob:
    program: Program

    def open(self) -> _Compute:
        return _Compute(self.program)


class _Compute:
    def __init__(self, program: Program) -> None:
        self._runner = StageRunner(program)
        self._runner.open()

    def run(self, task: tuple[bytes, int | None]) -> tuple[dict[str, bytes], Any, Any]:
        held, first_row = task
        result = self._runner.run(self._runner.source_batch(from_bytes(held), first_row))
        outputs = {name: to_bytes(batch) for name, batch in result.outputs.items()}
        return outputs, result.states, result.timings

    def close(self) -> None:
        self._runner.close()
