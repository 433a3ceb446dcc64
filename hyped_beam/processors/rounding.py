"""Rounding of numbers: `round`, `floor`, `ceil`; the result has the type of the input, as in polars."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hyped_beam.errors import DefinitionError
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors.row_errors import with_hint
from hyped_beam.types.features import Family, Feature, family
from hyped_beam.types.patterns import NumberColumn
from hyped_beam.types.vectors import Vector, column_of, computable, valid_rows, values_of

_EXACT_POWERS = 22  # 10.0**22 is the largest power of ten that float64 holds exactly
_ALL_INTEGERS = 2.0**52  # from here on a float has no fraction


@method("round")
class Round(Processor):
    """Each number rounded to `digits` decimal places, halves to even, exactly as Python's `round` does.

    Attributes:
        digits: How many decimal places; negative ones round to tens, hundreds, ...

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"x": [2.5, 2.675, 1234.0]})
        >>> evaluate(round(flow_of(table.schema).x, 2), table).to_pylist()
        [2.5, 2.67, 1234.0]
    """

    digits: int = Field(default=0, ge=-300, le=300)

    def output(self, value: Feature) -> Feature:
        if family(value) is Family.INTEGER and self.digits < -18:  # noqa: PLR2004 - digits of int64
            raise DefinitionError(
                f"no integer is rounded to digits={self.digits}", hint="digits=-18 is the least for integers"
            )
        return self.interface().infer({"value": value})

    def process(self, value: NumberColumn) -> NumberColumn:
        if pa.types.is_floating(value.type):
            return _round_floats(value, self.digits)
        if self.digits >= 0 and pa.types.is_integer(value.type):
            return value
        wide = value
        if pa.types.is_integer(value.type):  # the power of ten must fit, too
            wide = pc.cast(value, pa.uint64() if pa.types.is_uint64(value.type) else pa.int64())
        try:
            return pc.cast(pc.round(wide, self.digits, round_mode="half_to_even"), self.output_type)
        except pa.ArrowInvalid as error:
            raise with_hint(
                OverflowError(f"rounded to {self.digits} digits it does not fit into {self.output_type}"),
                'write .cast("float64").round(...)',
            ) from error


@method("floor")
class Floor(Processor):
    """The greatest whole number that is not greater."""

    def process(self, value: NumberColumn) -> NumberColumn:
        return value if pa.types.is_integer(value.type) else _same_type(pc.floor, value)


@method("ceil")
class Ceil(Processor):
    """The least whole number that is not less."""

    def process(self, value: NumberColumn) -> NumberColumn:
        return value if pa.types.is_integer(value.type) else _same_type(pc.ceil, value)


def _same_type(kernel: Any, value: pa.Array) -> pa.Array:
    return pc.cast(kernel(computable(value)), value.type)


def _round_floats(array: pa.Array, digits: int) -> pa.Array:
    valid = valid_rows(array)
    values = values_of(array).astype(np.float64, copy=False)
    with np.errstate(all="ignore"):  # what lies under nulls may be anything
        rounded = np.rint(values) if digits == 0 else _round_exactly(values, digits)
        return column_of(rounded.astype(array.type.to_pandas_dtype(), copy=False), array.type, valid)


def _round_exactly(values: Vector, digits: int) -> Vector:
    """Scaled, rounded and scaled back; where that may differ from decimal rounding, Python does it.

    A whole number over a power of ten that are both exact gives the float nearest to that decimal, which is
    what Python's `round` returns. Only the scaling rounds, which matters next to a half.
    """
    if abs(digits) > _EXACT_POWERS:
        return np.array([round(value, digits) for value in values.tolist()], np.float64)
    power = 10.0 ** abs(digits)
    scaled = values * power if digits > 0 else values / power
    whole = np.rint(scaled)
    result = whole / power if digits > 0 else whole * power
    distance = np.abs(np.abs(scaled - whole) - 0.5)
    bounded = np.maximum(np.abs(scaled), np.abs(result)) < _ALL_INTEGERS
    doubtful = np.isfinite(values) & ~(bounded & (distance > np.abs(scaled) * 1e-15))
    unbounded = ~np.isfinite(values)
    result[unbounded] = values[unbounded]
    where = np.flatnonzero(doubtful)
    result[where] = [round(value, digits) for value in values[where].tolist()]
    return result
