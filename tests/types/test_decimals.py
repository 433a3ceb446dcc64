"""Text as decimals: every number is the one that is written, or refused."""

from __future__ import annotations

import decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.types.decimals import decimals_of

KINDS = [
    pa.decimal128(38, 0),
    pa.decimal128(38, 10),
    pa.decimal128(5, 2),
    pa.decimal256(76, 0),
    pa.decimal256(50, 30),
]

digits = st.text("0123456789", min_size=1, max_size=90)
numbers = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "-", "+"]),
        digits,
        st.one_of(st.just(""), digits.map(".{}".format)),
        st.one_of(st.just(""), st.integers(-90, 90).map("e{}".format)),
    ),
)


def holds(kind, number):
    """Whether a type of decimals holds a number, by exact arithmetic."""
    scaled = number.scaleb(kind.scale, decimal.Context(prec=500))
    return scaled == scaled.to_integral_value() and abs(scaled) < 10**kind.precision


@pytest.mark.parametrize("kind", KINDS)
@given(text=numbers)
def test_a_number_is_itself_or_refused(kind, text):
    exact = decimal.Context(prec=500).create_decimal(text)
    if holds(kind, exact):
        assert decimals_of(pa.array([None, text]), kind).to_pylist() == [None, exact]
    else:
        with pytest.raises(pa.ArrowInvalid):
            decimals_of(pa.array([None, text]), kind)


@pytest.mark.parametrize("text", ["", "x", "1_0" * 20, "nan", "Infinity", "1e", "٣" * 40, "1e99999999999"])
def test_what_is_not_a_number_is_refused(text):
    with pytest.raises(pa.ArrowInvalid):
        decimals_of(pa.array([text]), pa.decimal128(38, 0))
