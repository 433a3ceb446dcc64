"""Case against `str`."""

from __future__ import annotations

import sys
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.processors.strings.case import Lower, Upper

# Lower case letters whose upper case came after the oldest Python that we run on.
NEWLY_PAIRED = {"\u019b", "\u0264", "\ua7d3", "\ua7d5"}


def known_characters():
    return [
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) not in ("Cs", "Cn") and character not in NEWLY_PAIRED
    ]


@pytest.mark.parametrize(("node", "function"), [(Lower(), str.lower), (Upper(), str.upper)])
def test_every_character(node, function):
    characters = known_characters()
    given_texts = [f"a{character}B" for character in characters]

    # A letter that this Python does not know the other case of maps to one that it does not know either.
    different = [
        (text, found)
        for text, found in zip(given_texts, node.process(pa.array(given_texts)).to_pylist(), strict=True)
        if found != function(text) and all(unicodedata.category(character) != "Cn" for character in found)
    ]

    assert different == []


@given(st.data())
def test_lower(texts, same_as_python, data):
    same_as_python(lambda text: text.lower(), str.lower, data.draw(texts))


@given(st.data())
def test_upper(texts, same_as_python, data):
    same_as_python(lambda text: text.upper(), str.upper, data.draw(texts))


def test_sigma_at_the_end_of_a_word(run):
    assert run(lambda text: text.lower(), ["ΟΔΟΣ ΣΑΣ", "A", None]) == ["οδος σας", "a", None]
