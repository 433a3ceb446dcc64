"""What arithmetic on times does with its operands: count them, find nulls, tell of overflow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from hyped_beam.processors.row_errors import with_hint
from hyped_beam.types.vectors import Vector, values_of


def counts_of(value: pa.Array | pa.Scalar) -> Any:
    """A time in its unit as int64: a vector for a column, one number for a scalar that is not null."""
    if isinstance(value, pa.Scalar):
        plain = pa.int32() if value.type.bit_width == 32 else pa.int64()  # noqa: PLR2004 - bits
        return np.int64(value.cast(plain).as_py())
    stored = np.int32 if value.type.bit_width == 32 else np.int64  # noqa: PLR2004 - bits
    return values_of(value, stored).astype(np.int64, copy=False)


def without_value(*values: pa.Array | pa.Scalar) -> bool:
    """Whether one of some operands is null for all rows."""
    return any(
        pa.types.is_null(value.type) or (isinstance(value, pa.Scalar) and not value.is_valid)
        for value in values
    )


def rows_of(*values: pa.Array | pa.Scalar) -> int:
    """How many rows some operands have, of which at least one is a column."""
    return next(len(value) for value in values if isinstance(value, pa.Array))


def occurs(found: Any, valid: Vector | None) -> bool:
    """Whether something is found in a row that is not null."""
    return bool(np.any(found if valid is None else found & valid))


def overflow(symbol: str, arrow_type: pa.DataType) -> OverflowError:
    """The error of a result that the type of the output cannot hold."""
    is_fine = getattr(arrow_type, "unit", "s") != "s"
    return with_hint(
        OverflowError(f"the result of {symbol!r} does not fit into {arrow_type}"),
        "cast the inputs to a coarser unit, which reaches further" if is_fine else "look for wrong values",
    )
