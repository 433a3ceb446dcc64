"""Functions on refs: `from hyped_beam import ops`."""

from hyped_beam.dsl.ops import (
    cast,
    coalesce,
    collect,
    drop,
    feature,
    fill_null,
    format,  # noqa: A004 - what it is called in polars
    hash,  # noqa: A004 - what it is called in polars
    if_else,
    is_in,
    is_not_null,
    is_null,
    rename,
    select,
    with_columns,
)
from hyped_beam.dsl.rows import (
    align,
    distinct,
    each,
    explode,
    filter,  # noqa: A004 - what it is called in Python and polars
    group_by,
    lookup,
    partition,
    repeat,
    sample,
    split,
)

__all__ = [
    "align",
    "cast",
    "coalesce",
    "collect",
    "distinct",
    "drop",
    "each",
    "explode",
    "feature",
    "fill_null",
    "filter",
    "format",
    "group_by",
    "hash",
    "if_else",
    "is_in",
    "is_not_null",
    "is_null",
    "lookup",
    "partition",
    "rename",
    "repeat",
    "sample",
    "select",
    "split",
    "with_columns",
]
