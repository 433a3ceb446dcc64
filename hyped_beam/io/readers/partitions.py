"""Columns that folders tell: `.../group=spam/year=2024/part-0.parquet`, as Hive and Spark name them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import InputError
from hyped_beam.io.filesystem import FileInfo
from hyped_beam.io.readers.conditions import Condition

NULL = "__HIVE_DEFAULT_PARTITION__"
FOLDER = re.compile(r"([^=/?]+)=([^/]*)")
# Numbers that come back as they were written: no sign of plus, no leading zeros, within 64 bits.
WHOLE_NUMBER = re.compile(r"0|-?[1-9]\d{0,17}")


def values_of(uri: str) -> dict[str, str | None]:
    """What the folders of a path tell, by column; those of the working directory tell nothing.

    A value is None where the column is null.
    """
    folders = uri.partition("?")[0].rpartition("/")[0]
    if "://" not in uri:
        here = f"{Path.cwd()}/"
        folders = folders[len(here) :] if f"{folders}/".startswith(here) else folders
    found = (FOLDER.fullmatch(folder) for folder in folders.split("/"))
    told = {match[1]: unquote(match[2]) for match in found if match is not None}
    return {name: None if value == NULL else value for name, value in told.items()}


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


def scalar_of(uri: str, name: str, arrow_type: pa.DataType) -> pa.Scalar:
    """The value of a column in all rows of a file.

    Raises:
        InputError: The value is not of the type.
    """
    text = values_of(uri).get(name)
    try:
        return pc.cast(pa.scalar(text, pa.string()), arrow_type)
    except pa.ArrowException:
        message = f"the folder {name}={text} of {uri} does not tell a {arrow_type}"
        raise InputError(message, hint=f"declare what it is: features={{{name!r}: 'string'}}") from None


def may_meet(uri: str, types: Mapping[str, pa.DataType], condition: Condition) -> bool:
    """Whether a row of a file may meet a condition, by what its folders tell."""
    guarantee = pc.scalar(True)  # noqa: FBT003 - a constant
    for name, arrow_type in types.items():
        value = scalar_of(uri, name, arrow_type)
        guarantee &= pc.field(name) == value if value.is_valid else pc.field(name).is_null()
    return condition.allows(guarantee)
