"""What was asked for, as a graph with sinks: `collect` and `aggregators` become outputs of the flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hyped_beam.dsl.positions import refuse_positions
from hyped_beam.dsl.rows import Split
from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError
from hyped_beam.ir.builder import GraphBuilder
from hyped_beam.ir.graph import Graph, Kind, Sink
from hyped_beam.ir.scope import DATASET, Scope
from hyped_beam.nodes.call import holds_refs
from hyped_beam.nodes.pack import check_depth, pack
from hyped_beam.nodes.refs import Ref, builder_of, edge_of, feature_of, hint_for_foreign, scope_of
from hyped_beam.passes import optimise
from hyped_beam.plan.planner import AGGREGATES, Plan, make_plan
from hyped_beam.types import features
from hyped_beam.types.features import Family

ROWS = "rows"


@dataclass(frozen=True)
class Outputs:
    """What was asked for.

    Attributes:
        collect: A ref, or a nested mapping of refs, of rows; None for no rows.
        aggregators: A nested mapping of refs of the whole dataset, or a ref to a struct; None for none.
    """

    collect: Any = None
    aggregators: Any = None

    def __bool__(self) -> bool:
        return self.collect is not None or self.has_aggregators

    @property
    def has_aggregators(self) -> bool:
        """Whether aggregates were asked for; an empty mapping asks for none."""
        return isinstance(self.aggregators, Ref) or bool(self.aggregators)


def graph_of(builder: GraphBuilder, outputs: Outputs) -> Graph:
    """The flow with sinks for what was asked, before any pass.

    Raises:
        DefinitionError: What was asked are no refs of this flow, or of the wrong rows.
    """
    rows = outputs.collect if isinstance(outputs.collect, Split) else {ROWS: outputs.collect}
    return graph_with_sinks(builder, rows, outputs.aggregators if outputs.has_aggregators else None)


def graph_with_sinks(builder: GraphBuilder, rows: Mapping[str, Any], aggregators: Any) -> Graph:
    """The flow with a sink for each named output of rows, and one for the aggregates.

    Raises:
        DefinitionError: An output is no ref of this flow, or of the wrong rows.
    """
    copy = builder.fork()
    for name, collect in rows.items():
        if collect is not None:
            _add_rows(copy, builder, name, collect)
    if aggregators is not None:
        _add_aggregates(copy, builder, aggregators)
    return copy.build()


def plan_of(graph: Graph) -> Plan:
    """The plan of a graph, after all passes."""
    return make_plan(optimise(graph))


def refuse_scans(plan: Plan, what: str) -> None:
    """Raise for a plan whose rows need aggregates, where the rows are not all there to be scanned.

    Args:
        plan: The plan.
        what: What was called.

    Raises:
        DefinitionError: The rows need aggregates, are groups, or are split into parts.
    """
    if len(plan.row_outputs) > 1:
        part = plan.row_outputs[0].name
        raise DefinitionError(
            f"collect= is a split, and {what} gives rows of one kind",
            site=CallSite.nearest(),
            hint=f"collect one of its parts, as in collect=parts.{part}, or use flow.apply(ds, ...)",
        )
    refuse_positions(plan, f"{what} sees only some of them", "use flow.apply(ds, ...) or a job")
    if plan.earlier:
        first = next(step for one in reversed(plan.earlier) for step in one.scan.aggregates)
        raise DefinitionError(
            f"the rows need {first.name!r} of all rows ({first.site}), and {what} sees only some of them",
            site=CallSite.nearest(),
            hint="fit it first, on all rows: fitted = flow.fit(ds, collect=...)",
        )
    if plan.group_outputs or plan.partition_outputs:
        raise DefinitionError(
            f"the rows are groups of all rows, and {what} sees only some of them",
            site=CallSite.nearest(),
            hint="use flow.apply(ds, ...) or a job",
        )


def _add_rows(copy: GraphBuilder, builder: GraphBuilder, name: str, collect: Any) -> None:
    if isinstance(collect, (list, tuple)):
        raise DefinitionTypeError(
            f"collect= takes a mapping of names to refs, got a {type(collect).__name__}",
            site=CallSite.nearest(),
            hint='give each a name: collect={"id": src.id, "words": words}',
        )
    packed = _packed(copy, builder, collect, "collect=")
    feature = feature_of(packed)
    if features.family(feature) is not Family.STRUCT:
        raise DefinitionTypeError(
            f"collect= takes columns, got one {features.describe(feature)} without a name",
            site=CallSite.nearest(),
            hint='give it a name: collect={"name": ref}',
        )
    if scope_of(packed) == DATASET:
        raise DefinitionError(
            "collect= takes values of rows, got only values of the whole dataset",
            site=CallSite.nearest(),
            hint="give them as aggregators={...}",
        )
    _add_sink(copy, name, packed)


def _add_aggregates(copy: GraphBuilder, builder: GraphBuilder, aggregators: Any) -> None:
    is_struct = isinstance(aggregators, Ref) and features.family(feature_of(aggregators)) is Family.STRUCT
    if not isinstance(aggregators, Mapping) and not is_struct:
        raise DefinitionTypeError(
            "aggregators= takes a mapping of names to aggregates",
            site=CallSite.nearest(),
            hint='write aggregators={"mean": Mean().call(ref)}',
        )
    packed = _packed(copy, builder, aggregators, "aggregators=")
    scope = copy.scopes[scope_of(packed)]
    if scope.id != DATASET:
        raise DefinitionError(
            f"aggregators= takes values of the whole dataset, {_culprit(aggregators, scope)}",
            site=CallSite.nearest(),
            hint="aggregate it, as in Mean().call(ref), or collect it",
        )
    _add_sink(copy, AGGREGATES, packed)


def _culprit(aggregators: Any, scope: Scope) -> str:
    for name, value in aggregators.items() if isinstance(aggregators, Mapping) else ():
        if isinstance(value, Ref) and scope_of(value) != DATASET:
            return f"but {name!r} has one for each of the {scope.name}"
    return f"got some of the {scope.name}"


def _packed(copy: GraphBuilder, builder: GraphBuilder, value: Any, argument: str) -> Ref:
    check_depth(value)
    if not holds_refs(value):
        raise DefinitionTypeError(
            f"{argument} holds no ref: {value!r:.80}",
            site=CallSite.nearest(),
            hint='give a ref, or a mapping of names to refs: {"text": flow.src_features.text}',
        )
    return pack(_moved(value, builder, copy), columns=f"the columns of {argument}")


def _moved(value: Any, builder: GraphBuilder, copy: GraphBuilder) -> Any:
    """The same refs in a copy of their flow."""
    if isinstance(value, Ref):
        if builder_of(value) is not builder:
            raise DefinitionError(
                f"{value!r} belongs to another flow",
                site=CallSite.nearest(),
                hint=hint_for_foreign([builder_of(value)], asked=builder),
            )
        return Ref(copy, edge_of(value), feature_of(value), scope_of(value))
    if isinstance(value, Mapping):
        return {name: _moved(item, builder, copy) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_moved(item, builder, copy) for item in value]
    return value


def _add_sink(copy: GraphBuilder, name: str, packed: Ref) -> None:
    copy.add(
        Kind.SINK,
        Sink(name),
        feature=feature_of(packed),
        name=name,
        inputs={"input": edge_of(packed)},
        scope=scope_of(packed),
        site=CallSite.nearest(),
    )
