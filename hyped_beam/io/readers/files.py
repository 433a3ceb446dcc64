"""What all readers of files share: finding them, their features, columns that paths tell, fingerprints."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import pyarrow as pa
import xxhash
from pydantic import Field, PrivateAttr, field_serializer, field_validator
from typing_extensions import Self

from hyped_beam.errors import CallSite, InputError, some_of
from hyped_beam.io.contents import fingerprint_of
from hyped_beam.io.filesystem import FileInfo
from hyped_beam.io.globs import GLOB
from hyped_beam.io.paths import Paths, as_paths, find_files
from hyped_beam.io.readers import partitions
from hyped_beam.io.readers.agreement import check_holds, common_features, near
from hyped_beam.io.readers.base import RANGE_BYTES, Block, Piece, Range, Reader
from hyped_beam.io.readers.conditions import Condition
from hyped_beam.io.readers.empty_outputs import EmptyOutput, columns_of, empty_output
from hyped_beam.io.readers.file_scan import FileScan
from hyped_beam.io.readers.packing import pack
from hyped_beam.io.readers.partitions import FolderColumn
from hyped_beam.io.readers.suffixes import check_is_of, check_one_format, examples_of
from hyped_beam.io.remote import explained
from hyped_beam.io.unchanged import check_files, described
from hyped_beam.types import features as features_of


class FileReader(Reader):
    """A source that is files of one format.

    Folders named `group=spam` give their rows a column `group`, an int64 where all values are whole numbers
    and a string otherwise, unless the files have such a column or `features=` says what it is. Declared as a
    `ClassLabel`, it is told by the names of its labels, or their numbers.

    Args:
        paths: A file, a glob (`mail/*.parquet`, `mail/**/*.parquet`), a folder, or a list of these, each a
            path or a URI (`s3://`, `gs://`, `memory://`, ...). The rows of one glob or folder come in the
            order of the files' names.
        features: `datasets.Features` of the columns to offer; taken from the files unless given.
        origin: The name of one more column, which says where each row comes from: a struct of `path`, the
            file, and `row`, the number of the row in it, from 0.
        hive_partitioning: Whether folders named `key=value` give columns.

    Raises:
        DefinitionError: An option has a wrong value.
    """

    suffixes: ClassVar[tuple[str, ...]]
    kind: ClassVar[str]
    infers_types: ClassVar[bool] = False
    """Whether the files say nothing of types, and they are found in values."""

    paths: tuple[str, ...] = Field(min_length=1)
    declared: Any = Field(default=None, alias="features")
    origin: str | None = Field(default=None, min_length=1)
    hive_partitioning: bool = True
    _pinned: tuple[FileInfo, ...] | None = PrivateAttr(default=None)

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
            features = features_of.as_features(given)
        except TypeError as error:
            raise ValueError(str(error)) from None
        try:
            _ = features.arrow_schema
        except (TypeError, ValueError):
            raise ValueError("something within it is no feature") from None
        return features

    @field_serializer("declared", when_used="json")
    def _save_features(self, declared: Any) -> Any:
        return None if declared is None else declared.to_dict()

    # ------------------------------------------------------------------------------ what formats supply

    def stored_features(self, files: Sequence[FileInfo]) -> Any:
        """The features of what files hold, where none are declared.

        Raises:
            InputError: A file is not of this format, or is damaged, or files disagree.
        """
        return common_features((file, self.schema_of(file)) for file in files)

    def check_declared(self, files: Sequence[FileInfo], declared: Mapping[str, Any]) -> None:
        """Refuse features that files do not hold.

        Args:
            files: The files.
            declared: The features, without those of columns that folders tell.

        Raises:
            InputError: One does not hold them, is not of this format or is damaged.
        """
        for file in files:
            check_holds(file, self.schema_of(file), declared)

    def features_without_rows(self, outputs: Sequence[EmptyOutput]) -> dict[str, Any]:
        """The features of outputs of jobs without rows, of which there may be no file.

        Raises:
            InputError: They disagree.
        """
        return columns_of(outputs, infers_types=self.infers_types)

    def schema_of(self, file: FileInfo) -> pa.Schema:
        """The Arrow schema of one file, for formats whose files know it.

        Raises:
            InputError: It is not a file of this format, or is damaged.
        """
        raise NotImplementedError

    @abstractmethod
    def blocks_of(self, file: FileInfo) -> list[Block]:
        """Where one file can be cut."""

    @abstractmethod
    def read_piece(
        self, piece: Piece, wanted: pa.Schema, condition: Condition | None
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The scan batches of one piece.

        Args:
            piece: The piece.
            wanted: The columns to read, in this order, and the types they will be given.
            condition: What rows should meet, or None; scan batches that cannot may be left out by formats
                whose pieces know how many rows they hold.

        Yields:
            The number of the batch's first row in the piece, and the batch, in types that conform.
        """

    def first_rows(self, file: FileInfo, starts: Sequence[int]) -> list[int]:
        """The numbers of the rows that begin at some places, for formats that are cut by bytes."""
        raise NotImplementedError

    def told_by_name(self, uri: str) -> str:
        """What the name of a file says of how it is read: all that it ends in."""
        return uri.partition("?")[0].rpartition("/")[2].partition(".")[2]

    def tells_path(self, columns: Sequence[str]) -> bool:
        """Whether what is read into some columns depends on the path of a file, as `origin` does."""
        return self.origin in columns

    # ---------------------------------------------------------------------------------- what they share

    @cached_property
    def _columns(self) -> tuple[Any, tuple[FolderColumn, ...], tuple[FileInfo, ...]]:
        """The features of all columns, the columns that folders tell, and the files that both are of."""
        files = self.files()
        types = partitions.types_of(files) if self.hive_partitioning else {}
        if self.declared is None and not files:
            empty = [output for path in self.paths if (output := self._matched(path)[1])]
            features = self.features_without_rows(empty)
            told = []
        elif self.declared is None:
            features = dict(self.stored_features(files))
            told = [name for name in types if name not in features]
            features |= {name: features_of.from_arrow(types[name]) for name in told}
        else:
            features = dict(self.declared)
            told = [name for name in types if name in features]
            self.check_declared(files, {name: features[name] for name in features if name not in told})
        columns = tuple(_folder_column(name, features[name]) for name in told)
        for file in files:
            for column in columns:
                column.value_in(file.uri)
        if self.origin is not None:
            if self.origin in features:
                raise InputError(f"{self} has a column {self.origin!r}", hint="give origin= another name")
            features[self.origin] = {"path": features_of.value("string"), "row": features_of.value("int64")}
        problem = features_of.problem_with(features)
        if problem is not None:
            raise InputError(f"{self}: {problem}", hint="name what is to be read: features={...}")
        return features_of.as_features(features), columns, tuple(files)

    @property
    def features(self) -> Any:
        """The `datasets.Features` of the columns.

        Raises:
            InputError: A file is missing or damaged, or files disagree.
        """
        try:
            return self._columns[0]
        except InputError as error:
            error.site = error.site or CallSite.nearest()
            raise

    def files(self) -> list[FileInfo]:
        """The files as they are now, or were when the reader was pinned, in the order in which they are read.

        Raises:
            InputError: A path matches nothing, a pattern matches files of several formats, or the name of a
                file tells the format of another reader.
        """
        if self._pinned is not None:
            return list(self._pinned)
        found: dict[str, FileInfo] = {}
        for path in self.paths:
            matched, _ = self._matched(path)
            if len({file.name.lower().endswith(self.suffixes) for file in matched}) > 1:
                check_one_format(repr(path), examples_of(matched))
            for file in matched:
                check_is_of(type(self), self.suffixes, file)
                found.setdefault(file.uri, file)
        return list(found.values())

    def _matched(self, path: str) -> tuple[list[FileInfo], EmptyOutput | None]:
        """The files of a path; none where it is an output without rows."""
        try:
            files = find_files([path], self.suffixes)
        except InputError:
            empty = empty_output(path, self.suffixes, ())
            if empty is None:
                raise
            return [], empty
        empty = empty_output(path, self.suffixes, files) if self.infers_types else None
        return ([], empty) if empty else (files, None)

    def inputs(self) -> list[str]:
        """The files, folders and globs as they were given, and what the globs match."""
        matched = any(GLOB.search(path) for path in self.paths)
        return [*self.paths, *(file.uri for file in self.files() if matched)]

    def extent(self) -> tuple[int | None, int | None]:
        """How large the files are, and of small ones the number of rows; see `Reader.extent`."""
        size = sum(file.size for file in self.files())
        return (size, None) if size > RANGE_BYTES else super().extent()

    def pinned(self) -> Self:
        """The same reader of the files as they are now; see `Reader.pinned`."""
        made = self.model_copy()
        made._pinned = files = tuple(described(self.files()))  # noqa: SLF001 - of its own class
        known = made.__dict__.pop("_columns", None)
        if known is None:
            if not files:  # what tells the columns is not pinned
                _ = made._columns  # noqa: SLF001 - of its own class
            return made
        if [file.uri for file in files] == [file.uri for file in known[2]] and not any(
            before.version.difference(now.version) for before, now in zip(known[2], files, strict=True)
        ):
            made.__dict__["_columns"] = known
        else:
            _check_columns_stay(self, known[0], made.features)
        return made

    def check_unchanged(self) -> None:
        """Refuse files that have changed since the reader was pinned.

        Raises:
            InputError: One is gone, or has changed.
        """
        check_files(self._pinned or ())

    def ranges(self) -> list[Range]:
        """The files cut into ranges of some 64 MB; small files share a range.

        Raises:
            InputError: A file is missing or damaged, or files disagree.
        """
        _ = self._columns
        files = {file.uri: file for file in self.files()}
        ranges = _of_versions(pack((file.uri, self.blocks_of(file)) for file in files.values()), files)
        return ranges if self.origin is None else _counted(self, files, ranges)

    def scan(self, columns: Sequence[str], condition: Any = None) -> FileScan:
        """A scan of some columns; see `Reader.scan`.

        Folders that cannot meet the condition are not opened; formats with statistics leave out more.

        Raises:
            InputError: There is no such column, or a file is missing or damaged, or files disagree.
        """
        features, told, _ = self._columns
        for name in columns:
            if name not in features:
                raise InputError(f"{self} has no column {name!r}", hint=near(name, list(features)))
        bare = self.model_copy(update={"declared": None})
        bare.__dict__.pop("_columns", None)  # what was cached is a driver's; workers import no `datasets`
        bare._pinned = None  # noqa: SLF001 - pieces tell the versions of their files
        schema = pa.schema([(name, features_of.to_arrow(feature)) for name, feature in features.items()])
        return FileScan(bare, tuple(columns), schema, told, Condition.bound(condition, schema))

    def fingerprint(self) -> str:
        """Of the configuration, and of each file's path and version."""
        files = [(file.uri, file.version) for file in self.files()]
        told = json.dumps([type(self).__name__, self.to_json(), files], sort_keys=True)
        return "xxh128:" + xxhash.xxh3_128(told.encode()).hexdigest()

    def content(self) -> str:
        """Of the configuration and of the bytes of each file, with its path."""
        files = [(file.uri, fingerprint_of(file.uri)) for file in self.files()]
        told = json.dumps([type(self).__name__, self.to_json(), files], sort_keys=True)
        return "xxh128:" + xxhash.xxh3_128(told.encode()).hexdigest()

    def format_options(self) -> dict[str, Any]:
        """What is said of how files are read, wherever they are."""
        told = self.model_dump(mode="json", exclude={"paths", "declared", "origin", "hive_partitioning"})
        return dict(sorted(told.items()))

    def __str__(self) -> str:
        return f"{type(self).__name__}({some_of([repr(path) for path in self.paths], 2)})"


