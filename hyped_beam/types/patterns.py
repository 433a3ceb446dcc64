"""Feature patterns: what a node takes and gives, as annotations that are Arrow arrays to type checkers.

`StringColumn` in `def process(self, text: StringColumn) -> Int32Column` is `pyarrow.Array` for mypy and a
pattern for a flow. A feature of one's own is `Annotated[pa.Array, datasets.ClassLabel(names=[...])]`.
As an output, a pattern that names one type is that type; one that names several (`StringColumn`,
`NumberColumn`) is the type of the first input with that pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import pyarrow as pa

from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature


@dataclass(frozen=True)
class Pattern:
    """A set of features.

    Attributes:
        description: The set in words: "a string".
        families: The families in it.
        dtype: The one `Value` dtype in it, where it has only one.
        exact: The one feature in it, where it has only one and that is no plain `Value`.
        fallback: The dtype of an output with this pattern when no input has it.
        inner: For lists, the pattern of their elements.
    """

    description: str
    families: frozenset[Family]
    dtype: str | None = None
    exact: Any = None
    fallback: str | None = None
    inner: Pattern | None = None

    def matches(self, feature: Feature) -> bool:
        """Whether a feature is in the set."""
        if self.exact is not None:
            return features.same(feature, self.exact)
        if self.dtype is not None:
            return str(getattr(feature, "dtype", None)) == self.dtype
        if features.family(feature) not in self.families:
            return False
        if self.inner is not None and features.family(feature) is Family.LIST:
            return self.inner.matches(feature.feature) or features.family(feature.feature) is Family.NULL
        return True

    def feature(self) -> Feature | None:
        """The feature of an output with this pattern; None where only an input can tell."""
        if self.exact is not None:
            return self.exact
        if self.dtype is not None or self.fallback is not None:
            return features.value(str(self.dtype or self.fallback))
        if self.inner is not None and (inner := self.inner.feature()) is not None:
            return features.list_of(inner)
        return None


def one(dtype: str) -> Pattern:
    """The pattern of a single `Value` dtype."""
    return Pattern(dtype, frozenset({features._family_of_dtype(dtype)}), dtype=dtype)  # noqa: SLF001


def several(description: str, *families: Family, fallback: str | None = None) -> Pattern:
    """The pattern of whole families."""
    return Pattern(description, frozenset(families), fallback=fallback)


def exactly(feature: Feature) -> Pattern:
    """The pattern of one feature."""
    if type(feature).__name__ == "Value":
        return one(feature.dtype)
    return Pattern(features.describe(feature), frozenset({features.family(feature)}), exact=feature)


def lists_of(inner: Pattern) -> Pattern:
    """The pattern of lists whose elements have a pattern."""
    return Pattern(f"a list of {inner.description}", frozenset({Family.LIST}), inner=inner)


_ANY = several("any type", *Family)
_NUMBERS = (Family.INTEGER, Family.FLOAT, Family.DECIMAL)
_TIMES = (Family.TIMESTAMP, Family.DATE, Family.TIME, Family.DURATION)

AnyColumn: TypeAlias = Annotated[pa.Array, _ANY]
BooleanColumn: TypeAlias = Annotated[pa.Array, one("bool")]
IntegerColumn: TypeAlias = Annotated[pa.Array, several("an integer", Family.INTEGER)]
FloatColumn: TypeAlias = Annotated[pa.Array, several("a float", Family.FLOAT)]
NumberColumn: TypeAlias = Annotated[pa.Array, several("a number", *_NUMBERS)]
StringColumn: TypeAlias = Annotated[pa.Array, several("a string", Family.STRING, fallback="string")]
BinaryColumn: TypeAlias = Annotated[pa.Array, several("binary", Family.BINARY, fallback="binary")]
TimestampColumn: TypeAlias = Annotated[pa.Array, several("a timestamp", Family.TIMESTAMP)]
DateColumn: TypeAlias = Annotated[pa.Array, several("a date", Family.DATE, fallback="date32")]
DurationColumn: TypeAlias = Annotated[pa.Array, several("a duration", Family.DURATION)]
TimeColumn: TypeAlias = Annotated[pa.Array, several("a time", *_TIMES)]
ListColumn: TypeAlias = Annotated[pa.Array, several("a list", Family.LIST)]
StructColumn: TypeAlias = Annotated[pa.Array, several("a struct", Family.STRUCT)]
Int8Column: TypeAlias = Annotated[pa.Array, one("int8")]
Int16Column: TypeAlias = Annotated[pa.Array, one("int16")]
Int32Column: TypeAlias = Annotated[pa.Array, one("int32")]
Int64Column: TypeAlias = Annotated[pa.Array, one("int64")]
UInt8Column: TypeAlias = Annotated[pa.Array, one("uint8")]
UInt16Column: TypeAlias = Annotated[pa.Array, one("uint16")]
UInt32Column: TypeAlias = Annotated[pa.Array, one("uint32")]
UInt64Column: TypeAlias = Annotated[pa.Array, one("uint64")]
Float32Column: TypeAlias = Annotated[pa.Array, one("float32")]
Float64Column: TypeAlias = Annotated[pa.Array, one("float64")]


def any_of(patterns: Sequence[Pattern]) -> Pattern:
    """The pattern of all features that one of several takes."""
    if len(patterns) == 1:
        return patterns[0]
    families = frozenset(family for pattern in patterns for family in pattern.families)
    return Pattern(" or ".join(pattern.description for pattern in patterns), families)
