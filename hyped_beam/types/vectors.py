"""Between Arrow columns of fixed width and numpy: the values without a copy, the nulls beside them."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Vector: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


def values_of(array: pa.Array, dtype: Any = None) -> Vector:
    """The values of a column of fixed width; where it is null, whatever lies there.

    Args:
        array: Integers, floats, or anything that is stored as such (times).
        dtype: What to read the buffer as; the numpy type of the column, if None.
    """
    kind = np.dtype(array.type.to_pandas_dtype() if dtype is None else dtype)
    data = array.buffers()[1]
    if data is None or len(array) == 0:
        return np.zeros(len(array), kind)
    return np.frombuffer(data, kind, len(array), array.offset * kind.itemsize)


def value_of(value: pa.Array | pa.Scalar) -> Any:
    """The values of a column, or the one value of a scalar that is not null, in the same numpy type."""
    if isinstance(value, pa.Scalar):
        return values_of(pa.array([value.as_py()], value.type))[0]
    return values_of(value)


def valid_rows(*values: pa.Array | pa.Scalar) -> Vector | None:
    """Where none of some columns is null; None where that is everywhere. Scalars are not looked at."""
    valid: Any = None
    for value in values:
        if isinstance(value, pa.Array) and value.null_count:
            valid = value.is_valid() if valid is None else pc.and_(valid, value.is_valid())
    return None if valid is None else valid.to_numpy(zero_copy_only=False)


def column_of(values: Vector, arrow_type: pa.DataType, valid: Vector | None) -> pa.Array:
    """Values as a column that is null where `valid` is false."""
    return pa.array(values, arrow_type, mask=None if valid is None else ~valid)


def unwrapped(value: pa.Array | pa.Scalar) -> pa.Array | pa.Scalar:
    """What an extension type (`Array2D`) stores, for kernels that know no extension types."""
    if isinstance(value, pa.ExtensionArray):
        return value.storage
    if isinstance(value, pa.ExtensionScalar):
        return value.value if value.is_valid else pa.scalar(None, value.type.storage_type)
    return value


def computable(value: pa.Array | pa.Scalar) -> pa.Array | pa.Scalar:
    """A number as one that Arrow computes with: it has no kernels for float16, whose values float32 holds."""
    return pc.cast(value, pa.float32()) if pa.types.is_float16(value.type) else value
