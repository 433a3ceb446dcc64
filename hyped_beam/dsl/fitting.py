"""Fitting: aggregates that rows need are computed over a dataset, and become constants of the flow."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple, get_args

import pyarrow as pa

from hyped_beam.dsl.applying import check_columns
from hyped_beam.dsl.caching import refuse_iterable, tell
from hyped_beam.dsl.positions import refuse_positions
from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError, JobError
from hyped_beam.ir.graph import Constant, Edge, Graph, GroupConstant, Keys, Kind, Node, Sink, Source
from hyped_beam.ir.scope import DATASET, SOURCE_ROWS, domain_of
from hyped_beam.nodes.options import Options
from hyped_beam.nodes.pack import PackStruct
from hyped_beam.passes import optimise
from hyped_beam.passes.prune import prune
from hyped_beam.plan.joins import Extent
from hyped_beam.plan.planner import AGGREGATES, Plan, make_plan
from hyped_beam.types import arrays, features
from hyped_beam.types.features import Feature
from hyped_beam.types.mapped import mapped
from hyped_beam.types.scratch import ScratchFolder

Unseen = Literal["null", "error"]
"""What a fitted flow does with keys that it has not seen."""


class Found(NamedTuple):
    """What was found out about a node: the rows that its values are held for, and the values."""

    scope: int
    values: pa.Array


def fitted_plan(
    data: Any, plan: Plan, *, num_proc: int | None = None, unseen: Unseen = "null", cache: str | None = None
) -> Plan:
    """The plan of what `fitted_graph` gives; this one where its rows need no scan."""
    if not plan.earlier:
        return plan
    return make_plan(optimise(fitted_graph(data, plan, num_proc=num_proc, unseen=unseen, cache=cache)))


def fitted_graph(
    data: Any, plan: Plan, *, num_proc: int | None = None, unseen: Unseen = "null", cache: str | None = None
) -> Graph:
    """The graph whose rows need no more scans: what they need is taken from a dataset.

    Args:
        data: The dataset.
        plan: The plan.
        num_proc: How many processes compute.
        unseen: What is done with keys that the dataset does not hold: "null" or "error".
        cache: The folder that states of aggregates are kept in; None for none.

    Raises:
        DefinitionTypeError: It is no dataset, or nothing is done so with keys.
        DefinitionError: The rows are distinct ones, of the data that they are in.
        InputError: It has not the columns that the plan reads.
        NodeError: A node raised.
    """
    check_unseen(unseen)
    if not plan.earlier:
        return plan.graph
    refuse_distinct(plan)
    found = _found(data, plan, num_proc or 1, cache)
    return with_constants(plan.graph, found, unseen)


def on_its_own(graph: Graph, columns: Mapping[str, Feature]) -> Graph:
    """The graph of a fitted flow: what its constants have put out of use is gone, all columns are there.

    Args:
        graph: The graph with the constants, whose source has the columns that the plan reads.
        columns: The columns of the source of the flow, on which more may be recorded.
    """
    optimised = optimise(graph)
    source = optimised.source
    wide = replace(source, operation=Source(tuple(columns)), feature=columns)
    ordered = sorted(optimised.nodes.values(), key=lambda node: node.kind is Kind.SINK)
    return optimised.with_nodes(wide if node is source else node for node in ordered).renumbered()


def check_unseen(unseen: Any) -> None:
    """Raise for something that cannot be done with keys that were not seen."""
    if unseen not in get_args(Unseen):
        raise DefinitionTypeError(
            f'unseen= takes "null" or "error", got {unseen!r:.80}', site=CallSite.nearest()
        )


def refuse_distinct(plan: Plan) -> None:
    """Raise for a plan whose rows are distinct ones: which rows of other data are is not known before.

    Raises:
        DefinitionError: They are.
    """
    refuse_positions(
        plan,
        "a fitted flow knows only those that it was fitted on",
        'apply the flow itself to each dataset (fit_on="each" for a dict of them), or make the data distinct '
        "first and fit on the result",
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


def _found(data: Any, plan: Plan, processes: int, cache: str | None) -> dict[int, Found]:
    """What the rows of a plan need of the dataset: a job of its own computes it, and writes it down."""
    from hyped_beam.dsl.sources import as_source
    from hyped_beam.io.writers.arrow import ArrowDatasetWriter
    from hyped_beam.launch.bounded import prepare_bounded
    from hyped_beam.launch.signals import ended_cleanly

    source = as_source(data)
    refuse_iterable(source, cache)
    check_columns(source.features, plan)
    asked = needed_by_rows(plan)
    job_plan = make_plan(prune(_asking_for(plan.graph, asked)), Extent(*source.extent()))
    with ended_cleanly(), ScratchFolder() as scratch:
        writers = {
            one.name: ArrowDatasetWriter(f"{scratch.path}/groups-{one.name}") for one in job_plan.row_outputs
        }
        work = scratch.path / "work"
        work.mkdir()
        job = prepare_bounded(
            job_plan, source, writers, processes=processes, runner="local", work=work, cache=cache
        )
        result = job.run()
        found = {}
        for scope, nodes in asked.items():
            if scope == DATASET:
                columns = result.values[AGGREGATES].columns
            else:
                columns = _mapped_columns(result.shards[str(scope)], nodes)
            found.update({node.id: Found(scope, column) for node, column in zip(nodes, columns, strict=True)})
    tell(result.cache)
    return found


def needed_by_rows(plan: Plan) -> dict[int, list[Node]]:
    """What the rows of the last scan need of those before, by the rows that it is held for.

    What belongs to groups of groups is held for the inner ones, which rows find by their keys.
    """
    scopes = plan.graph.scopes
    found: dict[int, list[Node]] = {}
    for number in (*plan.scan.prior, *plan.scan.by_range):
        node = plan.graph.nodes[number]
        scope = node.scope
        while (members := scopes[scope].members) is not None and domain_of(scopes, members) != SOURCE_ROWS:
            scope = members
        found.setdefault(scope, []).append(node)
    return found


def _asking_for(graph: Graph, asked: Mapping[int, Sequence[Node]]) -> Graph:
    """The graph with outputs of values of groups and of the whole dataset, in the place of its own."""
    nodes = [node for node in graph.nodes.values() if node.kind is not Kind.SINK]
    free = max(graph.nodes) + 1
    for scope, wanted in asked.items():
        feature = {str(node.id): node.feature for node in wanted}
        inputs = {str(node.id): Edge(node.id) for node in wanted}
        nodes.append(Node(free, Kind.MAP, "collect", PackStruct(), inputs, scope, feature, options=Options()))
        sink = Sink(AGGREGATES if scope == DATASET else str(scope))
        nodes.append(Node(free + 1, Kind.SINK, sink.name, sink, {"input": Edge(free)}, scope, feature))
        free += 2
    return graph.with_nodes(nodes)


def _mapped_columns(shards: Sequence[str], nodes: Sequence[Node]) -> list[pa.Array]:
    """The columns of Arrow files, each as one array that lies in a file of its own where it is large."""
    tables = [pa.ipc.open_stream(pa.memory_map(path)).read_all() for path in shards]
    table = pa.concat_tables(tables)
    try:
        return [
            mapped(arrays.conform(_whole(table.column(number)), features.to_arrow(node.feature)))
            for number, node in enumerate(nodes)
        ]
    except OSError as error:
        reason = error.strerror or error
        raise JobError(f"the groups cannot be put aside in {tempfile.gettempdir()}: {reason}") from error


def _whole(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    none = pa.nulls(0, arrays.storage_type(column.type))
    return pa.concat_arrays([none, *(arrays.stored(chunk) for chunk in column.chunks)])


def with_constants(graph: Graph, found: Mapping[int, Found], unseen: Unseen) -> Graph:
    """The graph with what was found out in the place of the nodes that it was found out by."""
    nodes = [
        _constant(node, found[node.id], unseen) if node.id in found else node for node in graph.nodes.values()
    ]
    return graph.with_nodes(nodes)


def _constant(node: Node, found: Found, unseen: Unseen) -> Node:
    values = found.values
    if node.kind is Kind.KEYS and found.scope == node.scope:
        keys = arrays.struct_of(arrays.columns_of(values, len(values)), len(values))
        return replace(node, operation=Keys(known=keys, unseen=unseen))
    operation: Any = GroupConstant(values)
    if found.scope == DATASET:
        value = values.storage[0] if isinstance(values, pa.ExtensionArray) else values[0]
        if isinstance(values, pa.ExtensionArray):  # those of datasets return their storage as items
            value = pa.ExtensionScalar.from_storage(values.type, value)
        operation = Constant(value)
    return replace(
        node,
        kind=Kind.CONST,
        operation=operation,
        name="const",
        inputs={},
        scope=found.scope,
        options=None,
        input_scope=None,
    )