def _check_columns_stay(reader: FileReader, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse files with other columns than those that were found when the reader was first asked for them."""
    for name in [*before, *now]:
        if name in before and name in now and before[name] == now[name]:
            continue
        told = [features_of.describe(has[name]) if name in has else "missing" for has in (before, now)]
        message = f"the files of {reader} have changed since it was made: column {name!r} was {told[0]}"
        raise InputError(f"{message}, and is {told[1]}", hint="make the reader anew, and what is built on it")


def _folder_column(name: str, feature: Any) -> FolderColumn:
    labels = tuple(feature.names) if features_of.is_class_label(feature) else ()
    return FolderColumn(name, features_of.to_arrow(feature), labels)


def _of_versions(ranges: Sequence[Range], files: Mapping[str, FileInfo]) -> list[Range]:
    """Ranges whose pieces tell the versions of their files."""
    return [
        replace(part, pieces=tuple(replace(one, version=files[one.path].version) for one in part.pieces))
        for part in ranges
    ]


def _counted(reader: FileReader, files: Mapping[str, FileInfo], ranges: Sequence[Range]) -> list[Range]:
    """Ranges whose pieces all know their first row, which for formats cut by bytes means to count lines."""
    starts: dict[str, list[int]] = {}
    for part in ranges:
        for piece in part.pieces:
            if piece.first_row is None:
                starts.setdefault(piece.path, []).append(piece.start)
    rows = {
        (path, start): row
        for path, cuts in starts.items()
        for start, row in zip(cuts, reader.first_rows(files[path], cuts), strict=True)
    }
    return [
        replace(
            part,
            pieces=tuple(
                replace(piece, first_row=rows.get((piece.path, piece.start), piece.first_row))
                for piece in part.pieces
            ),
        )
        for part in ranges
    ]


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
