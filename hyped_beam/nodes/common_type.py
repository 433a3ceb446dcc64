"""The type that the inputs of a node have in common, and the implicit casts to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hyped_beam.errors import CallSite, DefinitionTypeError
from hyped_beam.ir.builder import GraphBuilder
from hyped_beam.ir.graph import Edge, Kind
from hyped_beam.types import features, promotion
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import Pattern


def feature_at(builder: GraphBuilder, edge: Edge) -> Feature:
    """The feature of what an edge carries."""
    feature = builder.nodes[edge.node].feature
    for name in edge.path:
        feature = features.fields(feature)[name]
    return feature


def to_common_type(
    builder: GraphBuilder, node: Any, edges: Mapping[str, Edge], site: CallSite | None, written: str
) -> dict[str, Edge]:
    """The inputs of a node, with those that it promotes cast to the type that they have in common.

    Raises:
        DefinitionTypeError: They have none.
    """
    names = [name for name in edges if node.promote is True or name in node.promote]
    given = [feature_at(builder, edges[name]) for name in names]
    target: Feature | None = given[0] if given else None
    for feature in given[1:]:
        wider = promotion.common(target, feature)
        if wider is None:
            shown = " and ".join(dict.fromkeys(features.describe(other) for other in given))
            raise DefinitionTypeError(
                f"{written}: {shown} have no type in common",
                site=site,
                hint=promotion.hint(target, feature),
            )
        target = wider
    promoted = dict(edges)
    for name, feature in zip(names, given, strict=True):
        if not features.same(feature, target):
            promoted[name] = promote(builder, edges[name], target, site)
    return promoted


_NULLS_AS = {Family.INTEGER: "int64", Family.FLOAT: "float64", Family.TIMESTAMP: "timestamp[us]"}


def type_of_nulls(pattern: Pattern | None, feature: Feature) -> Feature | None:
    """The type that nulls without one get where a pattern takes none such; None for all else."""
    if features.family(feature) is not Family.NULL or pattern is None or Family.NULL in pattern.families:
        return None
    dtype = next((dtype for family, dtype in _NULLS_AS.items() if family in pattern.families), None)
    return pattern.feature() or (features.value(dtype) if dtype else None)


def promote(builder: GraphBuilder, edge: Edge, target: Feature, site: CallSite | None) -> Edge:
    """The same values as another type."""
    from hyped_beam.nodes.promote import Promote

    operation = Promote()
    return builder.add(
        Kind.MAP,
        operation,
        feature=target,
        name="promote",
        inputs={"input": edge},
        scope=builder.scope_of(edge),
        site=site,
        options=operation._options,  # noqa: SLF001
    )
