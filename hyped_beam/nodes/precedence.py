"""`a & b > 3` is `(a & b) > 3` in Python: what is meant by conditions that lack parentheses is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hyped_beam.errors import CallSite, DefinitionTypeError
from hyped_beam.nodes import registry
from hyped_beam.nodes.refs import Ref, builder_of, edge_of, feature_of
from hyped_beam.types import features
from hyped_beam.types.features import Family

BITWISE = ("&", "|", "^")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


def check_parentheses(symbol: str, operands: Sequence[Any]) -> None:
    """Refuse conditions that Python takes for others, because `& | ^` bind more tightly than comparisons.

    Raises:
        DefinitionTypeError: `&` stands between a condition and a value, or what it gave is compared to one.
    """
    if symbol in BITWISE and (
        len({_is_condition(operand) for operand in operands} - {None}) > 1
        or len({_is_text_or_float(operand) for operand in operands}) > 1
    ):
        raise DefinitionTypeError(
            f"{symbol!r} takes two conditions or two whole numbers, got {_shown(operands)}",
            site=CallSite.nearest(),
            hint=_hint(symbol),
        )
    if symbol in COMPARISONS and len(operands) == 2:  # noqa: PLR2004 - a comparison's
        for made, other in (operands, operands[::-1]):
            bitwise = _bitwise_of(made)
            if bitwise is not None and _is_condition(made) and _is_condition(other) is False:
                raise DefinitionTypeError(
                    f"{symbol!r} compares what {bitwise!r} gave: {_shown(operands)}",
                    site=CallSite.nearest(),
                    hint=_hint(bitwise),
                )


def _hint(symbol: str) -> str:
    return f"{symbol} binds more tightly than comparisons: write (a > 1) {symbol} (b > 2)"


def _is_condition(operand: Any) -> bool | None:
    """Whether an operand is true or false; None for null, which is whatever the other one is."""
    if operand is None:
        return None
    if not isinstance(operand, Ref):
        return isinstance(operand, bool)
    family = features.family(feature_of(operand))
    return None if family is Family.NULL else family is Family.BOOLEAN


def _is_text_or_float(operand: Any) -> bool:
    """Whether an operand is one that is compared to something rather than combined."""
    if isinstance(operand, Ref):
        return features.family(feature_of(operand)) in (Family.STRING, Family.FLOAT)
    return isinstance(operand, (str, float))


def _bitwise_of(operand: Any) -> str | None:
    """The operator that an operand was made by, if it is one of these."""
    if not isinstance(operand, Ref) or edge_of(operand).path:
        return None
    node = type(builder_of(operand).nodes[edge_of(operand).node].operation)
    return next((sign for sign in BITWISE if registry.find_operator(sign, Family.BOOLEAN) is node), None)


def _shown(operands: Sequence[Any]) -> str:
    described = (
        features.describe(feature_of(operand)) if isinstance(operand, Ref) else repr(operand)
        for operand in operands
    )
    return " and ".join(f"{text:.60}" for text in described)
