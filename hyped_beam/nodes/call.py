"""Recording a call: names and types are checked, literals become constants, the output's type is inferred."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from hyped_beam.errors import (
    CallSite,
    DefinitionError,
    DefinitionTypeError,
    FlowError,
    shortened,
    unknown_name,
)
from hyped_beam.ir.builder import GraphBuilder
from hyped_beam.ir.graph import Constant, Edge, Kind
from hyped_beam.ir.scope import DATASET, meeting_scope
from hyped_beam.nodes import registry
from hyped_beam.nodes.common_type import feature_at, promote, to_common_type, type_of_nulls
from hyped_beam.nodes.configuration import Operator
from hyped_beam.nodes.different_rows import different_rows
from hyped_beam.nodes.interface import Input, Interface
from hyped_beam.nodes.refs import Ref, builder_of, edge_of, feature_of, hint_for_foreign, scope_of
from hyped_beam.types import features, promotion
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.nesting import DEEPEST, TOO_DEEP, is_too_deep
from hyped_beam.types.patterns import Pattern

_MISSING = object()


@dataclass(frozen=True)
class Bound:
    """A node whose inputs were found to be what it takes.

    Attributes:
        builder: The graph that the inputs belong to.
        node: The node, as its inputs have made it.
        name: What to call it.
        shown: What to call it in messages.
        inputs: Refs and constants by the name of the input; what holds refs is packed into one.
        edges: Its inputs.
        output: The type of its output.
        scope: The rows in which its inputs meet.
        site: The line of the user's code that called it.
    """

    builder: GraphBuilder
    node: Any
    name: str
    shown: str
    inputs: Mapping[str, Any]
    edges: dict[str, Edge]
    output: Feature
    scope: int
    site: CallSite | None

    def add(self, kind: Kind, scope: int, rows: int | None = None) -> Ref:
        """Add the node to the flow; its output belongs to the rows of a scope."""
        edge = self.builder.add(
            kind,
            self.node,
            feature=self.output,
            name=self.name,
            inputs=self.edges,
            scope=scope,
            site=self.site,
            options=self.node._options,  # noqa: SLF001 - of the same package
            input_scope=rows,
        )
        return Ref(self.builder, edge, self.output)


def bind(
    node: Any, inputs: Mapping[str, Any], *, written: str | None = None, parts: str | None = None
) -> Bound:
    """Check the inputs of a node, make constants of literals, and find the type and rows of its output.

    Args:
        node: A processor, an aggregator or an augmentor.
        inputs: Refs and literals by the name of the input.
        written: What to call the node in messages, where the user has not written its name.
        parts: What to call the inputs in messages, where these are not inputs to the user.

    Raises:
        DefinitionError: The inputs are not what the node takes, or belong to different flows or rows.
    """
    site = CallSite.nearest()
    if is_too_deep(inputs, DEEPEST + 1):
        raise DefinitionTypeError(TOO_DEEP, site=site, hint="give a flatter value")
    interface = node.interface()
    name = node._options.name or registry.snake_case(type(node).__name__)  # noqa: SLF001 - of the same package
    shown = written or type(node).__name__
    _check_names(shown, interface, inputs, site)
    given = {key: _refs_inside(value, site) for key, value in inputs.items()}
    builder = _common_builder(shown, given, site)
    edges = _edges_of(builder, node, given, site)
    if getattr(node, "promote", False):
        edges = to_common_type(builder, node, edges, site, shown)
    types = {key: feature_at(builder, edge) for key, edge in edges.items()}
    for key, feature in types.items():
        pattern = _check_pattern(shown, key, interface, feature, site)
        typed = type_of_nulls(pattern, feature)
        if typed is not None:
            edges[key], types[key] = promote(builder, edges[key], typed, site), typed
    node, output = _specialised(_resolved(node, types, site, shown), types, site, shown)
    scope = meeting_of(shown, given, site, parts)
    return Bound(builder, node, name, shown, given, edges, output, scope, site)


def record(
    node: Any, inputs: Mapping[str, Any], *, written: str | None = None, parts: str | None = None
) -> Ref:
    """Add a processor to the flow that its inputs belong to; see `bind`."""
    bound = bind(node, inputs, written=written, parts=parts)
    return bound.add(Kind.MAP, bound.scope)


def checked(node: Any, types: Mapping[str, Feature]) -> tuple[Any, Feature]:
    """A node that was recorded before, for inputs of certain features, and the feature of its output.

    Raises:
        DefinitionError: The inputs are not what the node takes.
    """
    shown, interface = type(node).__name__, node.interface()
    _check_names(shown, interface, types, None)
    for key, feature in types.items():
        _check_pattern(shown, key, interface, feature, None)
    promote = getattr(node, "promote", False)
    alike = [feature for key, feature in types.items() if promote is True or (promote and key in promote)]
    if any(not features.same(feature, alike[0]) for feature in alike):
        raise DefinitionTypeError(
            f"{shown} takes inputs of one type, got {' and '.join(map(features.describe, alike))}"
        )
    return _specialised(node, types, None, shown)


def _resolved(node: Any, types: Mapping[str, Feature], site: CallSite | None, shown: str) -> Any:
    try:
        return node.resolve(**types)
    except FlowError as error:
        error.site = error.site or site
        raise
    except (TypeError, ValueError) as error:
        raise DefinitionTypeError(f"{shown}: {error}", site=site) from error


def _specialised(
    node: Any, types: Mapping[str, Feature], site: CallSite | None, shown: str
) -> tuple[Any, Feature]:
    specialise = getattr(node, "specialise", None)
    if specialise is not None:
        node = specialise(**types)
    return node, _infer(node, node.interface(), types, site, shown)


def bind_positional(node: Any, args: tuple[Any, ...], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs by name, where one may have been given by position.

    Raises:
        DefinitionError: Several were given by position, or the node takes several.
    """
    if not args:
        return dict(inputs)
    names = list(node.interface().inputs)
    required = [name for name, declared in node.interface().inputs.items() if not declared.optional]
    if len(args) > 1 or len(required) > 1 or not names:
        shown = ", ".join(f"{name}=..." for name in names) or "..."
        raise DefinitionTypeError(
            f"{type(node).__name__} takes its inputs by name",
            site=CallSite.nearest(),
            hint=f"write .call({shown})",
        )
    first = (required or names)[0]
    if first in inputs:
        raise DefinitionTypeError(
            f"{type(node).__name__} got the input {first!r} twice", site=CallSite.nearest()
        )
    return {first: args[0], **inputs}


