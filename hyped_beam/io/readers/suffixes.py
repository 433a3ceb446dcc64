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


def check_one_format(shown: str, files: Iterable[FileInfo]) -> None:
    """Refuse files whose names tell several formats: no source is of more than one.

    Args:
        shown: What they were found by.
        files: The files.

    Raises:
        InputError: Their names tell several.
    """
    examples = {reader_of_name(file.name): file for file in files}
    told = {reader: file for reader, file in examples.items() if reader is not None}
    if len(told) > 1:
        kinds = " and ".join(f"{file.uri} for {reader.rpartition('.')[2]}" for reader, file in told.items())
        suffix = next(suffix for suffix, reader in BY_SUFFIX.items() if reader in told)
        message = f"{shown} holds files of several formats: {kinds}"
        hint = f"a source is of one format: give a pattern such as '*{suffix}', or convert the others"
        raise InputError(message, hint=hint)
