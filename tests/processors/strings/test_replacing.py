"""Replacing against `str.replace` and `re.sub`."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError
from hyped_beam.testing import flow_of


@given(st.data(), st.text("abé ", max_size=2), st.text(r"ab\é1", max_size=3), st.integers(-2, 4))
def test_replace(texts, same_as_python, data, old, new, count):
    same_as_python(
        lambda text: text.replace(old, new, count),
        lambda value: value.replace(old, new, count),
        data.draw(texts),
    )


def test_all_are_replaced_unless_a_count_is_given(run):
    assert run(lambda text: text.replace("a", "b"), ["aaa", None, ""]) == ["bbb", None, ""]


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        ("a", "b"),
        ("^a", "b"),
        ("(a)(b)", r"\2\1"),
        ("(?P<first>a)(?P<second>[bA])", r"\g<second>-\g<1>0"),
        (r"\[(a)\(|(b)", r"<\g<2>>"),
        ("[ab]+", r"\g<0>\g<0>"),
        ("a", r"\n\\\t"),
        ("é", "\\\\"),
    ],
)
@given(data=st.data())
def test_replace_regex(pattern, replacement, texts, same_as_python, data):
    same_as_python(
        lambda text: text.replace_regex(pattern, replacement),
        lambda value: re.sub(pattern, replacement, value),
        data.draw(texts),
    )


@pytest.mark.parametrize(
    ("pattern", "replacement", "hint"),
    [
        ("(a)", r"\2", "counted from 1"),
        ("(a)", r"\q", "backslash"),
        ("(a)", "\\", "backslash"),
        ("(a)", r"\0", r"\g<0>"),
        ("(a)", r"\g<name>", "by number or name"),
        ("(a)", r"\101", "as they are"),
        ("(a", "b", "Python's re"),
    ],
)
def test_a_wrong_replacement_is_refused_where_it_is_written(pattern, replacement, hint):
    text = flow_of(pa.schema({"text": pa.string()})).text

    with pytest.raises(DefinitionError) as error:
        text.replace_regex(pattern, replacement)

    assert hint in error.value.hint
    assert error.value.site.file == __file__
