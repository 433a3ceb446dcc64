"""The types of CSV columns, found in their values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.io.filesystem import FileInfo
from hyped_beam.io.readers.base import Piece
from hyped_beam.io.readers.csv_text import Dialect, column_names, tables
from hyped_beam.io.unchanged import present
from hyped_beam.io.versions import Version

LEADING_ZERO = r"^\s*[+-]?0\d"


@dataclass(frozen=True)
class Kind:
    """What all values of a column are; `order` says which holds which."""

    name: str

    @property
    def arrow_type(self) -> pa.DataType:
        """The type of the column; of nothing but null, a string."""
        types = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
        return types.get(self.name, pa.string())

    def with_values_of(self, other: Kind) -> Kind:
        """What the values of both are."""
        names = {self.name, other.name} - {"null"}
        if len(names) < 2:  # noqa: PLR2004 - one of the two, or none
            return Kind(next(iter(names), "null"))
        return Kind("float") if names == {"int", "float"} else Kind("text")


def inferred(file: FileInfo, dialect: Dialect) -> dict[str, Kind]:
    """What the values of each column of a file are."""
    return dict(_inferred(file.uri, file.version, dialect))


@lru_cache(maxsize=1024)
def _inferred(uri: str, version: Version, dialect: Dialect) -> tuple[tuple[str, Kind], ...]:
    names = column_names(uri, version, dialect)
    kinds = dict.fromkeys(names, Kind("null"))
    schema = pa.schema([(name, pa.string()) for name in names])
    for batch, _ in tables(Piece(uri, 0, None, version=version), dialect, schema):
        for name, column in zip(names, batch.columns, strict=True):
            if kinds[name].name != "text":
                kinds[name] = kinds[name].with_values_of(_kind_of(column))
    present(uri, version)
    return tuple(kinds.items())


def _kind_of(column: pa.Array) -> Kind:
    values = column.drop_null()
    if not len(values):
        return Kind("null")
    if pc.all(pc.is_in(pc.utf8_lower(values), pa.array(["true", "false"]))).as_py():
        return Kind("bool")
    if pc.any(pc.match_substring_regex(values, LEADING_ZERO)).as_py():
        return Kind("text")
    for name, arrow_type in (("int", pa.int64()), ("float", pa.float64())):
        try:
            pc.cast(values, arrow_type)
        except pa.ArrowInvalid:
            continue
        return Kind(name)
    return Kind("text")
