"""Searching against `str`, and against `re`."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.processors.strings.searching import Contains, Count
from hyped_beam.testing import flow_of

PATTERNS = st.one_of(st.just(""), st.text("abA, .é\u3000😀", max_size=5))
METHODS = {
    "contains": lambda value, pattern: pattern in value,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "find": str.find,
    "count": str.count,
}


@pytest.mark.parametrize("method", METHODS)
@given(data=st.data())
def test_any_pattern(method, texts, same_as_python, data):
    pattern = data.draw(PATTERNS)
    same_as_python(
        lambda text: getattr(text, method)(pattern),
        lambda value: METHODS[method](value, pattern),
        data.draw(texts),
    )


@pytest.mark.parametrize("method", METHODS)
@given(data=st.data())
def test_a_pattern_from_the_texts(method, texts, same_as_python, data):
    values = data.draw(texts)
    some = data.draw(st.sampled_from([value for value in values if value] or ["é"]))
    start = data.draw(st.integers(0, len(some) - 1))
    pattern = some[start : start + data.draw(st.integers(1, 6))]
    same_as_python(
        lambda text: getattr(text, method)(pattern), lambda value: METHODS[method](value, pattern), values
    )


@pytest.mark.parametrize("pattern", ["b", "ab", "aba", "abc", "unsubscribe"])
@given(values=st.lists(st.text("abc", max_size=8), min_size=1))
@example(["a", "b", "", "c", "ab", "c"])
@example(["unsub", "scribe", "unsubscribe", "x"] * 20)
@example(["unsubscribe"] * 20)
def test_nothing_is_found_across_rows(pattern, same_as_python, values):
    same_as_python(lambda text: text.contains(pattern), lambda value: pattern in value, values)
    same_as_python(lambda text: text.count(pattern), lambda value: value.count(pattern), values)


def test_many_rows_and_few_hits():
    values = ["nothing here, at all"] * 3000
    values[0], values[1234], values[2999] = "unsubscribe", "to unsubscribe, unsubscribe", "please unsubscribe"
    column = pa.array(values)

    assert Contains(pattern="unsubscribe").process(column).true_count == 3
    assert Count(pattern="unsubscribe").process(column)[1234].as_py() == 2


def test_bytes_under_nulls_are_not_looked_at():
    hidden = pa.Array.from_buffers(
        pa.string(),
        2,
        [
            pa.py_buffer(b"\x02"),
            pa.py_buffer(bytes([0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0])),
            pa.py_buffer(b"aba"),
        ],
    )

    assert Contains(pattern="a").process(hidden).to_pylist() == [None, True]
    assert Count(pattern="b").process(hidden).to_pylist() == [None, 0]


@given(st.data())
def test_length(texts, same_as_python, data):
    same_as_python(lambda text: text.length(), len, data.draw(texts))


@pytest.mark.parametrize("pattern", ["a", "^a", "b$", r"a.b", r"[aA]+,", r"\.", r"\x1c", "é|a", "(?i)AB", ""])
@given(data=st.data())
def test_matches(pattern, texts, same_as_python, data):
    python = re.compile(pattern)
    same_as_python(
        lambda text: text.matches(pattern), lambda value: bool(python.search(value)), data.draw(texts)
    )


def test_types():
    text = flow_of(pa.schema({"text": pa.string()})).text

    assert feature_of(text.length()).dtype == "int64"
    assert feature_of(text.find("a")).dtype == "int64"
    assert feature_of(text.count("a")).dtype == "int64"
    assert feature_of(text.contains("a")).dtype == "bool"


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("(?=a)b", "look-around"),
        (r"(a)\1", "back-references"),
        ("a++", "possessive"),
        (r"a\z", r"\Z"),
        ("(a", "Python's re"),
    ],
)
def test_a_wrong_pattern_is_refused_where_it_is_written(pattern, hint):
    text = flow_of(pa.schema({"text": pa.string()})).text

    with pytest.raises(DefinitionError, match=re.escape(repr(pattern))) as error:
        text.matches(pattern)

    assert hint in error.value.hint
    assert error.value.site.file == __file__
