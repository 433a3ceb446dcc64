"""Arithmetic on numbers: `+ - * / // % **`, unary minus and `abs`.

Inputs are cast to their common type, which is also the result's: int32 + 1 is int32. `/` is float64, always.
Integers that overflow are an error, and so is an integer `//` or `%` by zero; floats give inf and nan.
Decimals are exact, and grow as in SQL: a sum has one digit more, a product of two of p digits has 2 * p + 1
of them, and as many places behind the point as both together. There are 76 digits at most, and 38 in a sum of
decimal128; a result that needs more is an error.
"""

from __future__ import annotations

import decimal
import operator as operators
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import DefinitionTypeError
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method, operator
from hyped_beam.processors.row_errors import with_hint
from hyped_beam.types import arrays, features
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import Float64Column, NumberColumn
from hyped_beam.types.vectors import Vector, column_of, computable, valid_rows, value_of

_DIGITS = {128: 38, 256: 76}
_PYTHON = {"+": operators.add, "-": operators.sub, "*": operators.mul}
_PYTHON_DIGITS = 200
_SIGNED = {"uint8": "int16", "uint16": "int32", "uint32": "int64", "uint64": "int64"}


class _Arithmetic(Processor):
    """An operation on two numbers of their common type, which is the type of the result."""

    accepts_scalars: ClassVar[bool] = True
    promote: ClassVar[bool] = True

    def output(self, left: Feature, right: Feature) -> Feature:  # noqa: ARG002 - promoted: both are of one type
        return _plain(left)


@operator("+")
class Add(_Arithmetic):
    """The sum of two numbers; integer overflow is an error."""

    def output(self, left: Feature, right: Feature) -> Feature:
        return _wider_decimal(left) or super().output(left, right)

    def process(self, left: NumberColumn, right: NumberColumn) -> NumberColumn:
        return _checked("+", pc.add_checked, self.output_type, left, right)


@operator("-")
class Subtract(_Arithmetic):
    """The difference of two numbers; integer overflow (unsigned below zero, too) is an error."""

    def output(self, left: Feature, right: Feature) -> Feature:
        return _wider_decimal(left) or super().output(left, right)

    def process(self, left: NumberColumn, right: NumberColumn) -> NumberColumn:
        return _checked("-", pc.subtract_checked, self.output_type, left, right)


@operator("*")
class Multiply(_Arithmetic):
    """The product of two numbers; integer overflow is an error."""

    def output(self, left: Feature, right: Feature) -> Feature:
        if features.family(left) is not Family.DECIMAL:
            return super().output(left, right)
        factor = features.to_arrow(left)
        precision, scale = min(2 * factor.precision + 1, _DIGITS[256]), 2 * factor.scale
        if scale > _DIGITS[256]:
            raise DefinitionTypeError(
                f"a product of two {features.describe(left)} has {scale} places, more than 76",
                hint='write .cast("float64"), or cast to a decimal of fewer places',
            )
        wide = pa.decimal256 if precision > _DIGITS[128] else pa.decimal128
        return features.from_arrow(wide(precision, scale))

    def process(self, left: NumberColumn, right: NumberColumn) -> NumberColumn:
        return _checked("*", pc.multiply_checked, self.output_type, left, right)


@operator("/")
class Divide(Processor):
    """The quotient of two numbers as float64; by zero it is inf or nan."""

    accepts_scalars: ClassVar[bool] = True

    def process(self, left: NumberColumn, right: NumberColumn) -> Float64Column:
        # int64 to float64 rounds above 2**53, as it does in Python's float() and in polars
        return pc.divide(pc.cast(left, pa.float64(), safe=False), pc.cast(right, pa.float64(), safe=False))


@operator("//")
class FloorDivide(_Arithmetic):
    """The quotient rounded down, as in Python; an integer by zero is an error, a float gives inf or nan."""

    def output(self, left: Feature, right: Feature) -> Feature:
        return _no_decimal("//", super().output(left, right))

    def process(self, left: NumberColumn, right: NumberColumn) -> NumberColumn:
        return _floored("//", left, right, self.output_type)


@operator("%")
class Modulo(_Arithmetic):
    """The remainder, with the sign of the divisor as in Python; an integer by zero is an error."""

    def output(self, left: Feature, right: Feature) -> Feature:
        return _no_decimal("%", super().output(left, right))

    def process(self, left: NumberColumn, right: NumberColumn) -> NumberColumn:
        return _floored("%", left, right, self.output_type)


@operator("**")
class Power(_Arithmetic):
    """A number to the power of another.

    Integers stay integers, so that a negative exponent is an error for them, as overflow is.
    """

    def output(self, left: Feature, right: Feature) -> Feature:
        return _no_decimal("**", super().output(left, right))

    def process(self, left: NumberColumn, right: NumberColumn) -> NumberColumn:
        if isinstance(right, pa.Scalar) and right.is_valid and right.as_py() == 2:  # noqa: PLR2004 - a square
            return _checked("**", pc.multiply_checked, self.output_type, left, left)
        return _checked("**", pc.power_checked, self.output_type, left, right)


@operator("neg")
class Negate(Processor):
    """The negative of a number; unsigned integers become signed ones of twice the width (at most int64)."""

    def output(self, value: Feature) -> Feature:
        plain = _plain(value)
        return features.value(_SIGNED.get(str(plain.dtype), str(plain.dtype)))

    def process(self, value: NumberColumn) -> NumberColumn:
        if pa.types.is_unsigned_integer(value.type):
            value = _checked("-", lambda number: pc.cast(number, self.output_type), self.output_type, value)
        return _checked("-", pc.negate_checked, self.output_type, value)


