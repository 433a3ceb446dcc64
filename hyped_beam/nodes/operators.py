"""What methods and operators of refs mean: the node behind each, called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from hyped_beam.errors import CallSite, DefinitionTypeError, unknown_name
from hyped_beam.nodes import registry
from hyped_beam.nodes.call import record
from hyped_beam.nodes.precedence import check_parentheses
from hyped_beam.nodes.refs import Ref, feature_of
from hyped_beam.types import features, promotion
from hyped_beam.types.features import Family, Feature


def call_method(
    node: type[Any], name: str, ref: Ref, args: tuple[Any, ...], arguments: Mapping[str, Any]
) -> Ref:
    """Call a node as a method of its first input.

    Raises:
        DefinitionError: An argument is missing, unknown or wrong.
    """
    slots = [*list(node.interface().inputs)[1:], *node.model_fields]
    if node.interface().variadic is None and len(args) > len(slots):
        raise DefinitionTypeError(
            f"{name}() takes {len(slots)} arguments, got {len(args)}", site=CallSite.nearest()
        )
    bound = dict(zip(slots, args, strict=False))
    for key, value in arguments.items():
        if key not in slots:
            raise unknown_name("argument", key, slots, of=f"{name}()")
        if key in bound:
            raise DefinitionTypeError(f"{name}() got {key!r} twice", site=CallSite.nearest())
        bound[key] = value
    configuration = {key: value for key, value in bound.items() if key in node.model_fields}
    for key, value in configuration.items():
        if isinstance(value, Ref):
            raise DefinitionTypeError(
                f"{name}(): {key!r} is an option, the same for all rows, and cannot be a ref",
                site=CallSite.nearest(),
                hint="give a plain Python value",
            )
    inputs = {key: value for key, value in bound.items() if key not in configuration}
    first = next(iter(node.interface().inputs))
    return record(node(**configuration), {first: ref, **inputs}, written=f"{name}()")


def _literal(value: Any, beside: Feature) -> Feature | None:
    try:
        return promotion.literal(value, beside)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return None


COMMUTATIVE = ("+", "*")
"""The operators whose operands may be turned around where no node takes them as they are written."""


def _accepts(node: type[Any], operands: tuple[Any, ...]) -> bool:
    """Whether some operands, as they are, are what a node's inputs take."""
    beside = next(feature_of(operand) for operand in operands if isinstance(operand, Ref))
    return all(
        feature is None or taken.pattern.matches(feature)
        for operand, taken in zip(operands, node.interface().inputs.values(), strict=False)
        for feature in (feature_of(operand) if isinstance(operand, Ref) else _literal(operand, beside),)
    )


def call_operator(symbol: str, operands: tuple[Any, ...]) -> Any:
    """Call what an operator means for its operands.

    Raises:
        DefinitionTypeError: It means nothing for them.
    """
    refs = [operand for operand in operands if isinstance(operand, Ref)]
    if symbol in ("==", "!=") and any(operand is None for operand in operands):
        name = "is_null" if symbol == "==" else "is_not_null"
        raise DefinitionTypeError(
            f"nothing equals null, so {symbol!r} None is null in every row",
            site=CallSite.nearest(),
            hint=f"write ref.{name}()",
        )
    check_parentheses(symbol, operands)
    left = operands[0] if isinstance(operands[0], Ref) else refs[0]
    node = registry.find_operator(symbol, features.family(feature_of(left)))
    if node is None and isinstance(operands[-1], Ref):
        node = registry.find_operator(symbol, features.family(feature_of(operands[-1])))
    if node is None:
        raise _no_operator(symbol, operands)
    if symbol in COMMUTATIVE and not _accepts(node, operands):
        turned = operands[::-1]
        other = next((ref for ref in refs if ref is turned[0]), None)
        swapped = other is not None and registry.find_operator(symbol, features.family(feature_of(other)))
        if swapped and _accepts(swapped, turned):  # 2 * duration
            node, operands = swapped, turned
    names = list(node.interface().inputs)
    if len(names) < len(operands):  # the last operand is configuration, as in list[0]
        field = next(iter(node.model_fields))
        return record(node(**{field: operands[-1]}), {names[0]: operands[0]}, written=repr(symbol))
    return record(_without_options(node), dict(zip(names, operands, strict=False)), written=repr(symbol))


_INSTANCES: dict[type[Any], Any] = {}
"""The one instance of each operator that all its uses share: it is frozen, and copied to run."""


def _without_options(node: type[Any]) -> Any:
    if node not in _INSTANCES:
        _INSTANCES[node] = node()
    return _INSTANCES[node]


def _no_operator(symbol: str, operands: tuple[Any, ...]) -> DefinitionTypeError:
    def shown(operand: Any) -> str:
        return features.describe(feature_of(operand)) if isinstance(operand, Ref) else repr(operand)

    between = " and ".join(f"{shown(operand):.80}" for operand in operands)
    families = {features.family(feature_of(operand)) for operand in operands if isinstance(operand, Ref)}
    hint = None
    if symbol in ("+", "-", "*", "/", "%", "//", "**", "neg", "abs"):
        if Family.STRING in families:
            hint = 'write .cast("float64") to compute with text'
        elif Family.BOOLEAN in families:
            hint = 'write .cast("int64") to compute with booleans'
    return DefinitionTypeError(f"{symbol!r} means nothing for {between}", site=CallSite.nearest(), hint=hint)
