"""Fitting: aggregates that rows need are computed over a dataset, and become constants of the flow."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa

from hyped_beam.dsl.applying import check_columns
from hyped_beam.dsl.caching import refuse_iterable, tell
from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError
from hyped_beam.execute.batch import take_value
from hyped_beam.execute.known import Late
from hyped_beam.ir.graph import Constant, Graph, GroupConstant, Keys, Kind, Node
from hyped_beam.ir.scope import DATASET, SOURCE_ROWS, Scope, domain_of
from hyped_beam.passes import optimise
from hyped_beam.plan.planner import Plan, make_plan
from hyped_beam.types import arrays

Unseen = Literal["null", "error"]
"""What a fitted flow does with keys that it has not seen."""


def fitted_plan(
    data: Any, plan: Plan, *, num_proc: int | None = None, unseen: Unseen = "null", cache: str | None = None
) -> Plan:
    """The plan whose rows need no more scans: what they need is taken from a dataset.

    Args:
        data: The dataset.
        plan: The plan.
        num_proc: How many processes compute.
        unseen: What is done with keys that the dataset does not hold: "null" or "error".
        cache: The folder that states of aggregates are kept in; None for none.

    Raises:
        DefinitionTypeError: It is no dataset, or nothing is done so with keys.
        InputError: It has not the columns that the plan reads.
        NodeError: A node raised.
    """
    check_unseen(unseen)
    if not plan.earlier:
        return plan
    plan = plan.in_one_place()  # what becomes a constant has to fit into a process
    late = _run_scans(data, plan, num_proc or 1, cache)
    return make_plan(optimise(with_constants(plan, late, unseen)))


def check_unseen(unseen: Any) -> None:
    """Raise for something that cannot be done with keys that were not seen."""
    if unseen not in get_args(Unseen):
        raise DefinitionTypeError(
            f'unseen= takes "null" or "error", got {unseen!r:.80}', site=CallSite.nearest()
        )


def refuse_groups_alone(plan: Plan) -> None:
    """Raise for a plan whose rows are groups, and need no scan before: they are a result, not to be served.

    Raises:
        DefinitionError: They are.
    """
    if (plan.group_outputs or plan.partition_outputs) and not plan.earlier:
        raise DefinitionError(
            "there is nothing to fit: the rows are groups of the dataset, and none of those that are served",
            site=CallSite.nearest(),
            hint="take the groups themselves, by flow.apply(ds, collect=...), or collect what rows are to "
            'have of their group: {"mean": Mean().call(ref, by=key)}',
        )


def _run_scans(data: Any, plan: Plan, processes: int, cache: str | None) -> Late:
    """What the scans before the last make known."""
    from hyped_beam.dsl.sources import as_source
    from hyped_beam.launch.bounded import prepare_bounded

    source = as_source(data)
    refuse_iterable(source, cache)
    check_columns(source.features, plan)
    scans = replace(plan, passes=plan.earlier)
    with tempfile.TemporaryDirectory(prefix="hyped-beam-") as scratch:
        job = prepare_bounded(
            scans, source, {}, processes=processes, runner="local", work=Path(scratch), cache=cache
        )
        result = job.run()
    tell(result.cache)
    return result.late


def with_constants(plan: Plan, late: Late, unseen: Unseen) -> Graph:
    """The graph with what was found out in the place of the nodes that it was found out by."""
    known = {number for number in plan.scan.late if number in late.values}
    nodes = [
        _constant(*_at_groups_of_rows(node, plan.graph.scopes, late), unseen) if node.id in known else node
        for node in plan.graph.nodes.values()
    ]
    return plan.graph.with_nodes(nodes)


def _at_groups_of_rows(node: Node, scopes: Sequence[Scope], late: Late) -> tuple[Node, pa.Array]:
    """A node and its values, those of groups of groups for the inner ones, which rows find by their keys."""
    values, scope = late.values[node.id], node.scope
    while (members := scopes[scope].members) is not None and domain_of(scopes, members) != SOURCE_ROWS:
        values, scope = take_value(values, late.maps[members, scope]), members
    if scope != node.scope:
        node = replace(node, kind=Kind.AGGREGATE, scope=scope)  # its keys are a value as others are
    return node, values


def _constant(node: Node, values: pa.Array, unseen: Unseen) -> Node:
    if node.kind is Kind.KEYS:
        keys = arrays.struct_of(arrays.columns_of(values, len(values)), len(values))
        return replace(node, operation=Keys(known=keys, unseen=unseen))
    operation: Any = GroupConstant(values)
    if node.scope == DATASET:
        value = values.storage[0] if isinstance(values, pa.ExtensionArray) else values[0]
        if isinstance(values, pa.ExtensionArray):  # those of datasets return their storage as items
            value = pa.ExtensionScalar.from_storage(values.type, value)
        operation = Constant(value)
    return replace(
        node, kind=Kind.CONST, operation=operation, name="const", inputs={}, options=None, rows=None
    )
