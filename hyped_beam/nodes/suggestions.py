"""What a name that a ref does not have was meant to be: an aggregator, a function of `ops`, another name."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from hyped_beam.errors import nearest_name
from hyped_beam.nodes import registry
from hyped_beam.types.features import Family

FUNCTIONS = "hyped_beam.ops"
"""The module of functions on refs; it stands above this one, and is only looked at where a name is wrong."""

AGGREGATORS = "hyped_beam.aggregators"

ELSEWHERE: Mapping[str, str] = {
    "agg": "aggregate, as in Mean().call(ref, by=ref)",
    "alias": 'names are given where values are asked for: collect={"name": ref}',
    "approx_n_unique": "approx_count_distinct",
    "approx_quantile": "approx_quantiles",
    "apply": "write a @processor, and call it on the ref",
    "astype": 'write .cast("float64")',
    "avg": "mean",
    "drop_duplicates": "ops.distinct",
    "drop_nulls": "ops.filter",
    "dropna": "ops.filter",
    "dt": "write .year(), .month(), ... on the ref itself, without .dt",
    "fillna": "fill_null",
    "groupby": "ops.group_by",
    "isin": "is_in",
    "isna": "is_null",
    "isnull": "is_null",
    "join": "ops.lookup",
    "len": "length",
    "list": "write .length(), .get(...), ... on the ref itself, without .list",
    "map": "write a @processor, and call it on the ref",
    "merge": "ops.lookup",
    "n_unique": "count_distinct",
    "notna": "is_not_null",
    "notnull": "is_not_null",
    "nunique": "count_distinct",
    "quantile": "quantiles",
    "str": "write .lower(), .split(), ... on the ref itself, without .str",
    "var": "variance",
    "when": "ops.if_else",
    "where": "ops.if_else",
    "with_column": "ops.with_columns",
}
"""What pandas, polars, SQL and `datasets` call it: a name of ours, or what to write."""


def hint_for(name: str, own: Iterable[str], written: Mapping[str, str]) -> str | None:
    """What to write instead of a name that is not there; None where nothing is like it.

    Args:
        name: The name.
        own: The names that are there.
        written: Other names, and how what they name is written.
    """
    names = set(own)
    meant = ELSEWHERE.get(name.lower(), name.lower())
    if meant in names:
        return f"did you mean {meant!r}?"
    if meant in written:
        return f"write {written[meant]}"
    if " " in meant:
        return meant
    close = nearest_name(name, {**dict.fromkeys(names), **written})
    if close is None:
        return None
    return f"did you mean {close!r}?" if close in names else f"did you mean {written[close]}?"


def functions() -> dict[str, str]:
    """The functions of `ops`, and how they are called."""
    module = importlib.import_module(FUNCTIONS)
    called = {name: f"ops.{name}({_needed(getattr(module, name))})" for name in module.__all__}
    return called | {f"ops.{name}": text for name, text in called.items()}


def aggregators() -> dict[str, str]:
    """The aggregators of the library, by the names of methods, and how they are called."""
    found = {}
    for qualified, node in registry.registered().items():
        if qualified.startswith(f"{AGGREGATORS}."):
            options = (name for name, field in node.model_fields.items() if field.is_required())
            called = f"{node.__name__}({', '.join(f'{name}=...' for name in options)}).call(ref)"
            found[registry.snake_case(node.__name__)] = f"{called} of {AGGREGATORS} (by= for groups)"
    return found


def methods() -> dict[str, str]:
    """The methods of refs of any type, and how they are called."""
    return {name: f"ref.{name}(...)" for family in Family for name in registry.methods_of(family)}


def _needed(function: Any) -> str:
    """The arguments that a function needs."""
    parameters = inspect.signature(function).parameters.values()
    return ", ".join(
        one.name for one in parameters if one.default is one.empty and one.kind is not one.VAR_KEYWORD
    )
