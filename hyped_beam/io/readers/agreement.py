"""Whether files agree: with each other on their columns, and with the features that were declared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from hyped_beam.errors import InputError, nearest_name
from hyped_beam.io.filesystem import FileInfo
from hyped_beam.types import features as features_of
from hyped_beam.types.arrays import conform
from hyped_beam.types.widths import wider, without_views


def common_features(stored: Iterable[tuple[FileInfo, pa.Schema]]) -> Any:
    """The features of files which each know their schema; where only widths of offsets differ, the wider.

    Raises:
        InputError: They disagree, or one has two columns of one name.
    """
    import datasets  # noqa: F401 - registers the extension types of its features, which schemas hold

    (first, schema), *others = stored
    features = held = _features_of(first, schema)
    for file, other in others:
        if other.equals(schema, check_metadata=False) and (other.metadata or {}) == (schema.metadata or {}):
            continue
        found = _features_of(file, other)
        _check_agree(first, held, file, found)
        features = features_of.as_features({name: wider(features[name], found[name]) for name in features})
    return features


def check_unique(uri: str, names: Sequence[str]) -> None:
    """Refuse two columns of one name.

    Raises:
        InputError: There are two.
    """
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise InputError(f"{uri} has several columns of the name {repeated[0]!r}", hint="rename one of them")


def _features_of(file: FileInfo, schema: pa.Schema) -> Any:
    check_unique(file.uri, schema.names)
    return without_views(features_of.as_features(schema))


def _check_agree(first: FileInfo, features: Any, file: FileInfo, found: Any) -> None:
    for name in [*features, *found]:
        if name not in found or name not in features:
            having, lacking = (first, file) if name in features else (file, first)
            message = f"the files disagree: {having.uri} has a column {name!r}, {lacking.uri} has none"
            raise InputError(message, hint="declare the columns that all files have: features=...")
        if wider(features[name], found[name]) is None:
            left, right = features_of.describe(features[name]), features_of.describe(found[name])
            raise disagreement(name, left, first.uri, right, file.uri)


def disagreement(name: str, left: str, first: str, right: str, second: str) -> InputError:
    """The error for two types of one column."""
    message = f"the files disagree on column {name!r}: {left} in {first}, {right} in {second}"
    hint = f"declare what it is, with all other columns that are wanted: features={{{name!r}: ..., ...}}"
    return InputError(message, hint=hint)


def check_holds(file: FileInfo, schema: pa.Schema, declared: Mapping[str, Any]) -> None:
    """Refuse a file that lacks a declared column, or holds values of another kind.

    Raises:
        InputError: It does.
    """
    for name, feature in declared.items():
        if name not in schema.names:
            raise lacks(file.uri, name, schema.names)
        found, wanted = schema.field(name).type, features_of.to_arrow(feature)
        try:
            conform(pa.nulls(0, found), wanted)
        except (TypeError, pa.ArrowException):
            message = f"column {name!r} of {file.uri} is {found}, not {features_of.describe(feature)}"
            raise InputError(message, hint="declare what the file holds, and convert with cast") from None


def lacks(uri: str, name: str, names: Sequence[str]) -> InputError:
    """The error for a declared column that a file lacks."""
    return InputError(f"{uri} has no column {name!r}, which features= declares", hint=near(name, names))


def near(name: str, names: Sequence[str]) -> str:
    """What was probably meant, or what there is."""
    close = nearest_name(name, names)
    return f"did you mean {close!r}?" if close else f"there are: {', '.join(names)}"
