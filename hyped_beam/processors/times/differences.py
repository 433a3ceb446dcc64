"""`+` and `-` on times.

The difference of two times is a duration; a time and a duration make a time. The unit of the result is the
finer of both. A date moves by whole days, as in Python: what a duration has beyond them is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import DefinitionTypeError
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import operator
from hyped_beam.processors.times.operands import counts_of, occurs, overflow, rows_of, without_value
from hyped_beam.processors.times.units import PER_SECOND, SECONDS_PER_DAY, finest
from hyped_beam.types import features, promotion
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import AnyColumn, TimeColumn
from hyped_beam.types.vectors import column_of, valid_rows

_DATE_DAYS = np.iinfo(np.int32)
_TIMES = (Family.TIMESTAMP, Family.DATE, Family.TIME, Family.DURATION)
_ADDED = {
    (Family.TIMESTAMP, Family.DURATION): Family.TIMESTAMP,
    (Family.DURATION, Family.TIMESTAMP): Family.TIMESTAMP,
    (Family.DATE, Family.DURATION): Family.DATE,
    (Family.DURATION, Family.DATE): Family.DATE,
    (Family.DURATION, Family.DURATION): Family.DURATION,
}
_SUBTRACTED = {
    (Family.TIMESTAMP, Family.TIMESTAMP): Family.DURATION,
    (Family.TIMESTAMP, Family.DATE): Family.DURATION,
    (Family.DATE, Family.TIMESTAMP): Family.DURATION,
    (Family.DATE, Family.DATE): Family.DURATION,
    (Family.TIME, Family.TIME): Family.DURATION,
    (Family.DURATION, Family.DURATION): Family.DURATION,
    (Family.TIMESTAMP, Family.DURATION): Family.TIMESTAMP,
    (Family.DATE, Family.DURATION): Family.DATE,
}


@operator("+")
class AddDuration(Processor):
    """A duration added to a timestamp, a date or a duration; overflow is an error.

    Example:
        >>> import datetime, pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"day": [datetime.date(2001, 10, 26), None]})
        >>> evaluate(flow_of(table.schema).day + datetime.timedelta(days=7), table).to_pylist()
        [datetime.date(2001, 11, 2), None]
    """

    accepts_scalars: ClassVar[bool] = True

    def output(self, left: Feature, right: Feature) -> Feature:
        return _result("+", _ADDED, left, right)

    def process(self, left: TimeColumn, right: AnyColumn) -> TimeColumn:
        if not pa.types.is_date(self.output_type):
            return _computed("+", pc.add_checked, left, right, self.output_type)
        date, duration = (left, right) if pa.types.is_date(left.type) else (right, left)
        return _moved("+", date, duration, self.output_type)


@operator("-")
class SubtractTimes(Processor):
    """The duration between two times, or a time less a duration; overflow is an error.

    Example:
        >>> import datetime, pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"sent": [datetime.datetime(2001, 10, 26, 9, 30)]})
        >>> evaluate(flow_of(table.schema).sent - datetime.datetime(2001, 10, 26), table).to_pylist()
        [datetime.timedelta(seconds=34200)]
    """

    accepts_scalars: ClassVar[bool] = True

    def output(self, left: Feature, right: Feature) -> Feature:
        return _result("-", _SUBTRACTED, left, right)

    def process(self, left: TimeColumn, right: AnyColumn) -> TimeColumn:
        if pa.types.is_date(self.output_type):
            return _moved("-", left, right, self.output_type)
        return _computed("-", pc.subtract_checked, left, right, self.output_type)


def _result(
    symbol: str, results: dict[tuple[Family, Family], Family], left: Feature, right: Feature
) -> Feature:
    families = (features.family(left), features.family(right))
    if families[1] is Family.NULL:
        return left
    result = results.get(families)
    shown = f"{features.shortened(left, 80)} and {features.shortened(right, 80)}"
    if result is None:
        raise DefinitionTypeError(f"{symbol!r} means nothing for {shown}", hint=_hint(symbol, *families))
    types = [features.to_arrow(feature) for feature in (left, right)]
    if Family.DURATION not in families and len({getattr(found, "tz", None) for found in types}) > 1:
        raise DefinitionTypeError(
            f"{symbol!r} takes times of one time zone, got {shown}",
            hint=promotion.hint(left, right),
        )
    if result is Family.DATE:
        return left if families[0] is Family.DATE else right
    unit = finest(*(_unit(found) for found in types))
    if result is Family.DURATION:
        return features.value(f"duration[{unit}]")
    stamp = types[families.index(Family.TIMESTAMP)]
    return features.from_arrow(pa.timestamp(unit, stamp.tz))


def _unit(arrow_type: pa.DataType) -> str:
    if pa.types.is_date(arrow_type):
        return "ms" if pa.types.is_date64(arrow_type) else "s"
    return str(arrow_type.unit)


def _hint(symbol: str, left: Family, right: Family) -> str | None:
    if right in (Family.INTEGER, Family.FLOAT):
        return f"say what is counted: ref {symbol} datetime.timedelta(seconds=...)"
    if right is Family.STRING:
        return "give a datetime, a date or a timedelta, or write .to_timestamp() on the text"
    if left is Family.DURATION and right in _TIMES:
        return "subtract the duration from the time: time - duration"
    if Family.TIME in (left, right) and Family.DURATION in (left, right):
        return "a time of day has no next day to run into: compute with the timestamp"
    if symbol == "+" and left in _TIMES and right in _TIMES:
        return "only a duration can be added to a time; `-` gives the duration between two"
    return None


def _computed(
    symbol: str, kernel: Callable[..., Any], left: Any, right: Any, output_type: pa.DataType
) -> pa.Array:
    if without_value(left, right):
        return pa.nulls(rows_of(left, right), output_type)
    try:
        values = (_as_timestamp(value, output_type) for value in (left, right))
        return pc.cast(kernel(*values), output_type)
    except pa.ArrowInvalid as error:
        raise overflow(symbol, output_type) from error


def _as_timestamp(value: Any, output_type: pa.DataType) -> Any:
    return pc.cast(value, pa.timestamp(output_type.unit)) if pa.types.is_date(value.type) else value


def _moved(symbol: str, date: Any, duration: Any, output_type: pa.DataType) -> pa.Array:
    """Dates moved by the whole days of durations, rounded down."""
    if without_value(date, duration):
        return pa.nulls(rows_of(date, duration), output_type)
    per_day = SECONDS_PER_DAY * PER_SECOND[duration.type.unit]
    days = np.floor_divide(counts_of(duration), per_day)
    start = counts_of(pc.cast(date, pa.date32()))
    moved = start + days if symbol == "+" else start - days
    valid = valid_rows(date, duration)
    outside = (moved < _DATE_DAYS.min) | (moved > _DATE_DAYS.max)
    if occurs(outside, valid):
        raise overflow(symbol, output_type)
    return pc.cast(column_of(moved.astype(np.int32), pa.date32(), valid), output_type)
