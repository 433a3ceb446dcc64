"""`help(ref.method)` and `inspect.signature` say what a method takes."""

from __future__ import annotations

import inspect
import pydoc

import pytest

from hyped_beam import DataFlow
from hyped_beam.nodes import registry
from hyped_beam.nodes.refs import BoundMethod
from hyped_beam.types.features import Family

SRC = DataFlow(features={"text": "string", "x": "float64", "tags": ["string"]}).src_features


@pytest.mark.parametrize(
    ("method", "signature"),
    [
        (
            SRC.text.pad,
            "(width: int, side: Literal['left', 'right', 'both'] = 'left', fill: str = ' ') -> Ref",
        ),
        (SRC.x.round, "(digits: int = 0) -> Ref"),
        (SRC.text.split, "(separator: str | None = None) -> Ref"),
        (SRC.x.between, "(lower: Any, upper: Any) -> Ref"),
        (SRC.tags.length, "() -> Ref"),
    ],
)
def test_signatures(method, signature):
    assert str(inspect.signature(method)) == signature


def test_help_shows_the_call_and_what_it_does():
    told = pydoc.plain(pydoc.render_doc(SRC.text.pad))
    assert "pad(width: int, side: Literal['left', 'right', 'both'] = 'left'" in told
    assert "Each text filled up to a width in characters" in told
    assert "Args:\n        width: The least number of characters." in told


def test_every_method_has_a_signature_and_a_documentation():
    registry.load_library()
    for family in Family:
        for name, node in registry.methods_of(family).items():
            if node.__module__.startswith("hyped_beam."):
                method = BoundMethod(SRC.x, name, node)
                assert inspect.signature(method) is not None
                assert method.__doc__.startswith(f"{name}(")
