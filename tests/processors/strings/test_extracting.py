"""Extracting against `re.search`."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import flow_of

PAIR = r"(?P<left>[ab]+)(?:[, ])(?P<right>\S*)"


@given(st.data())
def test_extract(texts, same_as_python, data):
    def search(value):
        found = re.search(PAIR, value)
        return found.groupdict() if found else None

    same_as_python(lambda text: text.extract(PAIR), search, data.draw(texts))


def test_fields_are_null_where_it_does_not_match(run):
    values = ["a,b", "none", None, "x"]

    assert run(lambda text: text.extract(PAIR).right, values) == ["b", None, None, None]


def test_a_group_that_took_no_part_is_null(run):
    assert run(lambda text: text.extract("(?P<sign>-)?(?P<digit>[0-9])"), ["7", "-7"]) == [
        {"sign": None, "digit": "7"},
        {"sign": "-", "digit": "7"},
    ]


def test_a_group_that_matched_nothing_is_empty(run):
    assert run(lambda text: text.extract("(?P<sign>-?)(?P<digit>[0-9])(?P<rest>é*)?"), ["7", "7é"]) == [
        {"sign": "", "digit": "7", "rest": ""},
        {"sign": "", "digit": "7", "rest": "é"},
    ]


def test_the_fields_are_known():
    text = flow_of(pa.schema({"text": pa.large_string()})).text

    assert {name: inner.dtype for name, inner in feature_of(text.extract(PAIR)).items()} == {
        "left": "large_string",
        "right": "large_string",
    }


@pytest.mark.parametrize(
    ("pattern", "hint"), [("a", "(?P<name>"), ("(a)", "(?:"), ("(?P<a>b)(c)", "(?:"), ("(", "Python's re")]
)
def test_groups_without_names_are_refused(pattern, hint):
    text = flow_of(pa.schema({"text": pa.string()})).text

    with pytest.raises(DefinitionError) as error:
        text.extract(pattern)

    assert hint in error.value.hint
