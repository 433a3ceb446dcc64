"""All passes of a plan in this process, over batches in memory: for tests, and to check what runners do."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from hyped_beam.execute.finish import finish
from hyped_beam.execute.keeping import restore
from hyped_beam.execute.known import Late
from hyped_beam.execute.stage import StageRunner
from hyped_beam.execute.states import StateTrees
from hyped_beam.plan.planner import Plan
from hyped_beam.types.spans import Span


def run_here(plan: Plan, batches: Sequence[pa.RecordBatch]) -> dict[str, list[pa.RecordBatch]]:
    """The outputs of a plan, each as the batches that it came in.

    Args:
        plan: The plan.
        batches: The rows of the source, with the columns that it reads; at least one batch.

    Raises:
        NodeError: A node raised.
    """
    late = Late()
    kept: list[dict[int, pa.RecordBatch]] = [{} for _ in batches]
    outputs: dict[str, list[pa.RecordBatch]] = {}
    for scan, end in plan.passes:
        trees = StateTrees(scan.combines)
        with StageRunner(scan, late) as runner:
            row = 0
            for place, batch in enumerate(batches):
                taken = runner.source_batch(batch, (Span(batch.num_rows, row),), (0, place))
                restore(scan, taken, kept[place])
                result = runner.run(taken)
                kept[place].update(result.kept)
                trees.add((0, place), result.states)
                for name, made in result.outputs.items():
                    outputs.setdefault(name, []).append(made)
                row += batch.num_rows
        if end is not None:
            finished = finish(scan.combines, end, trees.total(), late)
            late = late.with_more(finished.late)
            outputs.update({name: [made] for name, made in finished.outputs.items()})
    return outputs
