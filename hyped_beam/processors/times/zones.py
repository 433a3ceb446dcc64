"""Local times of instants, and back.

Arrow reads the transitions that are listed in the time zone database, which end in 2037 for zones with a
rule for all years to come; what lies behind them is looked up with `zoneinfo`, which knows the rule.
"""

from __future__ import annotations

import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.processors.times.operands import counts_of
from hyped_beam.processors.times.units import PER_SECOND, SECONDS_PER_DAY
from hyped_beam.types.vectors import Vector, column_of, valid_rows

_UTC = datetime.timezone.utc
_CYCLE = 146_097 * SECONDS_PER_DAY  # the calendar, and so a rule, repeats after 400 years
_STEP = 900  # in force rules change the offset at a full quarter of an hour of UTC
_LAST_LISTED = 2045


def is_zone(name: str) -> bool:
    """Whether there is a time zone of that name, or it is an offset like "+02:00"."""
    try:
        pc.local_timestamp(pa.array([0], pa.timestamp("s", name)))
    except pa.ArrowInvalid:
        return False
    return True


def local(time: pa.Array) -> pa.Array:
    """Timestamps as what the clocks in their zone showed, without a zone; all else unchanged."""
    if not pa.types.is_timestamp(time.type) or time.type.tz is None:
        return time
    found = pc.local_timestamp(time)
    horizon = _horizon(time.type.tz)
    if horizon is None:
        return found
    counts = counts_of(time)
    late = counts >= horizon * PER_SECOND[time.type.unit]
    if not late.any():
        return found
    clock = counts_of(found).copy()
    clock[late] = counts[late] + _late_offsets(time.type, counts[late], horizon)
    return column_of(clock, found.type, valid_rows(time))


def from_local(time: pa.Array, zone: str) -> pa.Array:
    """The instants at which the clocks of a zone showed some times.

    As Python's `fold=0` has it: of two instants it is the first, and a time that was left out counts
    on with the offset from before the gap.

    Args:
        time: Timestamps without a zone.
        zone: Name of the zone.
    """
    target = pa.timestamp(time.type.unit, zone)
    clock, valid = counts_of(time), valid_rows(time)
    day = SECONDS_PER_DAY * PER_SECOND[time.type.unit]
    before, after = _offsets(clock - day, target), _offsets(clock + day, target)
    instants = clock - before
    if not np.array_equal(before, after):
        later = clock - after
        moved = (_offsets(instants, target) != before) & (_offsets(later, target) == after)
        instants = np.where(moved, later, instants)
    return column_of(instants, target, valid)


def offsets(time: pa.Array) -> Any:
    """How many seconds the clocks of their zone were ahead of UTC at some instants."""
    return np.floor_divide(counts_of(local(time)) - counts_of(time), PER_SECOND[time.type.unit])


def abbreviations(time: pa.Array) -> pa.Array:
    """What the time of the zone was called at some instants: "CEST"; "UTC+02:00" where it is an offset."""
    name = time.type.tz
    if name[:1] in "+-":
        text = "UTC" if name in ("+00:00", "-00:00") else f"UTC{name}"
        return pc.if_else(time.is_valid(), text, pa.scalar(None, pa.string()))
    found = pc.strftime(time, "%Z")
    horizon = _horizon(name)
    counts, per_second = counts_of(time), PER_SECOND[time.type.unit]
    late = None if horizon is None else counts >= horizon * per_second
    if horizon is None or late is None or not late.any():
        return found
    seconds = _within_cycle(counts[late] // per_second, horizon)
    zone = ZoneInfo(name)
    steps, where = np.unique(seconds // _STEP, return_inverse=True)
    names = [datetime.datetime.fromtimestamp(step * _STEP, zone).tzname() for step in steps.tolist()]
    return pc.replace_with_mask(found, pa.array(late), pa.array(names, pa.string()).take(pa.array(where)))


def _offsets(instants: Vector, target: pa.DataType) -> Any:
    """How much clocks were ahead of UTC, in the unit of the type."""
    time = pa.array(instants).cast(pa.timestamp(target.unit)).cast(target)
    return counts_of(local(time)) - instants


def _late_offsets(arrow_type: pa.DataType, counts: Vector, horizon: int) -> Vector:
    zone, per_second = ZoneInfo(arrow_type.tz), PER_SECOND[arrow_type.unit]
    seconds = _within_cycle(counts // per_second, horizon)
    steps, where = np.unique(seconds // _STEP, return_inverse=True)
    found = [_offset(zone, datetime.datetime.fromtimestamp(step * _STEP, _UTC)) for step in steps.tolist()]
    return np.array(found, np.int64)[where] * per_second


def _within_cycle(seconds: Vector, horizon: int) -> Vector:
    return horizon + (seconds - horizon) % _CYCLE


def _offset(zone: ZoneInfo, instant: datetime.datetime) -> int:
    ahead = instant.astimezone(zone).utcoffset() or datetime.timedelta()
    return ahead // datetime.timedelta(seconds=1)


@lru_cache(maxsize=256)
def _horizon(name: str) -> int | None:
    """The start of the first year in which Arrow does not know all offsets of a zone; None if it does."""
    try:
        zone = ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # an offset, or there is no database for Python
        return None
    months = [
        datetime.datetime(year, month, 1, tzinfo=_UTC)
        for year in range(1970, _LAST_LISTED)
        for month in range(1, 13)
    ]
    instants = pa.array(months, pa.timestamp("s", name))
    known = (counts_of(pc.local_timestamp(instants)) - counts_of(instants)).tolist()
    for month, offset in zip(months, known, strict=True):
        if offset != _offset(zone, month):
            return int(datetime.datetime(month.year, 1, 1, tzinfo=_UTC).timestamp())
    return None
