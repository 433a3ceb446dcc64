"""Groups of rows: what `ops.group_by` and `ops.each` name, and how an aggregator is called on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError, UnknownNameError, nearest_name
from hyped_beam.ir.builder import GraphBuilder
from hyped_beam.ir.graph import Edge, Join, Keys, Kind, Node
from hyped_beam.ir.scope import DATASET, SOURCE_ROWS, ScopeKind, domain_of, meeting_scope, reaches
from hyped_beam.nodes import suggestions
from hyped_beam.nodes.call import Bound, bind, holds_refs, meeting_of
from hyped_beam.nodes.different_rows import described, different_rows
from hyped_beam.nodes.pack import as_ref
from hyped_beam.nodes.refs import Ref, builder_of, edge_of, feature_of, hint_for_foreign, scope_of
from hyped_beam.types import features
from hyped_beam.types.features import Family

UNNAMED = "key"
"""The name of a single key that is no field."""

WHERE = "where"
"""The input of an aggregator that says which rows it takes."""


class GroupBy:
    """Groups of rows, one for each key; it names a scope and is no value itself.

    Attributes:
        builder: The graph that they belong to.
        scope: The number of their scope.
        keys: A ref to the struct of the keys, a row for each group.
    """

    def __init__(self, builder: GraphBuilder, scope: int, keys: Ref) -> None:
        self.builder = builder
        self.scope = scope
        self.keys = keys

    if not TYPE_CHECKING:  # type checkers know the names there are

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):
                msg = f"{type(self).__name__} has no attribute {name!r}"
                raise AttributeError(msg)
            hint = suggestions.hint_for(name, ["keys"], suggestions.aggregators())
            hint = hint or "they have keys; aggregate by them, as in Count().call(ref, by=groups)"
            raise UnknownNameError(f"groups have no {name!r}", site=CallSite.nearest(), hint=hint)

    def __repr__(self) -> str:
        return f"<{self.builder.scopes[self.scope].name}>"


class Each:
    """The rows of a scope as groups of the rows that were made from them.

    Attributes:
        builder: The graph that they belong to.
        scope: The number of their scope.
    """

    def __init__(self, builder: GraphBuilder, scope: int) -> None:
        self.builder = builder
        self.scope = scope

    def __repr__(self) -> str:
        return f"<each of the {self.builder.scopes[self.scope].name}>"


def group_by(keys: Any, join: Join = "auto") -> GroupBy:
    """The groups of the rows in which keys meet.

    Args:
        keys: A ref, or a mapping of names to refs.
        join: How values of the groups get back to the rows.

    Raises:
        DefinitionError: They are no refs, or belong to different rows, or values are not joined so.
    """
    check_join("group_by", join)
    named = named_keys(keys)
    site = CallSite.nearest()
    _refuse_other_flows("group_by()", builder_of(next(iter(named.values()))), named, site)
    rows = meeting_of("group_by", named, site)
    return _groups_of(named, rows, site, join)


def check_join(function: str, join: Any) -> None:
    """Refuse a way of joining that there is not.

    Args:
        function: What was called.
        join: What was given as `join=`.

    Raises:
        DefinitionTypeError: It is none of "auto", "broadcast" and "shuffle".
    """
    known = get_args(Join)
    if isinstance(join, str) and join in known:
        return
    near = nearest_name(join, known) if isinstance(join, str) else None
    raise DefinitionTypeError(
        f'{function}(): join= takes "auto", "broadcast" or "shuffle", got {join!r:.80}',
        site=CallSite.nearest(),
        hint=f"did you mean {near!r}?" if near else "leave it out: the plan chooses",
    )


def each(ref: Any) -> Each:
    """The rows of a ref as groups of what was made from them; see `ops.each`."""
    rows = as_ref(ref, "each")
    return Each(builder_of(rows), scope_of(rows))


def aggregate(node: Any, inputs: Mapping[str, Any], by: Any, where: Any) -> Ref:
    """Add an aggregator to the flow that its inputs belong to.

    Args:
        node: The aggregator.
        inputs: Refs and literals by the name of the input.
        by: What is one group: a key, several by name, a `GroupBy`, an `Each`; None for the whole dataset.
        where: A condition that chooses rows; None for all.

    Raises:
        DefinitionError: The inputs are not what the node takes, or belong to different rows.
    """
    bound = bind(node, inputs)
    given: dict[str, Any] = {name: value for name, value in bound.inputs.items() if isinstance(value, Ref)}
    if where is not None:
        given[WHERE] = _condition(where, bound)
        bound.edges[WHERE] = edge_of(where)
    if by is None:
        rows, scope = meeting_of(bound.shown, given, bound.site), DATASET
    elif isinstance(by, (GroupBy, Each)):
        rows, scope = _in_groups(by, given, bound)
    else:
        named = named_keys(by)
        _refuse_other_flows(f"{bound.shown}: by=", bound.builder, named, bound.site)
        rows = meeting_of(
            bound.shown, {**given, **{f"by {name}": key for name, key in named.items()}}, bound.site
        )
        scope = _groups_of(named, rows, bound.site).scope
    if rows == DATASET:
        raise DefinitionError(
            f"{bound.shown} takes values of rows, got values of the whole dataset",
            site=bound.site,
            hint="an aggregate is one value: compute with it as it is",
        )
    return bound.add(Kind.AGGREGATE, scope, rows)


def _condition(where: Any, bound: Bound) -> Ref:
    if not isinstance(where, Ref):
        raise DefinitionTypeError(
            f"{bound.shown}: where= takes a condition on the rows of the same flow, got {where!r:.80}",
            site=bound.site,
            hint="write where=src.length > 10",
        )
    if builder_of(where) is not bound.builder:
        raise DefinitionError(
            f"{bound.shown}: where= belongs to another flow",
            site=bound.site,
            hint=hint_for_foreign([bound.builder, builder_of(where)]),
        )
    if features.family(feature_of(where)) not in (Family.BOOLEAN, Family.NULL):
        raise DefinitionTypeError(
            f"{bound.shown}: where= takes a condition, got {features.describe(feature_of(where))}",
            site=bound.site,
            hint="compare it, as in where=ref > 0",
        )
    return where


def _in_groups(by: GroupBy | Each, given: Mapping[str, Ref], bound: Bound) -> tuple[int, int]:
    """The rows that are aggregated, and the scope of the groups they are in."""
    scopes = bound.builder.scopes
    scope = by.scope
    if by.builder is not bound.builder:
        raise DefinitionError(
            f"{bound.shown}: by= belongs to another flow",
            site=bound.site,
            hint=hint_for_foreign([bound.builder, by.builder]),
        )
    found = scopes[scope]
    used = {name: scope_of(ref) for name, ref in given.items()}
    if found.kind is ScopeKind.GROUPS and found.members is not None:
        used["by"] = found.members
    rows = _meeting(used, bound)
    if not reaches(scopes, rows, scope):
        raise DefinitionError(
            f"{bound.shown}: {described(scopes[rows])} do not belong to {described(found)}",
            site=bound.site,
            hint="by= takes groups of these rows, or with ops.each(...) the rows that they were made from",
        )
    if found.members is not None and domain_of(scopes, rows) != domain_of(scopes, found.members):
        raise DefinitionError(
            f"{bound.shown}: by= are groups of {described(scopes[found.members])}, "
            f"and {described(scopes[rows])} are aggregated",
            site=bound.site,
            hint="aggregate them per inner group first, or use the keys as values: by={'k': g.keys.k}",
        )
    return rows, scope


def _meeting(used: Mapping[str, int], bound: Bound) -> int:
    rows = meeting_scope(bound.builder.scopes, used.values())
    if rows is None:
        raise different_rows(f"the inputs of {bound.shown}", bound.builder, used, bound.site)
    return rows


def _refuse_other_flows(
    shown: str, builder: GraphBuilder, keys: Mapping[str, Ref], site: CallSite | None
) -> None:
    for name, key in keys.items():
        if builder_of(key) is not builder:
            raise DefinitionError(
                f"{shown} takes keys of one flow, {name!r} belongs to another",
                site=site,
                hint=hint_for_foreign([builder, builder_of(key)]),
            )


def named_keys(keys: Any) -> dict[str, Ref]:
    """Return keys by name; a single ref is named after its field.

    Args:
        keys: A ref, a list that stands for one, or a mapping of names to such.

    Raises:
        DefinitionTypeError: There is something else than refs.
    """
    if isinstance(keys, Mapping):
        if keys and all(holds_refs(key) for key in keys.values()):
            return {str(name): as_ref(key, f"by= {name!r}") for name, key in keys.items()}
    elif isinstance(keys, Ref) or holds_refs(keys):
        ref = _one_key(keys)
        path = edge_of(ref).path
        return {path[-1] if path else UNNAMED: ref}
    raise DefinitionTypeError(
        f"by= takes a ref, or a mapping of names to refs, got {keys!r:.80}",
        site=CallSite.nearest(),
        hint='write by=src.group, or by={"group": src.group, "label": src.label}',
    )


def _one_key(key: Any) -> Ref:
    try:
        return as_ref(key, "by=")
    except DefinitionTypeError as error:
        if isinstance(key, (list, tuple)):  # which elsewhere stands for several keys
            error.hint = 'a list is one key; for several write by={"group": src.group, "label": src.label}'
        raise


def _groups_of(keys: Mapping[str, Ref], rows: int, site: CallSite | None, join: Join = "auto") -> GroupBy:
    if rows == DATASET:
        raise DefinitionError(
            "a key is a value of rows, got one of the whole dataset", site=site, hint="group by a column"
        )
    builder = builder_of(next(iter(keys.values())))
    inputs = {name: edge_of(key) for name, key in keys.items()}
    feature = {name: feature_of(key) for name, key in keys.items()}
    known = builder.groups.setdefault((rows, builder.values_of(inputs)), [])
    node = next((node for node in known if join in ("auto", node.operation.join)), None)
    if node is None:
        scope = builder.add_scope(ScopeKind.GROUPS, _written(builder, keys, rows), members=rows, site=site)
        edge = builder.add(
            Kind.KEYS,
            Keys(join=join),
            feature=feature,
            name="keys",
            inputs=inputs,
            scope=scope,
            site=site,
            input_scope=rows,
        )
        node = builder.nodes[edge.node]
        known.append(node)
    return GroupBy(builder, node.scope, _ref(builder, node))


def _written(builder: GraphBuilder, keys: Mapping[str, Ref], rows: int) -> str:
    """What groups are called: by which keys, and of which rows unless of those of the source."""
    names = [
        builder.nodes[edge_of(key).node].name if name == UNNAMED and not edge_of(key).path else name
        for name, key in keys.items()
    ]
    of = "" if rows == SOURCE_ROWS else f" of {builder.scopes[rows].name} rows"
    return f"groups{of} by {', '.join(names)}"


def _ref(builder: GraphBuilder, node: Node) -> Ref:
    return Ref(builder, Edge(node.id), node.feature)
