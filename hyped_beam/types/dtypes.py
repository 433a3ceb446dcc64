"""The names of types, as `datasets.Value` takes them."""

from __future__ import annotations

from typing import Final

from hyped_beam.errors import DefinitionError, nearest_name

DTYPES: Final = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
    "float64", "string", "large_string", "binary", "large_binary", "date32", "date64", "time32[s]",
    "time64[us]", "timestamp[us]", "timestamp[us, tz=UTC]", "duration[us]", "decimal128(18, 2)",
)  # fmt: skip

_MEANT: Final = {
    "int": "int64", "integer": "int64", "long": "int64", "str": "string", "text": "string", "utf8": "string",
    "bytes": "binary", "boolean": "bool", "date": "date32", "datetime": "timestamp[us]", "time": "time64[us]",
    "timestamp": "timestamp[us]", "timedelta": "duration[us]", "duration": "duration[us]",
    "decimal": "decimal128(18, 2)",
}  # fmt: skip


def unknown_dtype(name: str) -> DefinitionError:
    """Return the error for a type that does not exist; the hint says which one was probably meant."""
    return DefinitionError(f"there is no dtype {name!r}", hint=_hint(name))


def _hint(name: str) -> str:
    lower = name.strip().lower()
    if "list" in lower:
        return 'a list is written as one of its elements in brackets: ["int64"]'
    close = _MEANT.get(lower) or nearest_name(lower, DTYPES)
    return f"did you mean {close!r}?" if close else f"there are: {', '.join(DTYPES)}"
