"""Logarithms, powers of e and square roots, as float64, always.

As in polars and numpy, and unlike Python's `math`, no number is an error: what has no real result is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.types.patterns import Float64Column, NumberColumn


@method("log")
class NaturalLogarithm(Processor):
    """The natural logarithm: -inf of zero, NaN of negative numbers.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [1, 0, -1, None]})
        >>> evaluate(flow_of(table.schema).n.log(), table).to_pylist()
        [0.0, -inf, nan, None]
    """

    def process(self, value: NumberColumn) -> Float64Column:
        return _computed(pc.ln, value)


@method("log2")
class BinaryLogarithm(Processor):
    """The logarithm to the base of 2: -inf of zero, NaN of negative numbers."""

    def process(self, value: NumberColumn) -> Float64Column:
        return _computed(pc.log2, value)


@method("log10")
class DecimalLogarithm(Processor):
    """The logarithm to the base of 10: -inf of zero, NaN of negative numbers."""

    def process(self, value: NumberColumn) -> Float64Column:
        return _computed(pc.log10, value)


@method("exp")
class Exponential(Processor):
    """The number e to the power of the value: inf above 709.78, 0 below -745.13.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [0, 1000, None]})
        >>> evaluate(flow_of(table.schema).n.exp(), table).to_pylist()
        [1.0, inf, None]
    """

    def process(self, value: NumberColumn) -> Float64Column:
        return _computed(pc.exp, value)


@method("sqrt")
class SquareRoot(Processor):
    """The square root: NaN of negative numbers.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [9, -1, None]})
        >>> evaluate(flow_of(table.schema).n.sqrt(), table).to_pylist()
        [3.0, nan, None]
    """

    def process(self, value: NumberColumn) -> Float64Column:
        return _computed(pc.sqrt, value)


def _computed(kernel: Callable[[Any], pa.Array], value: pa.Array) -> pa.Array:
    # integers above 2**53 are rounded, as they are by Python's float()
    return kernel(pc.cast(value, pa.float64(), safe=False))
