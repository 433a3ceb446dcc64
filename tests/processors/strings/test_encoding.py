"""Encoding against `str.encode`."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import flow_of


@given(st.data())
def test_encode(texts, same_as_python, data):
    same_as_python(lambda text: text.encode("utf-8"), str.encode, data.draw(texts))


def test_types():
    src = flow_of(pa.schema({"text": pa.string(), "wide": pa.large_string()}))

    assert feature_of(src.text.encode()).dtype == "binary"
    assert feature_of(src.wide.encode()).dtype == "large_binary"


def test_other_encodings_are_refused():
    with pytest.raises(DefinitionError, match="utf-8"):
        flow_of(pa.schema({"text": pa.string()})).text.encode("latin-1")
