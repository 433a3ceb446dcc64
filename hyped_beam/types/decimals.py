"""Text as decimals: Arrow's kernel takes numbers of too many digits modulo a power of two, without a word."""

from __future__ import annotations

import decimal
import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_FITTING = 38
"""So many characters without an exponent are a number that Arrow's kernel reads as it is, or refuses."""

_EXPONENT = "[eE]"
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,9})?", re.ASCII)
_EXACT = decimal.Context(prec=decimal.MAX_PREC, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)


def decimals_of(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return numbers that are written in text as decimals.

    Args:
        texts: Text; null stays null.
        kind: The type of decimals.

    Raises:
        pyarrow.ArrowInvalid: A text is not a number, or a number has more digits than the type.
    """
    is_odd = pc.or_(pc.greater(pc.utf8_length(texts), _FITTING), pc.match_substring_regex(texts, _EXPONENT))
    is_odd = pc.fill_null(is_odd, fill_value=False)
    if not pc.any(is_odd).as_py():
        return pc.cast(texts, kind)
    others = pc.cast(pc.if_else(is_odd, pa.scalar(None, texts.type), texts), kind)
    odd = texts.filter(is_odd).to_pylist()
    return pc.replace_with_mask(others, is_odd, pa.concat_arrays([_decimal(text, kind) for text in odd]))


def _decimal(text: str, kind: Any) -> pa.Array:
    if not _NUMBER.fullmatch(text):
        raise pa.ArrowInvalid(f"{text[:60]!r} is not a number")
    number = decimal.Decimal(text).normalize(_EXACT) or decimal.Decimal(0)
    exponent = int(number.as_tuple().exponent)  # of the last digit that is not zero
    if exponent < -kind.scale or exponent + len(number.as_tuple().digits) > kind.precision - kind.scale:
        raise pa.ArrowInvalid(f"{text[:60]} does not fit in {kind}")
    return pa.array([number], kind)
