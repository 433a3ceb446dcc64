"""Numbers by which rows are told apart, the same whenever a source is read in the same cuts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from hyped_beam.execute.batch import Batch
from hyped_beam.ir.scope import SOURCE_ROWS
from hyped_beam.plan.program import Step
from hyped_beam.types.spans import numbers_of

RANGE_BITS, BATCH_BITS, ROW_BITS = 21, 16, 24
_OF_RANGES = np.int64(1 << 62)


def row_numbers(step: Step, batch: Batch) -> pa.Array:
    """A number for each row (int64), which rises in the order of the source.

    A row of the source has its number there, where that is known before it is read. Any other has one made of
    its range, its batch in that range, and its place in the batch.

    Raises:
        OverflowError: There are more rows than can be told apart.
    """
    rows = batch.rows_of(step.input_scope)
    known = numbers_of(batch.spans) if step.input_scope == SOURCE_ROWS else None
    if known is not None:
        return known
    number, place = batch.batch_id
    if number >> RANGE_BITS or place >> BATCH_BITS or rows >> ROW_BITS:
        msg = f"cannot tell apart the {rows:,} rows of batch {place} of range {number}"
        raise OverflowError(msg)
    first = _OF_RANGES + np.int64((number << (BATCH_BITS + ROW_BITS)) + (place << ROW_BITS))
    return pa.array(first + np.arange(rows))
