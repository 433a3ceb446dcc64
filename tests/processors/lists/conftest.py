"""Columns of lists in every layout that Arrow has for them, and plain Python to compare with."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from hyped_beam.testing import evaluate, flow_of


def laid_out(values: list[list[Any] | None], element: pa.DataType, layout: str) -> pa.Array:
    """The same lists as a plain, a sliced or a large list array, or with elements under its nulls."""
    large = layout == "large"
    kind = pa.large_list(element) if large else pa.list_(element)
    if layout == "sliced":
        filler = next((value for value in values if value), [])
        return pa.array([filler, *values, filler], kind).slice(1, len(values))
    if layout != "under nulls":
        return pa.array(values, kind)
    filler = next((value for value in values if value), [None])
    filled = pa.array([filler if value is None else value for value in values], kind)
    mask = pa.array([value is None for value in values], pa.bool_())
    return pa.ListArray.from_arrays(filled.offsets, filled.values, type=kind, mask=mask)


def same(left: Any, right: Any) -> bool:
    """Equality in which NaN equals itself, and floats are as near as two ways to add them up."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return math.isnan(left) == math.isnan(right) and (
            math.isnan(left) or left == right or math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
        )
    return type(left) is type(right) and left == right


@pytest.fixture(scope="module", params=["plain", "sliced", "large", "under nulls"])
def column(request) -> Callable[..., pa.Array]:
    """Makes a column of lists."""
    return lambda values, element: laid_out(values, element, request.param)


@pytest.fixture(scope="module")
def same_as_python(column) -> Callable[..., None]:
    """Compares what a ref computes from a column of lists with what Python makes of each list."""

    def compare(compute: Any, python: Any, values: list[Any], element: pa.DataType, **columns: Any) -> None:
        table = pa.table({"x": column(values, element), **columns})
        found = evaluate(compute(flow_of(table.schema)), table)
        found.validate(full=True)
        others = [other.to_pylist() for other in columns.values()]
        expected = [
            None if any(item is None for item in row) else python(*row)
            for row in zip(values, *others, strict=True)
        ]
        assert same(found.to_pylist(), expected), (found.to_pylist(), expected)

    return compare
