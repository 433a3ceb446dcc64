"""How deep values and features may be nested, so that no recursion over them can end the program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

DEEPEST = 48
"""How many lists and structs may lie in each other in a column or a constant: Arrow itself ends at 64."""

TOO_DEEP = f"lists and structs are nested more than {DEEPEST} deep"


def is_too_deep(value: Any, deepest: int = DEEPEST) -> bool:
    """Return whether more lists and structs than `deepest` lie in each other.

    Args:
        value: A literal, a feature, an Arrow type or what JSON holds; also one that contains itself.
        deepest: How many may.
    """
    level = [value] if _is_nested(value) else []
    for _ in range(deepest):
        if not level:
            return False
        # each once: what is referred to twice on every level would be looked at 2**deepest times
        inner = {id(part): part for item in level for part in _parts(item) if _is_nested(part)}
        level = list(inner.values())
    return bool(level)


def _is_nested(value: Any) -> bool:
    if isinstance(value, (Mapping, list, tuple)):
        return True
    if isinstance(value, pa.DataType):
        return value.num_fields > 0
    return type(value).__name__ in ("List", "LargeList", "Sequence") and hasattr(value, "feature")


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, pa.DataType):
        return [value.field(index).type for index in range(value.num_fields)]
    return (value.feature,)
