"""Durations as quantities: `* /`, unary minus, `abs` and `total_seconds`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import DefinitionTypeError
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method, operator
from hyped_beam.processors.row_errors import with_hint
from hyped_beam.processors.times.operands import counts_of, occurs, overflow, rows_of, without_value
from hyped_beam.processors.times.units import PER_SECOND, finest
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import AnyColumn, DurationColumn, Float64Column
from hyped_beam.types.vectors import Vector, column_of, computable, valid_rows

_NUMBERS = (Family.INTEGER, Family.FLOAT)
_LIMIT = 2.0**63


@operator("*")
class MultiplyDuration(Processor):
    """A duration times a number, in the unit of the duration; overflow is an error.

    By a float it is computed in float64 and rounded to the unit, halves to even.
    """

    accepts_scalars: ClassVar[bool] = True

    def output(self, left: Feature, right: Feature) -> Feature:
        if features.family(right) not in (*_NUMBERS, Family.NULL):
            raise _refused("*", left, right, "a duration is multiplied by an integer or a float")
        return left

    def process(self, left: DurationColumn, right: AnyColumn) -> DurationColumn:
        if without_value(left, right):
            return pa.nulls(rows_of(left, right), self.output_type)
        if pa.types.is_integer(right.type):
            return _checked("*", pc.multiply_checked, self.output_type, left, right)
        with np.errstate(all="ignore"):  # what lies under nulls may be anything
            product = counts_of(left) * _floats(right)
        return _rounded("*", product, self.output_type, valid_rows(left, right))


@operator("/")
class DivideDuration(Processor):
    """A duration by a number, rounded to its unit (halves to even), or by a duration, which is a float64.

    By a number that is zero it is an error, by the duration zero it is inf or nan.
    """

    accepts_scalars: ClassVar[bool] = True

    def output(self, left: Feature, right: Feature) -> Feature:
        family = features.family(right)
        if family is Family.DURATION:
            return features.value("float64")
        if family not in (*_NUMBERS, Family.NULL):
            raise _refused("/", left, right, "a duration is divided by an integer, a float or a duration")
        return left

    def process(self, left: DurationColumn, right: AnyColumn) -> pa.Array:
        if without_value(left, right):
            return pa.nulls(rows_of(left, right), self.output_type)
        if pa.types.is_duration(right.type):
            return _ratio(left, right)
        valid = valid_rows(left, right)
        if pa.types.is_integer(right.type):
            divisor = counts_of(_as_int64("/", right, self.output_type))
        else:
            divisor = _floats(right)
        if occurs(divisor == 0, valid):
            raise with_hint(
                ZeroDivisionError("duration '/' by zero"),
                "for null there, divide by ops.if_else(divisor == 0, None, divisor)",
            )
        with np.errstate(all="ignore"):  # what lies under nulls may be zero
            if pa.types.is_integer(right.type):
                return _divided(counts_of(left), divisor, self.output_type, valid)
            return _rounded("/", counts_of(left) / divisor, self.output_type, valid)


@operator("neg")
class NegateDuration(Processor):
    """The duration in the other direction."""

    def process(self, value: DurationColumn) -> DurationColumn:
        return _checked("-", pc.negate_checked, value.type, value)


@method("abs")
@operator("abs")
class AbsoluteDuration(Processor):
    """The length of each duration, without its direction."""

    def process(self, value: DurationColumn) -> DurationColumn:
        return _checked("abs", pc.abs_checked, value.type, value)


@method("total_seconds")
class TotalSeconds(Processor):
    """Each duration in seconds, as float64.

    Example:
        >>> import datetime, pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"took": [datetime.timedelta(minutes=1, milliseconds=500), None]})
        >>> evaluate(flow_of(table.schema).took.total_seconds(), table).to_pylist()
        [60.5, None]
    """

    def process(self, duration: DurationColumn) -> Float64Column:
        counts = pc.cast(pc.cast(duration, pa.int64()), pa.float64(), safe=False)
        return pc.divide(counts, float(PER_SECOND[duration.type.unit]))


def _refused(symbol: str, left: Feature, right: Feature, hint: str) -> DefinitionTypeError:
    shown = f"{features.shortened(left, 80)} and {features.shortened(right, 80)}"
    return DefinitionTypeError(f"{symbol!r} means nothing for {shown}", hint=hint)


def _ratio(left: Any, right: Any) -> pa.Array:
    unit = pa.duration(finest(left.type.unit, right.type.unit))
    try:
        counts = (pc.cast(pc.cast(value, unit), pa.int64()) for value in (left, right))
        return pc.divide(*(pc.cast(count, pa.float64(), safe=False) for count in counts))
    except pa.ArrowInvalid as error:
        raise overflow("/", unit) from error


def _checked(symbol: str, kernel: Callable[..., Any], output_type: pa.DataType, *values: Any) -> pa.Array:
    try:
        return pc.cast(kernel(*(_as_int64(symbol, value, output_type) for value in values)), output_type)
    except pa.ArrowInvalid as error:
        raise overflow(symbol, output_type) from error


def _as_int64(symbol: str, value: Any, output_type: pa.DataType) -> Any:
    try:
        return pc.cast(value, pa.int64())
    except pa.ArrowInvalid as error:
        raise overflow(symbol, output_type) from error


def _floats(value: Any) -> Any:
    number = pc.cast(computable(value), pa.float64())
    return (
        np.float64(number.as_py()) if isinstance(number, pa.Scalar) else number.to_numpy(zero_copy_only=False)
    )


def _rounded(symbol: str, counts: Vector, output_type: pa.DataType, valid: Vector | None) -> pa.Array:
    rounded = np.rint(counts)
    fits = (rounded >= -_LIMIT) & (rounded < _LIMIT)  # nan does not, either
    if occurs(~fits, valid):
        raise overflow(symbol, output_type)
    return column_of(np.where(fits, rounded, 0).astype(np.int64), output_type, valid)


def _divided(dividend: Any, divisor: Any, output_type: pa.DataType, valid: Vector | None) -> pa.Array:
    """The quotient of integers, rounded exactly, halves to even."""
    smallest = np.iinfo(np.int64).min
    if occurs((dividend == smallest) & (divisor == -1), valid):
        raise overflow("/", output_type)
    quotient = np.floor_divide(dividend, divisor)
    rest = _size(dividend - quotient * divisor)
    other = _size(divisor) - rest
    upwards = (rest > other) | ((rest == other) & (quotient % 2 == 1))
    return column_of(quotient + upwards, output_type, valid)


def _size(values: Any) -> Any:
    """The absolute values as uint64, which holds that of the smallest int64, too."""
    return np.abs(values).astype(np.uint64)
