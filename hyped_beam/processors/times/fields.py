"""Fields of times: `year`, `month`, ..., `weekday`, each as int64.

An instant with a time zone has the fields that the clocks there showed; a timestamp without one has its own.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors.times.units import CalendarColumn, ClockColumn
from hyped_beam.processors.times.zones import local
from hyped_beam.types.patterns import Int64Column


class _CalendarField(Processor):
    """A field of a date."""

    kernel: ClassVar[Any]

    def process(self, time: CalendarColumn) -> Int64Column:
        return type(self).kernel(local(time))


class _ClockField(Processor):
    """A field of a time of day."""

    kernel: ClassVar[Any]

    def process(self, time: ClockColumn) -> Int64Column:
        return type(self).kernel(local(time))


@method("year")
class Year(_CalendarField):
    """The year.

    Example:
        >>> import datetime, pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"sent": [datetime.datetime(2001, 10, 26, 9, 30), None]})
        >>> evaluate(flow_of(table.schema).sent.year(), table).to_pylist()
        [2001, None]
    """

    kernel: ClassVar[Any] = staticmethod(pc.year)


@method("quarter")
class Quarter(_CalendarField):
    """The quarter of the year, from 1."""

    kernel: ClassVar[Any] = staticmethod(pc.quarter)


@method("month")
class Month(_CalendarField):
    """The month, from 1."""

    kernel: ClassVar[Any] = staticmethod(pc.month)


@method("week")
class Week(_CalendarField):
    """The week of the year as ISO 8601 counts them, from 1: weeks start on Monday, week 1 has January 4."""

    kernel: ClassVar[Any] = staticmethod(pc.iso_week)


@method("day")
class Day(_CalendarField):
    """The day of the month, from 1."""

    kernel: ClassVar[Any] = staticmethod(pc.day)


@method("weekday")
class Weekday(_CalendarField):
    """The day of the week as Python counts them: Monday is 0."""

    kernel: ClassVar[Any] = staticmethod(pc.day_of_week)


@method("hour")
class Hour(_ClockField):
    """The hour, from 0 to 23, in the time zone of the timestamp.

    Example:
        >>> import datetime, pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> noon = datetime.datetime(2001, 7, 1, 12, tzinfo=datetime.timezone.utc)
        >>> table = pa.table({"sent": pa.array([noon], pa.timestamp("s", "Europe/Berlin"))})
        >>> evaluate(flow_of(table.schema).sent.hour(), table).to_pylist()
        [14]
    """

    kernel: ClassVar[Any] = staticmethod(pc.hour)


@method("minute")
class Minute(_ClockField):
    """The minute of the hour."""

    kernel: ClassVar[Any] = staticmethod(pc.minute)


@method("second")
class Second(_ClockField):
    """The second of the minute."""

    kernel: ClassVar[Any] = staticmethod(pc.second)


@method("microsecond")
class Microsecond(Processor):
    """The microseconds of the second, from 0 to 999999, as in Python."""

    def process(self, time: ClockColumn) -> Int64Column:
        return microseconds(time)


def microseconds(time: pa.Array) -> pa.Array:
    """The microseconds of the second; Arrow counts those of the millisecond."""
    if pa.types.is_timestamp(time.type):
        time = time.cast(pa.timestamp(time.type.unit))  # no zone's offset has a fraction of a second
    return pc.add(pc.multiply(pc.millisecond(time), 1000), pc.microsecond(time))
