"""What a stage makes of one batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from hyped_beam.execute.aggregate_inputs import AggregateInputs
from hyped_beam.execute.batch import Batch
from hyped_beam.execute.combining import StageUpdate
from hyped_beam.execute.timing import Timings


@dataclass
class BatchAggregates:
    """What aggregators take of a batch.

    Attributes:
        update: What makes their states.
        coalesced: What those take that may take several batches together.
        per_batch: What the others take.
    """

    update: StageUpdate
    coalesced: AggregateInputs
    per_batch: AggregateInputs


@dataclass
class BatchResult:
    """What a stage made of one batch.

    Attributes:
        outputs: Rows by the name of the output.
        timings: How long its steps took; those of coroutines with what they waited for.
        kept: The values of nodes that may run only once, for later scans.
        batch: The batch itself; None where it was computed in another process.
        aggregated: What the aggregators take of it; their states where it was computed in another process.
    """

    outputs: dict[str, pa.RecordBatch]
    timings: Timings
    kept: dict[int, pa.RecordBatch]
    batch: Batch | None
    aggregated: BatchAggregates | list[pa.RecordBatch]

    @cached_property
    def states(self) -> list[pa.RecordBatch]:
        """For each combine of the program the states of its aggregators, a row for each group.

        Raises:
            NodeError: An aggregator raised.
        """
        if isinstance(self.aggregated, list):
            return self.aggregated
        found = self.aggregated
        joined = found.update.states(found.coalesced, self.timings, coalesced=True)
        numbered = dict([*joined, *found.update.states(found.per_batch, self.timings, coalesced=False)])
        return [numbered[number] for number in sorted(numbered)]
