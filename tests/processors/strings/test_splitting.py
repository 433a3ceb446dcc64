"""Splitting against `str.split` and `re.split`, and counting against splitting."""

from __future__ import annotations

import re
from typing import ClassVar

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.refs import feature_of
from hyped_beam.processors.strings.splitting import CountWords, Split, SplitRegex
from hyped_beam.testing import flow_of
from hyped_beam.types.patterns import Int64Column, ListColumn, StringColumn

SEPARATORS = [" ", ",", "\n", ", ", "aa", "é", "\u3000"]
REGEXES = ["[, ]", "a+", "[, ]+b?", "(?:é|,)", "^a", "a*", r"\b", r"\s*$"]


class ListLength(Processor):
    measures_length: ClassVar[bool] = True

    def process(self, items: ListColumn) -> Int64Column: ...


class FirstWord(Processor):
    def process(self, items: ListColumn) -> StringColumn: ...


def count_instead(split):
    """The operation that a flow runs in place of the length of a split."""
    return split.absorb(ListLength()).call


@given(st.data())
def test_split_on_white_space(texts, same_as_python, data):
    values = data.draw(texts)
    same_as_python(lambda text: text.split(), str.split, values)
    same_as_python(count_instead(Split()), lambda value: len(value.split()), values)


@pytest.mark.parametrize("between", ["", "x", "é"])
def test_every_white_space(between, same_as_python):
    # All white space begins with a byte that begins characters below U+4000 alone.
    values = [f"{between}{chr(code)}{between}a" for code in range(0x4000)]
    assert all(not chr(code).isspace() for code in range(0x4000, 0x110000))
    same_as_python(lambda text: text.split(), str.split, values)
    same_as_python(count_instead(Split()), lambda value: len(value.split()), values)


@pytest.mark.parametrize("separator", SEPARATORS)
@given(data=st.data())
def test_split_on_a_separator(separator, texts, same_as_python, data):
    values = data.draw(texts)
    same_as_python(lambda text: text.split(separator), lambda value: value.split(separator), values)
    same_as_python(
        count_instead(Split(separator=separator)), lambda value: len(value.split(separator)), values
    )


@pytest.mark.parametrize("pattern", REGEXES)
@given(data=st.data())
def test_split_on_a_regular_expression(pattern, texts, same_as_python, data):
    values = data.draw(texts)
    same_as_python(lambda text: text.split_regex(pattern), lambda value: re.split(pattern, value), values)
    same_as_python(
        count_instead(SplitRegex(pattern=pattern)), lambda value: len(re.split(pattern, value)), values
    )


def test_a_pattern_that_matches_between_characters(run):
    assert run(lambda text: text.split_regex(r"\b"), ["a b", "", None]) == [
        ["", "a", " ", "b", ""],
        [""],
        None,
    ]
    assert run(count_instead(SplitRegex(pattern=r"\b")), ["a b", "", None]) == [5, 1, None]


def test_rows_that_touch(run):
    assert run(count_instead(Split()), ["a", "b c", "", "d", " e", None, "f"]) == [1, 2, 0, 1, 1, None, 1]


def test_words_under_nulls_are_not_counted():
    hidden = pa.Array.from_buffers(
        pa.string(),
        2,
        [
            pa.py_buffer(b"\x02"),
            pa.py_buffer(bytes([0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0])),
            pa.py_buffer(b"a b"),
        ],
    )

    assert CountWords().process(hidden).to_pylist() == [None, 1]
    assert Split().process(hidden).to_pylist() == [None, ["b"]]


def test_what_else_uses_the_parts_is_not_replaced():
    assert Split().absorb(FirstWord()) is None
    assert SplitRegex(pattern=",").absorb(FirstWord()) is None


def test_types():
    src = flow_of(pa.schema({"text": pa.string(), "wide": pa.large_string()}))

    assert feature_of(src.text.split()).feature.dtype == "string"
    assert feature_of(src.wide.split(",")).feature.dtype == "large_string"


def test_what_separates_nothing_is_refused():
    text = flow_of(pa.schema({"text": pa.string()})).text

    with pytest.raises(DefinitionError, match="white space"):
        text.split("")
    with pytest.raises(DefinitionError, match="regular expression"):
        text.split_regex("(")
