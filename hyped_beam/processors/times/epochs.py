"""Times as numbers: `epoch`."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors.row_errors import with_hint
from hyped_beam.processors.times.operands import counts_of
from hyped_beam.processors.times.units import PER_SECOND, CalendarColumn
from hyped_beam.types.patterns import Int64Column
from hyped_beam.types.vectors import column_of, valid_rows


@method("epoch")
class Epoch(Processor):
    """How many whole units have passed since 1970-01-01 00:00 UTC, rounded down.

    A timestamp without a time zone, and a date, count as UTC.

    Attributes:
        unit: "s", "ms", "us" or "ns".

    Example:
        >>> import datetime, pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"sent": [datetime.datetime(1970, 1, 1, 0, 1), None]})
        >>> evaluate(flow_of(table.schema).sent.epoch("ms"), table).to_pylist()
        [60000, None]
    """

    unit: Literal["s", "ms", "us", "ns"] = "s"

    def process(self, time: CalendarColumn) -> Int64Column:
        if pa.types.is_date(time.type):
            time = pc.cast(time, pa.timestamp("s"))  # a date64 is of whole days
        given, wanted = PER_SECOND[time.type.unit], PER_SECOND[self.unit]
        if wanted < given:
            return column_of(np.floor_divide(counts_of(time), given // wanted), pa.int64(), valid_rows(time))
        counts = pc.cast(time, pa.int64())
        if wanted == given:
            return counts
        try:
            return pc.multiply_checked(counts, wanted // given)
        except pa.ArrowInvalid as error:
            raise with_hint(
                OverflowError(f"a count of {self.unit} since 1970 does not fit into int64"),
                'count a coarser unit: write .epoch("us")',
            ) from error
