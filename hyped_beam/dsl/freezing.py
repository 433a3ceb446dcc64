"""Freezing: what batches have added up to becomes constants of the flow, as `fit` makes of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from hyped_beam.dsl.aggregates import AggregateState, LiveAggregates, state_of
from hyped_beam.dsl.fitting import (
    Found,
    Unseen,
    check_unseen,
    needed_by_rows,
    refuse_distinct,
    with_constants,
)
from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError
from hyped_beam.execute.batch import take_value
from hyped_beam.execute.bindings import PriorResults
from hyped_beam.execute.combining import KEYS, state_column
from hyped_beam.ir.builder import GraphBuilder
from hyped_beam.ir.graph import Edge, Graph, Kind, Node, Sink
from hyped_beam.ir.scope import Scope
from hyped_beam.passes.common_subexpressions import common_subexpressions
from hyped_beam.passes.forward_fields import forward_fields
from hyped_beam.plan.planner import Plan
from hyped_beam.plan.program import AggregateStep, Combine
from hyped_beam.tasks.reduce import reduce_states


def frozen_graph(aggregates: Any, plan: Plan, builder: GraphBuilder, *, unseen: Unseen = "null") -> Graph:
    """The graph whose rows need no scan: what they need is taken from live aggregates.

    Args:
        aggregates: The live aggregates, of the same flow.
        plan: The plan.
        builder: The graph of the flow.
        unseen: What is done with keys that no batch has held: "null" or "error".

    Raises:
        DefinitionTypeError: They are no live aggregates, or nothing is done so with keys.
        DefinitionError: They are of another flow, are of no batch yet, or do not hold what the rows need;
            or the rows are distinct ones, of the data that they are in.
        NodeError: An aggregator, or a node behind it, raised.
    """
    check_unseen(unseen)
    held = _Held(_live(aggregates), builder)
    if not plan.earlier:
        return plan.graph
    refuse_distinct(plan)
    plan = plan.in_one_place()  # what becomes a constant has to fit into a process
    first, *further = plan.earlier
    for later in further:
        for step in later.scan.aggregates:
            raise DefinitionError(
                f"the rows need {_named(step)}, which is made of other aggregates, in a scan of its own",
                site=CallSite.nearest(),
                hint="fit the flow: flow.fit(ds, collect=...)",
            )
    scan, end = first.scan, first.reduce
    assert end is not None  # noqa: S101 - what comes before another scan makes something known
    states = [held.states_of(combine) for combine in scan.combines]
    prior = reduce_states(scan.combines, end, states, PriorResults()).prior
    found = {
        node.id: Found(scope, _at_groups(node, scope, plan.graph.scopes, prior))
        for scope, nodes in needed_by_rows(plan).items()
        for node in nodes
    }
    return with_constants(plan.graph, found, unseen)


def _at_groups(node: Node, scope: int, scopes: Sequence[Scope], prior: PriorResults) -> pa.Array:
    """The values of a node, those of groups of groups for the inner ones."""
    values, outer = prior.values[node.id], node.scope
    while outer != scope:
        inner = scopes[outer].members
        assert inner is not None  # noqa: S101 - it was found by going from groups to their members
        values, outer = take_value(values, prior.maps[inner, outer]), inner
    return values


def _live(aggregates: Any) -> AggregateState:
    if isinstance(aggregates, LiveAggregates):
        return state_of(aggregates)
    names = list(aggregates) if isinstance(aggregates, Mapping) else []
    if names and all(isinstance(one, LiveAggregates) for one in aggregates.values()):
        hint = f"give those of one split: aggregates[{names[0]!r}]"
    else:
        hint = "for aggregates of a dataset: flow.fit(ds, collect=...)"
    raise DefinitionTypeError(
        "freeze() takes the live aggregates that flow.build(...) returned, or flow.apply(...) of an iterable "
        f"dataset, got {type(aggregates).__name__}",
        site=CallSite.nearest(),
        hint=hint,
    )


class _Place(NamedTuple):
    """Where the states of an aggregator are: which combine, and which column of its states."""

    combine: int
    column: int


class _Held:
    """The states that live aggregates hold, by what they are states of.

    Args:
        state: What was added up.
        builder: The graph of the flow.
    """

    def __init__(self, state: AggregateState, builder: GraphBuilder) -> None:
        combines = state.plan.scan.combines
        for step in state.plan.scan.aggregates:
            node = builder.nodes.get(step.node)
            if node is None or node.operation is not step.operation:
                raise DefinitionError(
                    "the aggregates are those of another flow",
                    site=CallSite.nearest(),
                    hint="freeze the flow that they were built from",
                )
        self._states = state.states()
        if self._states is None:
            raise DefinitionError(
                "the aggregates are of no rows: no batch was computed yet",
                site=CallSite.nearest(),
                hint="run batches first, or iterate over the dataset",
            )
        self._first = _first_of_equals(builder)
        self._places = {
            self._first[step.node]: _Place(number, column)
            for number, combine in enumerate(combines)
            for column, step in enumerate(combine.steps)
        }
        self._keys = {
            self._first[combine.grouping.node]: number
            for number, combine in enumerate(combines)
            if combine.grouping is not None
        }

    def states_of(self, combine: Combine) -> pa.RecordBatch:
        """The states of the aggregators of a combine, a row for each group.

        Raises:
            DefinitionError: They are not held.
        """
        places: list[_Place] = []
        for step in combine.steps:
            place = self._places.get(self._first[step.node])
            if place is None:
                raise _not_held(_named(step), is_of_groups=combine.grouping is not None)
            places.append(place)
        if combine.grouping is None:
            return self._taken(places)
        groups = self._keys.get(self._first[combine.grouping.node])
        if groups is None:
            raise _not_held(f"the groups by {', '.join(combine.grouping.keys)}", is_of_groups=True)
        return self._taken(places, places[0].combine if places else groups)

    def _taken(self, places: Sequence[_Place], groups: int | None = None) -> pa.RecordBatch:
        assert self._states is not None  # noqa: S101 - looked at above
        columns = {} if groups is None else {KEYS: self._states[groups].column(KEYS)}
        for number, place in enumerate(places):
            columns[state_column(number)] = self._states[place.combine].column(state_column(place.column))
        return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _first_of_equals(builder: GraphBuilder) -> Mapping[int, int]:
    """For each aggregator, and the keys of all groups, the first that is the same."""
    made = builder.fork()
    nodes = [node for node in builder if node.kind in (Kind.AGGREGATE, Kind.KEYS)]
    for node in nodes:
        made.add(
            Kind.SINK,
            Sink(f"{node.id}"),
            feature=node.feature,
            name=f"{node.id}",
            inputs={"input": Edge(node.id)},
            scope=node.scope,
        )
    merged = common_subexpressions(forward_fields(made.build()))
    return {int(sink.name): sink.inputs["input"].node for sink in merged.sinks}


def _named(step: AggregateStep) -> str:
    return f"{step.name!r} ({step.site})"


def _not_held(what: str, *, is_of_groups: bool) -> DefinitionError:
    """The error for what nobody has added up."""
    ask = "aggregators={...}"
    if is_of_groups:  # which are no aggregates of the whole dataset
        ask = 'by something that is made of it, as aggregators={"groups": Count().call(mean)}'
    return DefinitionError(
        f"the rows need {what}, which the aggregates do not hold",
        site=CallSite.nearest(),
        hint=f"ask for it where they are built, {ask}, or fit the flow: flow.fit(ds, collect=...)",
    )
