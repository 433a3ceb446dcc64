"""Units of time, and the patterns of inputs that have them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import pyarrow as pa

from hyped_beam.types.features import Family
from hyped_beam.types.patterns import several

UNITS = ("s", "ms", "us", "ns")
"""The units of Arrow's times, from the coarsest."""

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""How many of a unit a second has."""

SECONDS_PER_DAY = 86_400

CalendarColumn: TypeAlias = Annotated[
    pa.Array, several("a timestamp or a date", Family.TIMESTAMP, Family.DATE)
]
ClockColumn: TypeAlias = Annotated[
    pa.Array, several("a timestamp or a time of day", Family.TIMESTAMP, Family.TIME)
]
CalendarOrClockColumn: TypeAlias = Annotated[
    pa.Array, several("a timestamp, a date or a time of day", Family.TIMESTAMP, Family.DATE, Family.TIME)
]


def finest(*units: str) -> str:
    """The finest of some units."""
    return max(units, key=UNITS.index)
