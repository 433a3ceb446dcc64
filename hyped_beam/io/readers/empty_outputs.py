"""Outputs of jobs without any row: some have no file, and their manifest tells the columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from hyped_beam.errors import InputError
from hyped_beam.io.filesystem import FileInfo, locate
from hyped_beam.io.folders import BOOKKEEPING, MANIFEST
from hyped_beam.io.globs import GLOB
from hyped_beam.io.records import Manifest
from hyped_beam.types import features as features_of
from hyped_beam.types.arrays import is_list


@dataclass(frozen=True)
class EmptyOutput:
    """An output without rows.

    Attributes:
        folder: Its path, as it was given.
        features: The features of its columns, those that folders would tell last.
        partition_by: The names of those.
        suffix: How the names of its files would end.
    """

    folder: str
    features: Mapping[str, Any]
    partition_by: Sequence[str]
    suffix: str

    def renamed(self, names: Sequence[str]) -> EmptyOutput:
        """The same with other names for the columns that are in files."""
        stored = [name for name in self.features if name not in self.partition_by]
        new = dict(zip(stored, names, strict=False))
        return replace(self, features={new.get(name, name): kind for name, kind in self.features.items()})


def empty_output(path: str, suffixes: tuple[str, ...], found: Sequence[FileInfo]) -> EmptyOutput | None:
    """The finished output of a job that a path is, where it has no rows.

    Args:
        path: A path or URI, or a glob, which is none.
        suffixes: How files end that are wanted.
        found: The files that are there.

    Returns:
        None where it is something else, or files are there that the job did not write.
    """
    if len(found) > 1 or GLOB.search(path):  # an output without rows has one file at most
        return None
    filesystem, place = locate(path)
    try:
        saved = filesystem.read(f"{place.rstrip('/')}/{BOOKKEEPING}/{MANIFEST}")
        if saved is None:
            return None
        manifest = Manifest.from_json(saved.decode(), filesystem.uri(place))
        features = features_of.from_json(manifest.features)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None  # whoever asks says what is wrong with the folder
    files = {file.uri for file in found}
    if manifest.rows or not manifest.suffix.endswith(suffixes) or not files <= set(manifest.paths):
        return None
    told = [name for name in features if name not in manifest.partition_by]
    columns = {name: features[name] for name in [*told, *manifest.partition_by]}
    return EmptyOutput(path, columns, manifest.partition_by, manifest.suffix)


def columns_of(outputs: Sequence[EmptyOutput], *, infers_types: bool) -> dict[str, Any]:
    """The features of a source that is nothing but outputs without rows.

    Args:
        outputs: One or more.
        infers_types: Whether types are found in values; then they are those that would be found if there
            were any.

    Raises:
        InputError: They disagree.
    """
    first, *others = (_columns(output, infers_types=infers_types) for output in outputs)
    for output, other in zip(outputs[1:], others, strict=True):
        if list(other) != list(first) or any(
            not features_of.same(first[name], other[name]) for name in first
        ):
            raise InputError(
                f"the files disagree: {outputs[0].folder} and {output.folder} have other columns",
                hint="declare the columns that all have: features=...",
            )
    return first


def _columns(output: EmptyOutput, *, infers_types: bool) -> dict[str, Any]:
    columns = dict(output.features)
    for name, feature in output.features.items():
        kind = features_of.to_arrow(feature)
        if name in output.partition_by:
            columns[name] = features_of.value("int64" if pa.types.is_integer(kind) else "string")
        elif infers_types:
            columns[name] = features_of.from_arrow(_found(kind, is_csv=".json" not in output.suffix))
    return columns


def _found(kind: pa.DataType, *, is_csv: bool) -> pa.DataType:
    """The type that is found in text for values of a type, as our writers write them."""
    if isinstance(kind, pa.BaseExtensionType):
        return _found(kind.storage_type, is_csv=is_csv)
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _found(field.type, is_csv=is_csv)) for field in kind])
    if is_list(kind):
        return pa.list_(_found(kind.value_type, is_csv=is_csv))
    if pa.types.is_decimal(kind):
        return (pa.float64() if kind.scale > 0 else pa.int64()) if is_csv else pa.string()
    if pa.types.is_integer(kind) or pa.types.is_duration(kind):
        return pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    return kind if pa.types.is_boolean(kind) else pa.string()
