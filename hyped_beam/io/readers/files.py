"""What all readers of files share: finding them, their features, whether they agree, their fingerprint."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import pyarrow as pa
import xxhash
from pydantic import Field, field_serializer, field_validator

from hyped_beam.errors import InputError, nearest_name
from hyped_beam.io.filesystem import FileInfo, info_of
from hyped_beam.io.paths import GLOB, Paths, as_paths, find_files
from hyped_beam.io.readers.base import Block, Piece, Range, Reader, Scan, batch_of, pack
from hyped_beam.io.remote import explained
from hyped_beam.types import features as features_of
from hyped_beam.types.arrays import conform


class FileReader(Reader):
    """A source that is files of one format.

    Args:
        paths: A file, a glob (`mail/*.parquet`, `mail/**/*.parquet`), a folder, or a list of these. The
            rows of one glob or folder come in the order of the files' names.
        features: `datasets.Features` of the columns to offer; taken from the files unless given.

    Raises:
        DefinitionError: An option has a wrong value.
    """

    suffixes: ClassVar[tuple[str, ...]]
    kind: ClassVar[str]

    paths: tuple[str, ...] = Field(min_length=1)
    declared: Any = Field(default=None, alias="features")

    def __init__(self, paths: Paths, features: Any = None, **options: Any) -> None:
        given = options if features is None else {**options, "features": features}
        super().__init__(paths=paths, **given)

    @field_validator("paths", mode="before")
    @classmethod
    def _take_one_or_several(cls, given: Any) -> Any:
        return as_paths(given)

    @field_validator("declared", mode="before")
    @classmethod
    def _take_features(cls, given: Any) -> Any:
        if given is None:
            return None
        try:
            if isinstance(given, Mapping) and _is_saved(given):
                return features_of.as_features(features_of.from_json(given))
            return features_of.as_features(given)
        except TypeError as error:
            raise ValueError(str(error)) from None

    @field_serializer("declared", when_used="json")
    def _save_features(self, declared: Any) -> Any:
        return None if declared is None else declared.to_dict()

    # ------------------------------------------------------------------------------ what formats supply

    @abstractmethod
    def schema_of(self, file: FileInfo) -> pa.Schema:
        """The Arrow schema of one file.

        Raises:
            InputError: It is not a file of this format, or is damaged.
        """

    @abstractmethod
    def blocks_of(self, file: FileInfo) -> list[Block]:
        """Where one file can be cut."""

    @abstractmethod
    def read_piece(self, piece: Piece, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The scan batches of one piece, in the types of the file."""

    # ---------------------------------------------------------------------------------- what they share

    @cached_property
    def _features(self) -> Any:
        files = self.files()
        if self.declared is not None:
            for file in files:
                _check_holds(file, self.schema_of(file), self.declared)
            return self.declared
        import datasets  # noqa: F401 - registers the extension types of its features, which schemas hold

        first = self.schema_of(files[0])
        features = _features_of(files[0], first)
        for file in files[1:]:
            _check_agree(files[0], first, features, file, self.schema_of(file))
        return features

    @property
    def features(self) -> Any:
        """The `datasets.Features` of the columns.

        Raises:
            InputError: A file is missing or damaged, or files disagree.
        """
        return self._features

    def files(self) -> list[FileInfo]:
        """The files as they are now, in the order in which they are read.

        Raises:
            InputError: A path matches nothing.
        """
        return find_files(self.paths, self.suffixes)

    def inputs(self) -> list[str]:
        """The files and folders as they were given, and what the globs match."""
        folders = [path for path in self.paths if not GLOB.search(path)]
        matched = len(folders) < len(self.paths)
        return [*folders, *(file.uri for file in self.files() if matched)]

    def ranges(self) -> list[Range]:
        """The files cut into ranges of some 64 MB; small files share a range.

        Raises:
            InputError: A file is missing or damaged, or files disagree.
        """
        _ = self._features
        return pack((file.uri, self.blocks_of(file)) for file in self.files())

    def scan(self, columns: Sequence[str]) -> FileScan:
        """A scan of some columns.

        Raises:
            InputError: There is no such column, or a file is missing or damaged, or files disagree.
        """
        features = self.features
        for name in columns:
            if name not in features:
                raise InputError(f"{self} has no column {name!r}", hint=_hint(name, list(features)))
        types = tuple(features_of.to_arrow(features[name]) for name in columns)
        bare = self.model_copy(update={"declared": None})
        bare.__dict__.pop(
            "_features", None
        )  # what was cached is a driver's, and workers import no `datasets`
        return FileScan(bare, tuple(columns), types)

    def fingerprint(self) -> str:
        """Of the configuration and of each file's path, size and time of change."""
        files = [(file.uri, file.size, file.modified) for file in self.files()]
        told = json.dumps([type(self).__name__, self.to_json(), files], sort_keys=True)
        return "xxh128:" + xxhash.xxh3_128(told.encode()).hexdigest()

    def __str__(self) -> str:
        more = ", ..." if len(self.paths) > 2 else ""  # noqa: PLR2004 - a line's worth of paths
        return f"{type(self).__name__}({', '.join(map(repr, self.paths[:2]))}{more})"


