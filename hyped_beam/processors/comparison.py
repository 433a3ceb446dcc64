"""Comparisons: `== != < <= > >=`, `between`, `clip`; null where an input is null.

Both sides are cast to their common type. Text is compared by code points, a `ClassLabel` with a text
literal by name (`<` and the like by the order of its labels), instants whatever their unit. NaN is not
equal to anything and neither less nor greater, as in Python.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method, operator
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import BooleanColumn, several
from hyped_beam.types.vectors import computable

COMPARABLE = (
    Family.BOOLEAN,
    Family.INTEGER,
    Family.FLOAT,
    Family.DECIMAL,
    Family.STRING,
    Family.BINARY,
    Family.TIMESTAMP,
    Family.DATE,
    Family.TIME,
    Family.DURATION,
)
"""The families whose values have an order."""

ComparableColumn: TypeAlias = Annotated[
    pa.Array, several("a number, text, binary, boolean or time", *COMPARABLE)
]


class _Comparison(Processor):
    """A comparison of two values of their common type."""

    accepts_scalars: ClassVar[bool] = True
    promote: ClassVar[bool] = True


class _OrderComparison(_Comparison):
    """A comparison that is one of Arrow's kernels."""

    kernel: ClassVar[str]

    def process(self, left: ComparableColumn, right: ComparableColumn) -> BooleanColumn:
        return _compare(self.kernel, left, right)

    def as_expression(self, left: Any, right: Any) -> Any:
        return getattr(pc, self.kernel)(left, right)


@operator("==")
class Equal(_OrderComparison):
    """Whether two values are equal."""

    kernel: ClassVar[str] = "equal"


@operator("!=")
class NotEqual(_OrderComparison):
    """Whether two values differ."""

    kernel: ClassVar[str] = "not_equal"


@operator("<")
class Less(_OrderComparison):
    """Whether the first value is less."""

    kernel: ClassVar[str] = "less"


@operator("<=")
class LessOrEqual(_OrderComparison):
    """Whether the first value is less or equal."""

    kernel: ClassVar[str] = "less_equal"


@operator(">")
class Greater(_OrderComparison):
    """Whether the first value is greater."""

    kernel: ClassVar[str] = "greater"


@operator(">=")
class GreaterOrEqual(_OrderComparison):
    """Whether the first value is greater or equal."""

    kernel: ClassVar[str] = "greater_equal"


@method("between")
class Between(_Comparison):
    """Whether a value lies between two bounds, both of them included.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"x": [1, 5, None]})
        >>> evaluate(flow_of(table.schema).x.between(2, 5), table).to_pylist()
        [False, True, None]
    """

    def process(
        self, value: ComparableColumn, lower: ComparableColumn, upper: ComparableColumn
    ) -> BooleanColumn:
        return pc.and_kleene(_compare("greater_equal", value, lower), _compare("less_equal", value, upper))

    def as_expression(self, value: Any, lower: Any, upper: Any) -> Any:
        return (value >= lower) & (value <= upper)


@method("clip")
class Clip(_Comparison):
    """Each value, raised to `lower` and lowered to `upper`; either may be left out. NaN stays NaN.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"x": [1, 5, None]})
        >>> evaluate(flow_of(table.schema).x.clip(lower=2), table).to_pylist()
        [2, 5, None]
    """

    def output(self, value: Feature, lower: Feature = None, upper: Feature = None) -> Feature:
        # promoted: all are of one type
        if lower is None and upper is None:
            raise TypeError("give `lower`, `upper` or both")
        return value

    def process(
        self,
        value: ComparableColumn,
        lower: ComparableColumn | None = None,
        upper: ComparableColumn | None = None,
    ) -> ComparableColumn:
        if lower is not None:
            value = pc.if_else(_compare("less", value, lower), lower, value)
        if upper is not None:
            value = pc.if_else(_compare("greater", value, upper), upper, value)
        return value


def _compare(kernel: str, left: Any, right: Any) -> pa.Array:
    return getattr(pc, kernel)(computable(left), computable(right))
