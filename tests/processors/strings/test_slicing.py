"""Slicing against `str`."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError
from hyped_beam.testing import flow_of

PLACES = st.one_of(st.none(), st.integers(-6, 6))


@given(st.data(), PLACES, PLACES)
def test_slice(texts, same_as_python, data, start, stop):
    same_as_python(lambda text: text[start:stop], lambda value: value[start:stop], data.draw(texts))


@given(st.data(), st.integers(-4, 4))
def test_character(texts, same_as_python, data, index):
    def character(value):
        return value[index] if -len(value) <= index < len(value) else None

    same_as_python(lambda text: text[index], character, data.draw(texts))


def test_the_method(run):
    assert run(lambda text: text.slice(1), ["héllo", "", None]) == ["éllo", "", None]
    assert run(lambda text: text.slice(start=-2, stop=-1), ["héllo"]) == ["l"]


def test_a_place_is_a_number():
    with pytest.raises(DefinitionError, match="index"):
        flow_of(pa.schema({"text": pa.string()})).text["first"]