@dataclass(frozen=True)
class FileScan(Scan):
    """Some columns of files.

    Attributes:
        reader: The reader, without features.
        columns: Names of the columns.
        types: Their Arrow types.
    """

    reader: FileReader
    columns: tuple[str, ...]
    types: tuple[pa.DataType, ...]

    def read(self, part: Range) -> Iterator[pa.RecordBatch]:
        """The scan batches of a range; see `Scan.read`."""
        for piece in part.pieces:
            for batch in self.reader.read_piece(piece, self.columns):
                yield _as_declared(batch, self.columns, self.types, piece)


def present(uri: str) -> FileInfo:
    """What is at a path or URI that was there when the source was cut.

    Raises:
        InputError: It is gone.
    """
    info = info_of(uri)
    if info is None or info.is_folder:
        raise InputError(f"{uri} is gone", hint="files must stay while a job reads them")
    return info


def damaged(path: str, kind: str, error: Exception) -> InputError:
    """The error for a file that cannot be read as what it should be."""
    told = explained(path, error) if "://" in path else None
    if told is not None:
        return told
    if isinstance(error, PermissionError):
        return InputError(f"{path} may not be read", hint="look at its permissions")
    reason = " ".join(str(error).split())[:200]
    hint = "the file may be cut short or be another format"
    return InputError(f"{path} cannot be read as {kind}: {reason}", hint=hint)


def _is_saved(features: Mapping[str, Any]) -> bool:
    """Whether features are in the JSON form, in which each says its type by name."""
    return any(
        isinstance(inner, Mapping) and (isinstance(inner.get("_type"), str) or _is_saved(inner))
        for inner in features.values()
    )


def _features_of(file: FileInfo, schema: pa.Schema) -> Any:
    repeated = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if repeated:
        raise InputError(f"{file.uri} has several columns of the name {repeated[0]!r}")
    return features_of.as_features(schema)


def _check_agree(first: FileInfo, schema: pa.Schema, features: Any, file: FileInfo, other: pa.Schema) -> None:
    if other.equals(schema, check_metadata=False) and (other.metadata or {}) == (schema.metadata or {}):
        return
    found = _features_of(file, other)
    for name in [*features, *found]:
        if name not in found or name not in features:
            having, lacking = (first, file) if name in features else (file, first)
            message = f"the files disagree: {having.uri} has a column {name!r}, {lacking.uri} has none"
            raise InputError(message, hint="declare the columns that all files have: features=...")
        if not features_of.same(features[name], found[name]):
            message = (
                f"the files disagree on column {name!r}: {features_of.describe(features[name])} "
                f"in {first.uri}, {features_of.describe(found[name])} in {file.uri}"
            )
            raise InputError(message, hint=f"declare what it is: features={{{name!r}: ...}}")


def _check_holds(file: FileInfo, schema: pa.Schema, declared: Mapping[str, Any]) -> None:
    for name, feature in declared.items():
        if name not in schema.names:
            message = f"{file.uri} has no column {name!r}, which features= declares"
            raise InputError(message, hint=_hint(name, schema.names))
        found, wanted = schema.field(name).type, features_of.to_arrow(feature)
        try:
            conform(pa.nulls(0, found), wanted)
        except (TypeError, pa.ArrowException):
            message = f"column {name!r} of {file.uri} is {found}, not {features_of.describe(feature)}"
            raise InputError(message, hint="declare what the file holds, and convert with cast") from None


def _as_declared(
    batch: pa.RecordBatch, names: Sequence[str], wanted: Sequence[pa.DataType], piece: Piece
) -> pa.RecordBatch:
    if all(have.equals(want) for have, want in zip(batch.schema.types, wanted, strict=True)):
        return batch
    columns = []
    for name, column, arrow_type in zip(names, batch.columns, wanted, strict=True):
        try:
            columns.append(conform(column, arrow_type))
        except (TypeError, pa.ArrowException) as error:
            raise InputError(f"column {name!r} of {piece.path} is not {arrow_type}: {error}") from None
    return batch_of(columns, names, batch.num_rows)


def _hint(name: str, names: Sequence[str]) -> str:
    close = nearest_name(name, names)
    return f"did you mean {close!r}?" if close else f"there are: {', '.join(names)}"
