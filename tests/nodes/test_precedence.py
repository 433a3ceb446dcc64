"""Conditions without parentheses: what Python makes of them is no condition, and the error says so."""

from __future__ import annotations

import pytest

from hyped_beam import DataFlow
from hyped_beam.errors import DefinitionTypeError

SRC = DataFlow(
    features={"a": "bool", "b": "int64", "c": "bool", "t": "string", "x": "float64", "u": "uint8"}
).src_features


@pytest.mark.parametrize(
    ("write", "message", "hint"),
    [
        (lambda: SRC.a & SRC.b > 3, "'&' takes two conditions or two whole numbers, got bool and int64", "&"),
        (lambda: SRC.a | SRC.x > 3, "'\\|' takes two conditions .*, got bool and double|float64", "|"),
        (lambda: SRC.a & SRC.c > 3, "'>' compares what '&' gave: bool and 3", "&"),
        (lambda: SRC.t == "x" & SRC.a, "'&' takes two conditions .*, got 'x' and bool", "&"),
        (lambda: SRC.a & SRC.t == "x", "'&' takes two conditions .*, got bool and string", "&"),
        (lambda: SRC.x > 1 | SRC.a, "got 1 and bool", "|"),
        (lambda: SRC.t == "x" & SRC.b > 1, "'&' takes two conditions .*, got 'x' and int64", "&"),
        (lambda: SRC.b == 1 | SRC.t == "x", "'\\|' takes two conditions .*, got 1 and string", "|"),
        (lambda: SRC.x > 0.5 & SRC.b > 1, "'&' takes two conditions .*, got 0.5 and int64", "&"),
        (lambda: SRC.b & SRC.x > 3, "'&' takes two conditions .*, got int64 and ", "&"),
        (lambda: SRC.a & 1 == 1, "got bool and 1", "&"),
        (lambda: SRC.b > 1 & SRC.b > 3, "a ref has no truth value", "&"),
    ],
)
def test_missing_parentheses(write, message, hint):
    with pytest.raises(DefinitionTypeError, match=message) as caught:
        write()
    assert caught.value.site.file == __file__
    assert f"(a > 1) {hint} (b > 2)" in caught.value.hint


def test_conditions_and_numbers_of_one_kind_are_taken():
    for ref in (
        SRC.a & SRC.c,
        SRC.a & True,
        (SRC.a & SRC.c) == SRC.a,
        (SRC.a | SRC.c) != False,  # noqa: E712 - an operator of refs
        None | SRC.a,
        (SRC.b > 3) & (SRC.x < 1),
    ):
        assert "bool" in repr(ref)
    for ref in (SRC.b & 3, SRC.b ^ SRC.u, (SRC.b | 1) & SRC.b):
        assert "int64" in repr(ref)
    assert "bool" in repr((SRC.b & 3) > 1)
