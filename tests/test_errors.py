"""What is printed holds no control characters, and asking an exception what it says never raises."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import (
    CallSite,
    FlowError,
    NodeError,
    error_line,
    error_text,
    error_type,
    escaped,
    escaped_name,
)


@given(st.text())
def test_escaped_text_holds_nothing_that_a_terminal_obeys_and_can_be_printed(text):
    shown = escaped(text)
    shown.encode()
    for character in shown:
        assert character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(character) not in (
            "LRE",
            "RLE",
            "LRO",
            "RLO",
            "PDF",
            "LRI",
            "RLI",
            "FSI",
            "PDI",
        )
    assert "\n" not in escaped_name(text)
    assert escaped(shown) == shown


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"])))
def test_what_can_be_printed_stays(text):
    assert escaped(text) == text


def test_joined_emoji_and_right_to_left_letters_stay():
    text = "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u05d0\u05d1 \u0627"
    assert escaped(text) == text


@pytest.mark.parametrize(
    "error",
    [
        FlowError("a\x1b[31mb", site=CallSite("c\x1b[0m\n.py", 3), hint="d\r\u202ee"),
        NodeError(node="a\x1b", cause="b\x1b[2J", site=None, data_file="c\r", values="d\u202e"),
    ],
)
def test_errors_are_escaped(error):
    assert escaped(str(error)) == str(error)
    assert "\\x1b" in str(error)
    assert escaped(error.hint or "") == (error.hint or "")


class RaisesError(Exception):
    def __str__(self):
        raise RuntimeError


class NoTextError(Exception):
    def __str__(self):
        return 3  # noqa: PLE0307 - that is the case


class Odd(type):
    @property
    def __name__(cls):
        raise RuntimeError


class OddError(Exception, metaclass=Odd):
    pass


def test_an_exception_that_cannot_say_anything_is_told_all_the_same():
    assert error_line(RaisesError()) == "RaisesError: <its __str__ raises RuntimeError>"
    assert error_line(NoTextError()) == "NoTextError: <its __str__ raises TypeError>"
    assert error_type(OddError()) == "OddError"
    assert error_line(ValueError()) == "ValueError"
    assert error_line(ValueError("a\nb")) == "ValueError: a b"
    assert error_text(ValueError("x" * 1000), 10) == "xxxxxxx..."
