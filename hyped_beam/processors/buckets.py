"""Numbers put into buckets, and numbers as vectors of zeros with a single one."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method, register
from hyped_beam.processors.lists.layout import Lists, offsets_of
from hyped_beam.processors.row_errors import with_hint
from hyped_beam.types import arrays, features
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import Int64Column, IntegerColumn, NumberColumn, lists_of, several
from hyped_beam.types.vectors import Vector, column_of, valid_rows, values_of

_Boundaries: TypeAlias = Annotated[
    pa.Array, lists_of(several("numbers", Family.INTEGER, Family.FLOAT, Family.DECIMAL))
]


@register
class Bucketize(Processor):
    """In which bucket each number is: how many of the boundaries are not greater than it.

    Of `n` boundaries in ascending order there are `n + 1` buckets. Bucket 0 holds what is less than the first
    boundary, bucket `i` what is from boundary `i - 1` (included) up to boundary `i` (left out), and the last
    bucket all the rest, with infinity: as `numpy.digitize` does, and KBinsDiscretizer of scikit-learn. Of two
    boundaries that are equal, the bucket between them holds nothing. Null and NaN are in no bucket, which is
    null; so it is where the list of boundaries is null. Everything is compared as float64.

    The boundaries are a constant, an aggregate such as `Quantiles`, or a list of each row.

    Raises:
        NodeError: Boundaries are not in ascending order, or one is null or NaN.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.processors.buckets import Bucketize
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [-5, 0, 9, 10, None]})
        >>> bucket = Bucketize().call(value=flow_of(table.schema).n, boundaries=[0, 10])
        >>> evaluate(bucket, table).to_pylist()
        [0, 1, 1, 2, None]
    """

    accepts_scalars: ClassVar[bool] = True

    def process(self, value: NumberColumn, boundaries: _Boundaries) -> Int64Column:
        if isinstance(value, pa.Scalar):
            value = arrays.full(value, len(boundaries))
        floats = pc.cast(value, pa.float64(), safe=False)
        numbers, valid = values_of(floats), valid_rows(floats, boundaries)
        if isinstance(boundaries, pa.Array):
            lists = Lists.of(boundaries)
            found = _between(numbers, lists)
        elif boundaries.is_valid:
            found = np.searchsorted(_ascending(_limits(boundaries.values)), numbers, side="right")
        else:
            return pa.nulls(len(value), pa.int64())
        known = ~np.isnan(numbers) if valid is None else valid & ~np.isnan(numbers)
        return column_of(found.astype(np.int64, copy=False), pa.int64(), known)


def _between(numbers: Vector, lists: Lists) -> Vector:
    """The bucket of each number among the boundaries of its row."""
    limits = _limits(lists.values)
    begins = np.zeros(len(limits) + 1, np.bool_)
    begins[lists.offsets] = True
    _ascending(limits, begins[:-1])
    below = np.zeros(len(limits) + 1, np.int64)
    np.cumsum(limits <= numbers[lists.rows], out=below[1:])
    return below[lists.offsets[1:]] - below[lists.offsets[:-1]]


def _limits(boundaries: pa.Array) -> Vector:
    floats = pc.cast(boundaries, pa.float64(), safe=False)
    return values_of(pc.fill_null(floats, float("nan")) if floats.null_count else floats)


def _ascending(limits: Vector, begins: Vector | None = None) -> Vector:
    """Boundaries in ascending order, of one list, or of several that begin where it is said.

    Raises:
        ValueError: They are not.
    """
    descends = limits[1:] < limits[:-1]
    if begins is not None:
        descends &= ~begins[1:]
    if np.isnan(limits).any() or descends.any():
        raise with_hint(
            ValueError("boundaries are in ascending order, and none is null or NaN"),
            "write boundaries.sort()",
        )
    return limits


@method("one_hot")
class OneHot(Processor):
    """A list of zeros with a one at the place that a number names, from 0; each an int8.

    A number that names no place (-1, or the size and more) gives zeros alone; so does what
    `index(ref, default=-1)` does not find in a list. Null gives null, and so does a size of null.

    Raises:
        NodeError: A size is negative.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [2, 0, -1, None]})
        >>> evaluate(flow_of(table.schema).n.one_hot(3), table).to_pylist()
        [[0, 0, 1], [1, 0, 0], [0, 0, 0], None]
    """

    accepts_scalars: ClassVar[bool] = True

    def output(self, place: Feature, size: Feature) -> Feature:  # noqa: ARG002 - the same for all integers
        return features.list_of(features.value("int8"))

    def process(self, place: IntegerColumn, size: IntegerColumn) -> pa.Array:
        rows = len(place) if isinstance(place, pa.Array) else len(size)
        places, sizes = (_integers(value, rows) for value in (place, size))
        nulls = pc.or_(places.is_null(), sizes.is_null()).to_numpy(zero_copy_only=False)
        lengths = np.where(nulls, 0, values_of(sizes))
        if np.any(lengths < 0):
            msg = f"one_hot() makes lists of a size, got {lengths.min()}"
            raise ValueError(msg)
        offsets = offsets_of(lengths)
        ones = np.zeros(int(offsets[-1]), np.int8)
        wanted = values_of(places)
        named = ~nulls & (wanted >= 0) & (wanted < lengths)
        ones[offsets[:-1][named] + wanted[named]] = 1
        return Lists(pa.array(ones), offsets, nulls if nulls.any() else None).array(self.output_type)


def _integers(value: Any, rows: int) -> pa.Array:
    column = arrays.full(value, rows) if isinstance(value, pa.Scalar) else value
    return pc.cast(column, pa.int64(), safe=False)  # uint64 beyond int64 wraps below 0, and names no place
