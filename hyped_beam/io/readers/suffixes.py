"""The formats that the names of files tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hyped_beam.errors import InputError
from hyped_beam.io.filesystem import FileInfo

COMPRESSIONS: Mapping[str, str] = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}

READERS: Mapping[str, tuple[str, ...]] = {
    "parquet.ParquetReader": (".parquet", ".pq"),
    "arrow.ArrowReader": (".arrow", ".feather", ".ipc"),
    "json.JsonReader": (".jsonl", ".ndjson", ".json"),
    "csv.CsvReader": (".csv", ".tsv"),
    "text.TextReader": (".txt",),
}
"""The readers, and the suffixes by which files are theirs; where text is compressed, one more follows."""

BY_SUFFIX = {suffix: reader for reader, suffixes in READERS.items() for suffix in suffixes}


def compressed_suffixes(suffixes: Iterable[str]) -> tuple[str, ...]:
    """The suffixes, and each followed by those of the compressions."""
    bare = tuple(suffixes)
    return bare + tuple(suffix + packed for suffix in bare for packed in COMPRESSIONS)


def reader_of_name(name: str) -> str | None:
    """The reader of a file, by its name; None where that tells no format."""
    name = name.lower().rstrip("/")
    for packed in COMPRESSIONS:
        name = name.removesuffix(packed)
    return next((reader for suffix, reader in BY_SUFFIX.items() if name.endswith(suffix)), None)


def check_one_format(shown: str, examples: Mapping[str | None, str]) -> None:
    """Refuse files whose names tell several formats: no source is of more than one.

    Args:
        shown: What they were found by.
        examples: The URI of a file of each format, by its reader; None for names that tell none.

    Raises:
        InputError: Their names tell several.
    """
    told = {reader: uri for reader, uri in examples.items() if reader is not None}
    if len(told) > 1:
        kinds = " and ".join(f"{uri} for {reader.rpartition('.')[2]}" for reader, uri in told.items())
        suffix = next(suffix for suffix, reader in BY_SUFFIX.items() if reader in told)
        message = f"{shown} holds files of several formats: {kinds}"
        hint = f"a source is of one format: give a pattern such as '*{suffix}', or convert the others"
        raise InputError(message, hint=hint)


def examples_of(files: Iterable[FileInfo]) -> dict[str | None, str]:
    """Files, one of each format, by the readers that their names tell."""
    return {reader_of_name(file.name): file.uri for file in files}


_ANY_TEXT = "text.TextReader"
"""Its suffixes tell no format: a table may be in `.txt`. It reads lines of whatever is text."""

_BINARY = ("parquet.ParquetReader", "arrow.ArrowReader")


def check_is_of(reader: type, suffixes: tuple[str, ...], file: FileInfo) -> None:
    """Refuse a file whose name tells the format of another reader.

    Args:
        reader: The class of the reader that it was given to; one of a user's own reads what it likes.
        suffixes: How the names of its files end.
        file: The file.

    Raises:
        InputError: Its name does.
    """
    bases = {base.__name__ for base in reader.__mro__}
    own = next((known for known in READERS if known.rpartition(".")[2] in bases), None)
    told = reader_of_name(file.name)
    if (
        file.name.lower().endswith(suffixes)
        or own is None
        or told in (None, own, _ANY_TEXT)
        or (own == _ANY_TEXT and told not in _BINARY)
    ):
        return
    name = str(told).rpartition(".")[2]
    raise InputError(
        f"{reader.__name__} does not read {file.uri}: its name tells the format of {name}",
        hint=f"use {name}, or rename the file if it is of another format",
    )