def constant(
    builder: GraphBuilder, literal: Any, beside: Feature | None = None, site: CallSite | None = None
) -> Edge:
    """Add a constant to a flow; returns its edge.

    Raises:
        DefinitionTypeError: Values of that Python type are no constants.
    """
    unknown = promotion.unknown_label(literal, beside)
    if unknown is not None and beside is not None:
        raise unknown_name("label", unknown, beside.names, of="the ClassLabel", site=site)
    try:
        feature = promotion.literal(literal, beside)
        scalar = _scalar(literal, feature)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        feature = scalar = None
    if feature is None:
        kinds = _mixed(literal)
        if kinds:
            raise DefinitionTypeError(
                f"the values of {shortened(literal)} are of mixed types: {' and '.join(kinds)}",
                site=site or CallSite.nearest(),
                hint="the values of a list are of one type",
            )
        raise DefinitionTypeError(
            f"{literal!r:.80} of type {type(literal).__name__} is no constant",
            site=site or CallSite.nearest(),
            hint="constants are None, numbers, text, bytes, dates and times, and lists and dicts of them",
        )
    return builder.add(Kind.CONST, Constant(scalar), feature=feature, name="const", site=site)


def _mixed(literal: Any) -> list[str]:
    """The types of the elements of a list, where each could be a constant, but not together; else none."""
    if not isinstance(literal, (list, tuple)):
        return []
    if any(promotion.literal(element, None) is None for element in literal):
        return []
    kinds = list(dict.fromkeys(type(element).__name__ for element in literal if element is not None))
    return kinds if len(kinds) > 1 else []


def _scalar(literal: Any, feature: Feature | None) -> pa.Scalar | None:
    if feature is None or isinstance(literal, pa.Scalar):
        return literal
    return pa.scalar(promotion.encoded(literal, feature), features.to_arrow(feature))


def _check_names(shown: str, interface: Interface, inputs: Mapping[str, Any], site: CallSite | None) -> None:
    if interface.variadic is None:
        for name in inputs:
            if name not in interface.inputs:
                raise unknown_name("input", name, interface.inputs, of=shown, site=site)
    missing = [
        name
        for name, declared in interface.inputs.items()
        if not declared.optional and inputs.get(name, _MISSING) is _MISSING
    ]
    if missing:
        takes = ", ".join(interface.inputs)
        raise DefinitionTypeError(
            f"{shown} needs the input {missing[0]!r}", site=site, hint=f"its inputs are: {takes}"
        )


def _refs_inside(value: Any, site: CallSite | None) -> Any:
    """A literal that holds refs is what `collect` makes of it."""
    if isinstance(value, Ref):
        return value
    if isinstance(value, (Mapping, list, tuple)):
        if holds_refs(value):
            from hyped_beam.nodes.pack import pack

            return pack(value)
    elif isinstance(value, (Operator, type)) or callable(value):
        raise DefinitionTypeError(
            f"{value!r:.80} is no value of the flow",
            site=site,
            hint="call a method with (), and a node with .call(...)",
        )
    return value


def holds_refs(value: Any) -> bool:
    """Whether a literal is, or holds, a ref."""
    waiting, seen = [value], set()  # not by recursion: how deep it is, is checked later
    while waiting:
        item = waiting.pop()
        if isinstance(item, Ref):
            return True
        if isinstance(item, (Mapping, list, tuple)) and id(item) not in seen:
            seen.add(id(item))
            waiting.extend(item.values() if isinstance(item, Mapping) else item)
    return False


