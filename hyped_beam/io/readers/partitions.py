"""Columns that folders tell: `.../group=spam/year=2024/part-0.parquet`, as Hive and Spark name them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import InputError, nearest_name, some_of
from hyped_beam.io.filesystem import FileInfo
from hyped_beam.io.readers.conditions import Condition

NULL = "__HIVE_DEFAULT_PARTITION__"
FOLDER = re.compile(r"([^=/?]+)=([^/]*)")
# Numbers that come back as they were written: no sign of plus, no leading zeros, within 64 bits.
WHOLE_NUMBER = re.compile(r"0|-?[1-9]\d{0,17}")
NO_LABEL = -1
"""What `datasets` has in a `ClassLabel` where there is none."""


def values_of(uri: str) -> dict[str, str | None]:
    """What the folders of a path tell, by column; those of the working directory tell nothing.

    A value is None where the column is null.

    Raises:
        InputError: A value is not UTF-8.
    """
    folders = (uri.partition("?")[0] if "://" in uri else uri).rpartition("/")[0]
    if "://" not in uri:
        here = f"{Path.cwd()}/"
        folders = folders[len(here) :] if f"{folders}/".startswith(here) else folders
    found = (FOLDER.fullmatch(folder) for folder in folders.split("/"))
    told = {match[1]: match[2] for match in found if match is not None}
    # before it is decoded: what is escaped in a text that looks like the mark of null tells them apart
    return {name: None if value == NULL else _decoded(name, value, uri) for name, value in told.items()}


def _decoded(name: str, value: str, uri: str) -> str:
    try:
        text = unquote(value, errors="strict")
        text.encode()
    except UnicodeError:
        message = f"the folder {name}={value!r} of {uri!r} tells no text: it is not UTF-8"
        raise InputError(message, hint="rename it, or give hive_partitioning=False") from None
    return text


def types_of(files: Sequence[FileInfo]) -> dict[str, pa.DataType]:
    """The columns that folders tell, each an int64 where all its values are whole numbers, else a string.

    Raises:
        InputError: Some files lie in such a folder, and others do not.
    """
    told = [values_of(file.uri) for file in files]
    names = dict.fromkeys(name for values in told for name in values)
    types = {}
    for name in names:
        lacking = next((file for file, values in zip(files, told, strict=True) if name not in values), None)
        if lacking is not None:
            having = next(file for file, values in zip(files, told, strict=True) if name in values)
            message = f"the files disagree: {having.uri} lies in a folder {name}=..., {lacking.uri} in none"
            hint = "read one kind of folder, or give hive_partitioning=False"
            raise InputError(message, hint=hint)
        texts = [values[name] for values in told if values[name] is not None]
        whole = bool(texts) and all(WHOLE_NUMBER.fullmatch(text or "") for text in texts)
        types[name] = pa.int64() if whole else pa.string()
    return types


@dataclass(frozen=True)
class FolderColumn:
    """A column that folders tell; what of it travels to the workers, who know no features.

    Attributes:
        name: Its name.
        arrow_type: The type of its values.
        labels: The names that stand for 0, 1, ... where it is a `ClassLabel`, else empty.
    """

    name: str
    arrow_type: pa.DataType
    labels: tuple[str, ...] = ()

    def value_in(self, uri: str) -> pa.Scalar:
        """The value in all rows of a file.

        Raises:
            InputError: The folder does not tell a value of the type.
        """
        text = values_of(uri).get(self.name)
        if self.labels and text is not None:
            return pa.scalar(self._number_of(text, uri), self.arrow_type)
        try:
            return pc.cast(pa.scalar(text, pa.string()), self.arrow_type)
        except pa.ArrowException:
            message = f"the folder {self.name}={text} of {uri} does not tell a {self.arrow_type}"
            raise InputError(
                message, hint=f"declare what it is: features={{{self.name!r}: 'string'}}"
            ) from None

    def _number_of(self, text: str, uri: str) -> int:
        """The number of a label, of which folders tell the name, or the number as our writers do."""
        if text in self.labels:
            return self.labels.index(text)
        if WHOLE_NUMBER.fullmatch(text) and NO_LABEL <= int(text) < len(self.labels):
            return int(text)
        shown = some_of(self.labels, 20)
        close = nearest_name(text, self.labels)
        hint = f"did you mean {close!r}? its names are {shown}" if close else f"its names are {shown}"
        raise InputError(f"the folder {self.name}={text} of {uri} is no label of {self.name!r}", hint=hint)


def may_meet(uri: str, columns: Iterable[FolderColumn], condition: Condition) -> bool:
    """Whether a row of a file may meet a condition, by what its folders tell."""
    guarantee = pc.scalar(True)  # noqa: FBT003 - a constant
    for column in columns:
        value = column.value_in(uri)
        guarantee &= pc.field(column.name) == value if value.is_valid else pc.field(column.name).is_null()
    return condition.allows(guarantee)
