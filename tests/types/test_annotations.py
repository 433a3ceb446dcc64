"""Python annotations as feature patterns."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple, Optional, TypedDict, Union

import datasets
import pyarrow as pa
import pytest
from datasets import ClassLabel, LargeList, List, Value

from hyped_beam.types import annotations, features, patterns
from hyped_beam.types.annotations import AnnotationError, pattern_of, split_optional

LABEL = ClassLabel(names=["a", "b"])


class Pair(NamedTuple):
    left: str
    right: patterns.Int32Column


class Typed(TypedDict):
    tags: list[str]


@dataclasses.dataclass
class Row:
    size: int
    pair: Pair


MATCHES = {
    "str": (str, ["string", "large_string"], ["binary", "int64"]),
    "int": (int, ["int8", "uint64"], ["float64", "bool"]),
    "float": (float, ["float16", "float64", "int8"], ["string", "bool"]),
    "bool": (bool, ["bool"], ["int8"]),
    "bytes": (bytes, ["binary", "large_binary"], ["string"]),
    "datetime": (datetime.datetime, ["timestamp[s]", "timestamp[ns, tz=UTC]"], ["date32", "string"]),
    "date": (datetime.date, ["date32", "date64"], ["timestamp[s]"]),
    "time": (datetime.time, ["time32[s]", "time64[ns]"], ["timestamp[s]", "duration[s]"]),
    "timedelta": (datetime.timedelta, ["duration[us]"], ["time32[s]", "int64"]),
    "Decimal": (decimal.Decimal, ["decimal128(3, 1)", "decimal256(50, 1)"], ["float64"]),
    "StringColumn": (patterns.StringColumn, ["string", "string_view"], ["binary"]),
    "NumberColumn": (patterns.NumberColumn, ["int8", "float32", "decimal128(3, 1)"], ["bool", "string"]),
    "TimeColumn": (patterns.TimeColumn, ["timestamp[s]", "date32", "time32[s]", "duration[s]"], ["int64"]),
    "Int32Column": (patterns.Int32Column, ["int32"], ["int64", "uint32"]),
    "an Arrow array": (pa.Array, ["string", "null", "int8"], []),
    "Any": (Any, ["string", "null", "int8"], []),
    "int | str": (int | str, ["int8", "string"], ["float64"]),
    "Union": (Union[int, str], ["int8", "string"], ["float64"]),  # noqa: UP007 - both ways of writing it
    "Optional": (Optional[str], ["string"], ["int8"]),  # noqa: UP045 - as above
    "an Arrow type": (Annotated[pa.Array, pa.int16()], ["int16"], ["int32"]),
    "a feature": (Annotated[pa.Array, Value("uint8")], ["uint8"], ["int8"]),
}


@pytest.mark.parametrize(("annotation", "taken", "refused"), list(MATCHES.values()), ids=list(MATCHES))
def test_what_an_annotation_takes(annotation, taken, refused):
    pattern = pattern_of(annotation)
    assert [dtype for dtype in taken if not pattern.matches(Value(dtype))] == []
    assert [dtype for dtype in refused if pattern.matches(Value(dtype))] == []


@pytest.mark.parametrize(
    ("annotation", "taken", "refused"),
    [
        (list, List(Value("int8")), {"a": Value("int8")}),
        (list[str], LargeList(Value("large_string")), List(Value("int8"))),
        (list[str], List(Value("null")), Value("string")),
        (Sequence[list[int]], List(List(Value("int8"))), List(Value("int8"))),
        (dict, {"a": Value("int8")}, List(Value("int8"))),
        (dict[str, Any], datasets.Translation(["de"]), Value("string")),
        (Mapping[str, int], {"a": Value("int8")}, Value("int8")),
        (int, LABEL, List(LABEL)),
        (Annotated[int, LABEL], LABEL, ClassLabel(names=["b", "a"])),
        (Annotated[dict, {"a": Value("int8")}], {"a": Value("int8")}, {"a": Value("int16")}),
        (Annotated[pa.Array, datasets.Image()], datasets.Image(), datasets.Image(mode="RGB")),
        (Pair, {"left": Value("string"), "right": Value("int32")}, {"left": Value("string")}),
        (Any, datasets.Image(), None),
    ],
)
def test_what_is_taken_of_nested_features(annotation, taken, refused):
    pattern = pattern_of(annotation)
    assert pattern.matches(taken)
    assert refused is None or not pattern.matches(refused)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (str, Value("string")),
        (int, Value("int64")),
        (float, Value("float64")),
        (bool, Value("bool")),
        (bytes, Value("binary")),
        (datetime.datetime, Value("timestamp[us]")),
        (datetime.date, Value("date32")),
        (datetime.time, Value("time64[us]")),
        (datetime.timedelta, Value("duration[us]")),
        (list[str], List(Value("string"))),
        (list[list[int]], List(List(Value("int64")))),
        (Typed, {"tags": List(Value("string"))}),
        (Row, {"size": Value("int64"), "pair": {"left": Value("string"), "right": Value("int32")}}),
        (list[Pair], List({"left": Value("string"), "right": Value("int32")})),
        (Annotated[int, LABEL], LABEL),
        (patterns.Float32Column, Value("float32")),
        (decimal.Decimal, None),
        (list, None),
        (dict, None),
        (Any, None),
        (patterns.NumberColumn, None),
    ],
)
def test_the_feature_of_an_output(annotation, expected):
    found = pattern_of(annotation).feature()
    assert found is expected if expected is None else features.same(found, expected)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (str | None, (str, True)),
        (Optional[list[str]], (list[str], True)),  # noqa: UP045 - both ways of writing it
        (str, (str, False)),
        (Any, (Any, True)),
        (int | str | None, (Union[int, str], True)),  # noqa: UP007 - what it is turned to
        (int | str, (int | str, False)),
    ],
)
def test_whether_null_is_admitted(annotation, expected):
    assert split_optional(annotation) == expected


@pytest.mark.parametrize("annotation", ["text", 3, object(), set, complex, type, {"a": 1}])
def test_what_is_no_pattern_is_refused(annotation):
    with pytest.raises(AnnotationError, match="is no feature pattern"):
        pattern_of(annotation)


def test_a_record_needs_to_know_its_fields():
    class Open(NamedTuple):
        anything: Any

    with pytest.raises(AnnotationError, match="does not say which feature it is"):
        pattern_of(Open)


def test_records_are_classes_of_named_fields():
    assert all(annotations.is_record(record) for record in (Pair, Typed, Row))
    assert not any(annotations.is_record(other) for other in (tuple, dict, str, list[str], Pair("a", 1)))
    assert list(annotations.record_fields(Row)) == ["size", "pair"]


def test_a_pattern_reads_as_words():
    assert pattern_of(list[str]).description == "a list of a string"
    assert pattern_of(int | str).description == "an integer or a string"
    assert pattern_of(Annotated[int, LABEL]).description == "ClassLabel(a, b)"