def _common_builder(shown: str, given: Mapping[str, Any], site: CallSite | None) -> GraphBuilder:
    builders = {
        id(builder_of(value)): builder_of(value) for value in given.values() if isinstance(value, Ref)
    }
    if not builders:
        raise DefinitionTypeError(
            f"{shown} needs at least one ref among its inputs",
            site=site,
            hint="start from flow.src_features",
        )
    if len(builders) > 1:
        raise DefinitionError(
            f"the inputs of {shown} come from different flows",
            site=site,
            hint=hint_for_foreign(builders.values()),
        )
    return next(iter(builders.values()))


def _edges_of(
    builder: GraphBuilder, node: Any, given: Mapping[str, Any], site: CallSite | None
) -> dict[str, Edge]:
    interface = node.interface()
    edges = {}
    for name, value in given.items():
        if isinstance(value, Ref):
            edges[name] = edge_of(value)
        elif value is not None or not interface.inputs.get(name, Input(_any())).optional:
            edges[name] = constant(builder, value, _beside(node, name, given), site)
    return edges


def _beside(node: Any, name: str, given: Mapping[str, Any]) -> Feature | None:
    """The feature that a literal input is to fit; None where it has nothing to do with the other inputs."""
    promote = getattr(node, "promote", False)
    like = getattr(node, "literals_like", ())
    if isinstance(promote, tuple) and name not in promote:
        return None
    related = like or (promote if isinstance(promote, tuple) else given)
    beside = next((feature_of(given[key]) for key in related if isinstance(given.get(key), Ref)), None)
    if getattr(node, "literals_like_elements", False) and features.family(beside) is Family.LIST:
        beside = features.element(beside)
    if promote or like or beside is None:
        return beside
    alone = node.interface().variadic is not None or isinstance(given[name], (Mapping, list, tuple))
    return None if alone or features.is_class_label(beside) else beside


def _any() -> Any:
    from hyped_beam.types.annotations import pattern_of

    return pattern_of(object)


def _check_pattern(
    shown: str, name: str, interface: Interface, feature: Feature, site: CallSite | None
) -> Pattern | None:
    declared = interface.inputs.get(name)
    pattern = declared.pattern if declared else interface.variadic
    if pattern is None or pattern.matches(feature) or features.family(feature) is Family.NULL:
        return pattern
    raise DefinitionTypeError(
        f"{shown} takes {pattern.description} as {name!r}, got {features.shortened(feature)}",
        site=site,
        hint=_cast_hint(pattern.families, feature),
    )


def _cast_hint(accepted: frozenset[Family], feature: Feature) -> str | None:
    family = features.family(feature)
    if family is Family.STRUCT:
        names = list(features.fields(feature))
        fitting = [
            name for name, inner in features.fields(feature).items() if features.family(inner) in accepted
        ]
        return f"give one of its fields: {', '.join(fitting or names)}"
    if family is Family.LIST:
        return None if family in accepted else "write ref[i] for one element, or use a method of lists"
    castable = {
        Family.STRING: "string",
        Family.INTEGER: "int64",
        Family.FLOAT: "float64",
        Family.BOOLEAN: "bool",
    }
    for target, dtype in castable.items():
        if target in accepted and family in (
            *castable,
            Family.TIMESTAMP,
            Family.DATE,
            Family.BINARY,
            Family.DECIMAL,
        ):
            return f'write .cast("{dtype}")'
    return None


def _infer(
    node: Any, interface: Interface, types: Mapping[str, Feature], site: CallSite | None, shown: str
) -> Feature:
    compute = getattr(node, "output", None)
    try:
        output = interface.infer(types) if compute is None else compute(**types)
    except FlowError as error:
        error.site = error.site or site
        raise
    except (AttributeError, TypeError, ValueError) as error:
        if node.from_environment:
            names = ", ".join(node.from_environment)
            raise DefinitionTypeError(
                f"{shown} has to know {names} where the flow is written, env() is known where it runs",
                site=site,
                hint='give the value itself: os.environ["NAME"]',
            ) from error
        if isinstance(error, AttributeError):
            raise
        raise DefinitionTypeError(f"{shown}: {error}", site=site) from error
    if is_too_deep(output):
        raise DefinitionTypeError(f"{shown}: {TOO_DEEP} in its output", site=site)
    return output


def meeting_of(shown: str, given: Mapping[str, Any], site: CallSite | None, parts: str | None = None) -> int:
    """The scope in which the refs among some inputs meet; constants are everywhere.

    Raises:
        DefinitionError: They belong to different rows.
    """
    refs = {name: value for name, value in given.items() if isinstance(value, Ref)}
    used = {name: scope_of(ref) for name, ref in refs.items()}
    if not used:
        return DATASET
    builder = builder_of(next(iter(refs.values())))
    scope = meeting_scope(builder.scopes, used.values())
    if scope is None:
        raise different_rows(parts or f"the inputs of {shown}", builder, used, site)
    return scope