@method("abs")
@operator("abs")
class Absolute(Processor):
    """The absolute value; that of the smallest integer of a type overflows, which is an error."""

    def output(self, value: Feature) -> Feature:
        return _plain(value)

    def process(self, value: NumberColumn) -> NumberColumn:
        return _checked("abs", pc.abs_checked, self.output_type, value)


def _plain(feature: Feature) -> Feature:
    return features.value("int64") if features.is_class_label(feature) else feature


def _wider_decimal(feature: Feature) -> Feature | None:
    if features.family(feature) is not Family.DECIMAL:
        return None
    given = features.to_arrow(feature)
    wide = pa.decimal128 if given.bit_width == 128 else pa.decimal256  # noqa: PLR2004 - the type's name
    return features.from_arrow(wide(min(given.precision + 1, _DIGITS[given.bit_width]), given.scale))


def _no_decimal(symbol: str, feature: Feature) -> Feature:
    if features.family(feature) is Family.DECIMAL:
        raise DefinitionTypeError(
            f"{symbol!r} takes integers and floats, got {features.describe(feature)}",
            hint='write .cast("float64")',
        )
    return feature


def _checked(symbol: str, kernel: Callable[..., Any], output_type: pa.DataType, *values: Any) -> pa.Array:
    """What a kernel computes; its overflow is told in the user's terms."""
    operands = [computable(value) for value in values]
    if pa.types.is_decimal(output_type):
        digits = _digits_of_kernel(symbol, operands)
        if digits > _DIGITS[256]:
            return _exactly(symbol, output_type, *operands)
        if digits > _DIGITS[128]:  # decimal128 has 38 at most
            operands = [
                pc.cast(operand, pa.decimal256(operand.type.precision, operand.type.scale))
                for operand in operands
            ]
    try:
        result = kernel(*operands)
        return result if result.type.equals(output_type) else pc.cast(result, output_type)
    except pa.ArrowInvalid as error:
        if "negative integer powers" in str(error):
            raise with_hint(
                ValueError("an integer to a negative power is no integer"), 'write .cast("float64") ** ...'
            ) from error
        raise _overflow(symbol, output_type) from error


def _digits_of_kernel(symbol: str, operands: Sequence[Any]) -> int:
    """The digits of the type in which Arrow's kernel computes with one decimal, or with two of one type."""
    precision = int(operands[0].type.precision)
    if len(operands) == 1:
        return precision
    return 2 * precision + 1 if symbol == "*" else precision + 1


def _exactly(symbol: str, output_type: pa.DataType, *operands: Any) -> pa.Array:
    """What Python computes with decimals for which Arrow has no kernel, row by row."""
    rows = next(len(operand) for operand in operands if isinstance(operand, pa.Array))
    columns = (arrays.whole(operand, rows).to_pylist() for operand in operands)
    with decimal.localcontext(decimal.Context(prec=_PYTHON_DIGITS)):
        found = [None if None in row else _PYTHON[symbol](*row) for row in zip(*columns, strict=True)]
        try:
            return pa.array(found, output_type)
        except pa.ArrowInvalid as error:
            raise _overflow(symbol, output_type) from error


def _overflow(symbol: str, arrow_type: pa.DataType) -> OverflowError:
    wide = pa.types.is_decimal(arrow_type) or arrow_type.bit_width == 64  # noqa: PLR2004 - the widest integers
    return with_hint(
        OverflowError(f"the result of {symbol!r} does not fit into {arrow_type}"),
        f'compute in a wider type: write .cast("{"float64" if wide else "int64"}") on an input',
    )


def _floored(symbol: str, left: Any, right: Any, arrow_type: pa.DataType) -> pa.Array:
    """`//` and `%` as numpy computes them, which is as Python does; Arrow's kernel rounds towards zero."""
    rows = next(len(value) for value in (left, right) if isinstance(value, pa.Array))
    if any(isinstance(value, pa.Scalar) and not value.is_valid for value in (left, right)):
        return pa.nulls(rows, arrow_type)
    valid = valid_rows(left, right)
    dividend, divisor = value_of(left), value_of(right)
    if pa.types.is_integer(arrow_type):
        _check_division(symbol, dividend, divisor, valid, arrow_type)
    with np.errstate(all="ignore"):  # what lies under nulls, and floats, may divide by zero
        if symbol == "//":
            result = np.floor_divide(dividend, divisor)
        elif isinstance(right, pa.Scalar) and pa.types.is_integer(arrow_type):
            # numpy divides by one integer with multiplications, but takes remainders by division: 1.7x
            result = dividend - np.floor_divide(dividend, divisor) * divisor
        else:
            result = np.remainder(dividend, divisor)
        return column_of(result, arrow_type, valid)


def _check_division(
    symbol: str, dividend: Any, divisor: Any, valid: Vector | None, arrow_type: pa.DataType
) -> None:
    def occurs(found: Any) -> bool:
        return bool(np.any(found if valid is None else found & valid))

    if occurs(divisor == 0):
        raise with_hint(
            ZeroDivisionError(f"integer {symbol!r} by zero"),
            "for null there, divide by ops.if_else(divisor == 0, None, divisor)",
        )
    if symbol == "//" and pa.types.is_signed_integer(arrow_type) and np.any(divisor == -1):
        smallest = np.iinfo(arrow_type.to_pandas_dtype()).min
        if occurs((dividend == smallest) & (divisor == -1)):
            raise _overflow(symbol, arrow_type)
