"""Times made coarser: `truncate`, and their parts `date` and `time`."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import DefinitionTypeError
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors.row_errors import with_hint
from hyped_beam.processors.times.operands import counts_of
from hyped_beam.processors.times.units import PER_SECOND, CalendarOrClockColumn
from hyped_beam.processors.times.zones import from_local, local
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import DateColumn, TimestampColumn
from hyped_beam.types.vectors import column_of, valid_rows

_NANOSECONDS = {
    "hour": 3600 * 10**9,
    "minute": 60 * 10**9,
    "second": 10**9,
    "millisecond": 10**6,
    "microsecond": 10**3,
}
_CALENDAR = ("year", "quarter", "month", "week", "day")


@method("truncate")
class Truncate(Processor):
    """The start of the year, month, ..., second that each time lies in; the type stays.

    Years, days and the like are those of the time zone of a timestamp. In the hour that a change of clocks
    repeats, the first hour stays the first and the second the second.

    Attributes:
        unit: "year", "quarter", "month", "week" (from Monday), "day", "hour", "minute", "second",
            "millisecond" or "microsecond"; for dates only down to "day", for times of day from "hour".

    Raises:
        DefinitionError: There is no such unit, or the input does not have it.

    Example:
        >>> import datetime, pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"sent": [datetime.datetime(2001, 10, 26, 9, 30)]})
        >>> evaluate(flow_of(table.schema).sent.truncate("day"), table).to_pylist()
        [datetime.datetime(2001, 10, 26, 0, 0)]
    """

    unit: Literal[
        "year",
        "quarter",
        "month",
        "week",
        "day",
        "hour",
        "minute",
        "second",
        "millisecond",
        "microsecond",
    ]

    def output(self, time: Feature) -> Feature:
        units: tuple[str, ...] = (*_CALENDAR, *_NANOSECONDS)
        if features.family(time) is Family.DATE:
            units = _CALENDAR
        elif features.family(time) is Family.TIME:
            units = tuple(_NANOSECONDS)
        if self.unit not in units:
            raise DefinitionTypeError(
                f"{features.describe(time)} has no {self.unit} to truncate to",
                hint=f"the units are: {', '.join(units)}",
            )
        return time

    def process(self, time: CalendarOrClockColumn) -> CalendarOrClockColumn:
        if self.unit not in _CALENDAR:
            return self._to_clock_unit(time)
        clock = local(time)
        start = pc.floor_temporal(clock, unit=self.unit)
        if pc.any(pc.greater(start, clock)).as_py():  # the kernel wraps around
            raise with_hint(
                OverflowError(f"the start of the {self.unit} does not fit into {time.type}"),
                'compute in a coarser unit: write .cast("timestamp[us]")',
            )
        zone = time.type.tz if pa.types.is_timestamp(time.type) else None
        return start if zone is None else from_local(start, zone)

    def _to_clock_unit(self, time: pa.Array) -> pa.Array:
        step = _NANOSECONDS[self.unit] * PER_SECOND[time.type.unit] // PER_SECOND["ns"]
        if step <= 1:
            return time
        clock = counts_of(local(time))
        past = clock - np.floor_divide(clock, step) * step
        return column_of(counts_of(time) - past, time.type, valid_rows(time))


@method("date")
class Date(Processor):
    """The date of each timestamp, in its time zone.

    Example:
        >>> import datetime, pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"sent": [datetime.datetime(2001, 10, 26, 9, 30)]})
        >>> evaluate(flow_of(table.schema).sent.date(), table).to_pylist()
        [datetime.date(2001, 10, 26)]
    """

    def output(self, time: Feature) -> Feature:  # noqa: ARG002 - the same for all
        return features.value("date32")

    def process(self, time: TimestampColumn) -> DateColumn:
        return pc.cast(local(time), pa.date32())


@method("time")
class Time(Processor):
    """The time of day of each timestamp, in its time zone and its unit."""

    def output(self, time: Feature) -> Feature:
        unit = features.to_arrow(time).unit
        return features.from_arrow(pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit))

    def process(self, time: TimestampColumn) -> pa.Array:
        return pc.cast(local(time), self.output_type)
