"""Trimming against `str`."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

METHODS = ["strip", "lstrip", "rstrip"]


@pytest.mark.parametrize("method", METHODS)
@given(data=st.data())
def test_white_space(method, texts, same_as_python, data):
    same_as_python(lambda text: getattr(text, method)(), getattr(str, method), data.draw(texts))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("characters", ["", " ", "ab", "aé", "\n😀"])
@given(data=st.data())
def test_characters(method, characters, texts, same_as_python, data):
    same_as_python(
        lambda text: getattr(text, method)(characters),
        lambda value: getattr(value, method)(characters),
        data.draw(texts),
    )


def test_every_character(same_as_python):
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    same_as_python(lambda text: text.strip(), str.strip, characters)
