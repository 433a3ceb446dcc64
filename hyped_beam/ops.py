"""Functions on refs: `from hyped_beam import ops`."""

from typing import TYPE_CHECKING, NoReturn

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
from hyped_beam.errors import CallSite, UnknownNameError
from hyped_beam.nodes import suggestions

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


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # type checkers know the functions there are

    def __getattr__(name: str) -> NoReturn:
        if name.startswith("_"):
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        written = suggestions.methods() | suggestions.functions() | suggestions.aggregators()
        hint = suggestions.hint_for(name, __all__, written) or f"there are: {', '.join(__all__)}"
        raise UnknownNameError(f"ops has no function {name!r}", site=CallSite.nearest(), hint=hint)
