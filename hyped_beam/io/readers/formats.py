"""Which reader reads which files, by their names."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from hyped_beam.errors import InputError
from hyped_beam.io.paths import find_files
from hyped_beam.io.readers.empty_outputs import empty_output
from hyped_beam.io.readers.files import FileReader
from hyped_beam.io.readers.suffixes import (
    BY_SUFFIX,
    check_one_format,
    compressed_suffixes,
    examples_of,
    reader_of_name,
)

_SUFFIXES = compressed_suffixes(BY_SUFFIX)


def reader_of(paths: Sequence[str], **options: Any) -> FileReader:
    """The reader of files, by their names.

    Args:
        paths: Files, globs, or folders, which are told by the files in them.
        **options: Those of the reader.

    Raises:
        InputError: There are no such files, their names tell no format, or they tell several.
    """
    named = {reader_of_name(path.partition("?")[0] if "://" in path else path) for path in paths}
    if None in named or len(named) > 1:
        examples = _examples(paths)
        named = set(examples)
    if None in named:
        known = ", ".join(sorted(BY_SUFFIX))
        raise InputError(
            f"{examples[None]!r} does not tell its format", hint=f"give a reader; known are {known}"
        )
    module, _, name = str(named.pop()).partition(".")
    reader: type[FileReader] = getattr(importlib.import_module(f"hyped_beam.io.readers.{module}"), name)
    return reader(paths, **options)


def _examples(paths: Sequence[str]) -> dict[str | None, str]:
    """Files that paths mean, one of each format, by its reader; of an output without files its folder.

    Raises:
        InputError: There are no such files, or of several formats.
    """
    examples: dict[str | None, str] = {}
    for path in paths:
        try:
            examples |= examples_of(find_files([path], _SUFFIXES))
        except InputError:
            empty = empty_output(path, _SUFFIXES, ())
            if empty is None:
                raise
            examples[reader_of_name(empty.suffix)] = path
    check_one_format(", ".join(map(repr, paths[:2])), examples)
    return examples
