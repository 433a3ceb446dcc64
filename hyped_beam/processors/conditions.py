"""Choices by condition, and nulls: if_else, coalesce, is_null, fill_null, is_nan, is_in."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import DefinitionTypeError
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method, register
from hyped_beam.processors.comparison import ComparableColumn
from hyped_beam.types import features, promotion
from hyped_beam.types.features import Feature
from hyped_beam.types.patterns import AnyColumn, BooleanColumn, ListColumn, NumberColumn
from hyped_beam.types.vectors import computable, unwrapped


@register
class IfElse(Processor):
    """`then` where the condition is true, `otherwise` where it is false or null; of their common type."""

    accepts_scalars: ClassVar[bool] = True
    promote: ClassVar[tuple[str, ...]] = ("then", "otherwise")

    def output(self, condition: Feature, then: Feature, otherwise: Feature) -> Feature:  # noqa: ARG002
        return then  # promoted: both are of one type

    def process(self, condition: BooleanColumn, then: AnyColumn, otherwise: AnyColumn) -> AnyColumn:
        if isinstance(condition, pa.Scalar):
            return then if condition.as_py() else otherwise
        if condition.null_count:
            condition = pc.fill_null(condition, False)  # noqa: FBT003 - a value, no flag
        return pc.if_else(condition, unwrapped(then), unwrapped(otherwise))


@register
class Coalesce(Processor):
    """In each row the first of the inputs that is not null, in their order; of their common type."""

    accepts_scalars: ClassVar[bool] = True
    promote: ClassVar[bool] = True

    def output(self, **values: Feature) -> Feature:
        if not values:
            raise TypeError("give at least one value")
        return next(iter(values.values()))  # promoted: all are of one type

    def process(self, **values: AnyColumn) -> AnyColumn:
        return pc.coalesce(*(unwrapped(value) for value in values.values()))


@method("fill_null")
class FillNull(Processor):
    """Each value, or `replacement` where it is null; of their common type.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"x": [1, None]})
        >>> evaluate(flow_of(table.schema).x.fill_null(0), table).to_pylist()
        [1, 0]
    """

    accepts_scalars: ClassVar[bool] = True
    promote: ClassVar[bool] = True

    def output(self, value: Feature, replacement: Feature) -> Feature:  # noqa: ARG002 - promoted: of one type
        return value

    def process(self, value: AnyColumn, replacement: AnyColumn) -> AnyColumn:
        if isinstance(value, pa.Array) and value.null_count == 0:
            return value
        return pc.coalesce(unwrapped(value), unwrapped(replacement))


@method("is_null")
class IsNull(Processor):
    """Whether each value is null; NaN is not."""

    def process(self, value: AnyColumn) -> BooleanColumn:
        return unwrapped(value).is_null()

    def as_expression(self, value: Any) -> Any:
        return value.is_null()


@method("is_not_null")
class IsNotNull(Processor):
    """Whether each value is not null."""

    def process(self, value: AnyColumn) -> BooleanColumn:
        return unwrapped(value).is_valid()

    def as_expression(self, value: Any) -> Any:
        return value.is_valid()


@method("is_nan")
class IsNan(Processor):
    """Whether each number is NaN; null where it is null, false for integers."""

    def process(self, value: NumberColumn) -> BooleanColumn:
        if pa.types.is_floating(value.type):
            return pc.is_nan(value)
        return pc.not_equal(value, value)  # null stays null


@method("is_in")
class IsIn(Processor):
    """Whether each value is one of some values; null where it is null.

    Nulls among the values are passed over, NaN is found in a list that has it, and a `ClassLabel` takes the
    names of its labels. The values may also be a list column: then each row has its own.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"x": ["a", "b", None]})
        >>> evaluate(flow_of(table.schema).x.is_in(["a", "c"]), table).to_pylist()
        [True, False, None]
    """

    accepts_scalars: ClassVar[bool] = True
    literals_like: ClassVar[tuple[str, ...]] = ("value",)

    def output(self, value: Feature, values: Feature) -> Feature:
        element = features.element(values)
        if promotion.common(value, element) is None:
            raise DefinitionTypeError(
                f"is_in: {features.describe(value)} is never one of {features.describe(element)}",
                hint=promotion.hint(value, element),
            )
        return features.value("bool")

    def process(self, value: ComparableColumn, values: ListColumn) -> BooleanColumn:
        found = _in_one_list(value, values) if isinstance(values, pa.Scalar) else _in_own_list(value, values)
        if isinstance(value, pa.Array) and value.null_count:
            return pc.if_else(value.is_valid(), found, pa.scalar(None, pa.bool_()))
        if isinstance(value, pa.Scalar) and not value.is_valid:
            return pa.nulls(len(found), pa.bool_())
        return found


def _in_one_list(value: pa.Array, values: pa.Scalar) -> pa.Array:
    if not values.is_valid:
        return pa.nulls(len(value), pa.bool_())
    value, members = _alike(value, values.values)
    return pc.is_in(value, value_set=members.drop_null(), skip_nulls=True)


def _in_own_list(value: pa.Array | pa.Scalar, values: pa.Array) -> pa.Array:
    rows = pc.list_parent_indices(values)
    value, members = _alike(value, pc.list_flatten(values))
    repeated = value if isinstance(value, pa.Scalar) else pc.take(value, rows)
    equal = pc.fill_null(pc.equal(repeated, members), False)  # noqa: FBT003 - a value, no flag
    if pa.types.is_floating(members.type):
        unordered = pc.and_(pc.is_nan(repeated), pc.is_nan(members))
        equal = pc.or_(equal, pc.fill_null(unordered, False))  # noqa: FBT003 - a value, no flag
    found = np.zeros(len(values), bool)
    found[rows.filter(equal).to_numpy(zero_copy_only=False)] = True
    return pa.array(found, mask=values.is_null().to_numpy(zero_copy_only=False))


def _alike(value: Any, members: pa.Array) -> tuple[Any, pa.Array]:
    """Both in their common type; floats without a negative zero, which the kernel takes for another value."""
    target = value.type
    if not target.equals(members.type) and not pa.types.is_null(members.type):
        common = promotion.common(features.from_arrow(target), features.from_arrow(members.type))
        target = features.to_arrow(common)
    value = computable(pc.cast(value, target, safe=False))
    members = computable(pc.cast(members, target, safe=False))
    if pa.types.is_floating(value.type):
        zero = pa.scalar(0, value.type)
        value, members = pc.add(value, zero), pc.add(members, zero)
    return value, members
