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

__all__ = [
    "cast",
    "coalesce",
    "collect",
    "drop",
    "feature",
    "fill_null",
    "format",
    "hash",
    "if_else",
    "is_in",
    "is_not_null",
    "is_null",
    "rename",
    "select",
    "with_columns",
]
