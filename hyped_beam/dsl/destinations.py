"""The writer of a folder that is given as text, whose ending may tell the format and the compression."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hyped_beam.errors import InputError, nearest_name
from hyped_beam.io.writers.base import Writer
from hyped_beam.io.writers.compressed_text import ENDINGS


@dataclass(frozen=True)
class _Format:
    """What an ending tells.

    Attributes:
        writer: The writer, as module and name within `hyped_beam.io.writers`.
        options: Those of its options that follow from the ending.
    """

    writer: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> type[Writer]:
        """The class of the writer."""
        module, _, name = self.writer.partition(".")
        kind: type[Writer] = getattr(importlib.import_module(f"hyped_beam.io.writers.{module}"), name)
        return kind


_PLAIN = {".parquet": _Format("parquet.ParquetDatasetWriter"), ".arrow": _Format("arrow.ArrowDatasetWriter")}
_TEXT = {
    ".jsonl": _Format("json.JsonDatasetWriter"),
    ".json": _Format("json.JsonDatasetWriter"),
    ".csv": _Format("csv.CsvDatasetWriter", {"delimiter": ","}),
    ".tsv": _Format("csv.CsvDatasetWriter", {"delimiter": "\t"}),
}
_FORMATS: Mapping[str, _Format] = {
    **_PLAIN,
    **{
        ending + packed: _Format(told.writer, {**told.options, "compression": compression})
        for compression, packed in ENDINGS.items()
        for ending, told in _TEXT.items()
    },
}
_ENDING = re.compile(r"[^/.](\.[a-z]\w{0,9}(?:\.(?:gz|zst|bz2))?)$")
KNOWN = f"{', '.join([*_PLAIN, *_TEXT])}, and {', '.join(_TEXT)} followed by .gz, .zst or .bz2"
"""The endings there are, for messages."""


def writer_like(folder: str, like: Writer | None, default: str | None = None) -> Writer:
    """A writer to another folder.

    Args:
        folder: The folder. What its name ends in, such as `.csv`, `.tsv.gz`, `.jsonl.zst` or `.parquet`,
            tells the format and whether files are compressed; `.parquet/` and the like do so, too. Any other
            ending has to be followed by a slash, to be just a name.
        like: The writer that it is like: it has the same options, and the format unless the ending tells
            another one.
        default: The ending that counts where neither tells the format.

    Raises:
        DefinitionError: The folder is none.
        InputError: Nothing tells the format, or the ending is not known.
    """
    told = _told(folder)
    if like is None:
        told = told or _FORMATS.get(default or "")
        if told is None:
            raise InputError(f"{folder!r} does not tell its format", hint=f"known endings are {KNOWN}")
        return told.kind(folder, **told.options)
    if told is not None and told.kind is not type(like):
        return told.kind(folder, **told.options, overwrite=like.overwrite, verify=like.verify)
    return _same_kind(folder, like, {} if told is None else told.options)


def _same_kind(folder: str, like: Writer, options: Mapping[str, Any]) -> Writer:
    """A writer of the same format: of what the ending tells only what the files' names show to differ."""
    packed = {name: value for name, value in options.items() if name == "compression"}
    made = type(like).from_json({**like.to_json(), "path": folder, **packed})
    if not options or made.suffix == type(like)(folder, **options).suffix:
        return made
    return type(like).from_json({**made.to_json(), **options})


def _told(folder: str) -> _Format | None:
    """What the ending of a folder's name tells; None where it has none.

    Raises:
        InputError: It has one that is not known.
    """
    path = folder.partition("?")[0] if "://" in folder else folder
    found = _ENDING.search(path.rstrip("/").lower())
    if found is None or found[1] in _FORMATS:
        return None if found is None else _FORMATS[found[1]]
    if path.endswith("/"):
        return None
    close = nearest_name(found[1], _FORMATS)
    meant = f"did you mean {close!r}? " if close else ""
    hint = f"{meant}known are {KNOWN}; if it is just a name, end it with a slash: {path + '/'!r}"
    raise InputError(f"no format has the ending {found[1]!r} of {folder!r}", hint=hint)
