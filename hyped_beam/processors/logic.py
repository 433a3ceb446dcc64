"""`& | ^ ~`: three-valued logic on booleans (null is "unknown"), bit by bit on integers."""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow.compute as pc

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import operator
from hyped_beam.types.patterns import BooleanColumn, IntegerColumn


class _Logic(Processor):
    """An operation on two values of their common type."""

    accepts_scalars: ClassVar[bool] = True
    promote: ClassVar[bool] = True


@operator("&")
class And(_Logic):
    """Whether both are true: false where one is false, else null where one is null."""

    def process(self, left: BooleanColumn, right: BooleanColumn) -> BooleanColumn:
        return pc.and_kleene(left, right)

    def as_expression(self, left: Any, right: Any) -> Any:
        return left & right


@operator("|")
class Or(_Logic):
    """Whether one is true: true where one is true, else null where one is null."""

    def process(self, left: BooleanColumn, right: BooleanColumn) -> BooleanColumn:
        return pc.or_kleene(left, right)

    def as_expression(self, left: Any, right: Any) -> Any:
        return left | right


@operator("^")
class Xor(_Logic):
    """Whether exactly one is true; null where one is null."""

    def process(self, left: BooleanColumn, right: BooleanColumn) -> BooleanColumn:
        return pc.xor(left, right)


@operator("~")
class Not(Processor):
    """Whether it is false; null where it is null."""

    def process(self, value: BooleanColumn) -> BooleanColumn:
        return pc.invert(value)

    def as_expression(self, value: Any) -> Any:
        return ~value


@operator("&")
class BitwiseAnd(_Logic):
    """The bits that are set in both integers."""

    def process(self, left: IntegerColumn, right: IntegerColumn) -> IntegerColumn:
        return pc.bit_wise_and(left, right)


@operator("|")
class BitwiseOr(_Logic):
    """The bits that are set in one of two integers."""

    def process(self, left: IntegerColumn, right: IntegerColumn) -> IntegerColumn:
        return pc.bit_wise_or(left, right)


@operator("^")
class BitwiseXor(_Logic):
    """The bits that differ between two integers."""

    def process(self, left: IntegerColumn, right: IntegerColumn) -> IntegerColumn:
        return pc.bit_wise_xor(left, right)


@operator("~")
class BitwiseNot(Processor):
    """All bits of an integer turned over."""

    def process(self, value: IntegerColumn) -> IntegerColumn:
        return pc.bit_wise_not(value)
