"""Which reader reads which files, by their names."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from hyped_beam.errors import InputError
from hyped_beam.io.paths import find_files
from hyped_beam.io.readers.files import FileReader
from hyped_beam.io.readers.lines import COMPRESSIONS, compressed_suffixes

READERS: Mapping[str, tuple[str, ...]] = {
    "parquet.ParquetReader": (".parquet", ".pq"),
    "arrow.ArrowReader": (".arrow", ".feather", ".ipc"),
    "json.JsonReader": (".jsonl", ".ndjson", ".json"),
    "csv.CsvReader": (".csv", ".tsv"),
    "text.TextReader": (".txt",),
}
"""The readers, and the suffixes by which files are theirs; where text is compressed, one more follows."""

_BY_SUFFIX = {suffix: reader for reader, suffixes in READERS.items() for suffix in suffixes}
_SUFFIXES = compressed_suffixes(_BY_SUFFIX)


def reader_of(paths: Sequence[str], **options: Any) -> FileReader:
    """The reader of files, by their names.

    Args:
        paths: Files, globs, or folders, which are told by the files in them.
        **options: Those of the reader.

    Raises:
        InputError: There are no such files, their names tell no format, or they tell several.
    """
    named = {_reader_of_name(path.partition("?")[0] if "://" in path else path) for path in paths}
    if named == {None} or None in named:
        files = find_files(paths, _SUFFIXES)
        examples = {_reader_of_name(file.name): file.uri for file in files}
        named = set(examples)
    if None in named:
        known = ", ".join(sorted(_BY_SUFFIX))
        raise InputError(
            f"{examples[None]!r} does not tell its format", hint=f"give a reader; known are {known}"
        )
    if len(named) > 1:
        shown = " and ".join(sorted(str(reader) for reader in named))
        message = f"{paths[0]!r} holds files of several formats, for {shown}"
        raise InputError(message, hint="give one of these readers, or a glob such as *.parquet")
    module, _, name = str(named.pop()).partition(".")
    reader: type[FileReader] = getattr(importlib.import_module(f"hyped_beam.io.readers.{module}"), name)
    return reader(paths, **options)


def _reader_of_name(name: str) -> str | None:
    name = name.lower().rstrip("/")
    for packed in COMPRESSIONS:
        name = name.removesuffix(packed)
    return next((reader for suffix, reader in _BY_SUFFIX.items() if name.endswith(suffix)), None)
