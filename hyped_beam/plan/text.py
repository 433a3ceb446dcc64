"""The text form of a plan: its stages, and in each the steps, what leaves it and what is combined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hyped_beam.errors import CallSite, escaped
from hyped_beam.ir.graph import Edge, Graph, Kind
from hyped_beam.ir.scope import DATASET
from hyped_beam.plan.caching import ScanCaching
from hyped_beam.plan.joins import PARTITIONS, Choice
from hyped_beam.plan.planner import Plan
from hyped_beam.plan.program import AggregateStep, Combine, Program, Step
from hyped_beam.types import features

_PARTITIONED = f" of groups: in each of {PARTITIONS} partitions of their keys"

_WIDEST = 72
"""Where the types begin at the latest; a longer line pushes only its own type to the right."""


@dataclass(frozen=True)
class _Line:
    """A line of a stage: what is computed, its type, and where it was written."""

    call: str
    type: str
    site: CallSite | None = None


def plan_text(plan: Plan, *, sites: bool = False, caching: Mapping[int, ScanCaching] | None = None) -> str:
    """A plan as text, the same each time.

    First how many scans, combines and joins there are; then stage by stage what is read or taken, the steps
    in the order in which they run, and what leaves the stage. Constants stand where they are used. Rows
    other than those of the source are named in brackets.

    Args:
        plan: The plan.
        sites: Whether to say at each step which line of the user's code it comes from.
        caching: What a cache does for each scan, by its place in the plan; None where there is none.
    """
    lines = [_summary(plan)]
    several = len(plan.stages) > 1
    for at, one in enumerate(plan.stages, start=1):
        number = f" {at}" if several else ""
        lines += ["", _scan_head(plan, one.scan, number)]
        if caching is not None and at - 1 in caching:
            lines.append(f"  {caching[at - 1]}")
        lines += _stage(plan, one.scan, sites=sites)
        for end, how in ((one.reduce, ": once"), (one.partitions, _PARTITIONED)):
            if end is not None:
                taken = ", ".join(f"%{node}" for node in (*end.takes, *end.prior))
                lines += ["", f"reduce{number}{how}, from {taken or 'nothing'}"]
                lines += _stage(plan, end, sites=sites)
    return escaped("\n".join(line.rstrip() for line in lines) + "\n")


def _summary(plan: Plan) -> str:
    """How often the source is read, and what is put together and joined."""
    scans = [one.scan for one in plan.stages]
    told = [_counted(len(scans), "scan")]
    packed = [_packed(scan) for scan in scans]
    combines = sum(len(scopes) for scopes in packed)
    if combines:
        aggregates = sum(len(scan.aggregates) for scan in scans)
        told.append(f"{_counted(combines, 'combine')} of {_counted(aggregates, 'aggregate')}")
    joins = sum(grouping.is_resolved for scan in scans for grouping in scan.groupings)
    if joins:
        told.append(f"{_counted(joins, 'join')} by key")
    shuffles = sum(one.partitions is not None for one in plan.stages)
    if shuffles:
        told.append(_counted(shuffles, "shuffle"))
    told.append(_counted(len(plan.graph.sinks), "output"))
    return f"plan: {', '.join(told)}"


def _packed(program: Program) -> dict[int, list[Combine]]:
    """The combines of a stage by the scope of their groups: those of one scope travel together."""
    found: dict[int, list[Combine]] = {}
    for combine in program.combines:
        found.setdefault(DATASET if combine.grouping is None else combine.grouping.scope, []).append(combine)
    return found


def _scan_head(plan: Plan, scan: Program, number: str) -> str:
    columns = scan.columns
    source = plan.graph.source.operation
    known = len(source.columns) + source.unread
    named = f": {', '.join(columns)}" if columns else ""
    chosen = "" if scan.condition is None else f", where {scan.condition}"
    return f"scan{number}: reads {len(columns)} of {_counted(known, 'column')}{named}{chosen}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _stage(plan: Plan, program: Program, *, sites: bool) -> Iterable[str]:
    graph = plan.graph
    lines = [_step(plan, program, step) for step in program.steps]
    lines += [
        _Line(
            f"output {output.name!r} <- {output.edge}",
            features.describe(graph.feature(output.edge)) + _rows(graph, output.scope, program.base),
        )
        for output in program.outputs
    ]
    packed = _packed(program)
    combined = {
        scope: [_aggregate(graph, step) for one in held for step in one.steps]
        for scope, held in packed.items()
    }
    every = [*lines, *(line for held in combined.values() for line in held)]
    width = min(max((len(line.call) for line in every), default=0), _WIDEST)
    broadcast = [f"%{number}" for number in program.prior if graph.nodes[number].scope == DATASET]
    if broadcast and program.base != DATASET:
        yield f"  broadcast: {', '.join(broadcast)}"
    if program.restored:
        yield f"  kept from before: {', '.join(f'%{number}' for number in program.restored)}"
    yield from (_shown(line, width, 2, sites=sites) for line in lines)
    if program.materialized:
        yield f"  kept, for they run once: {', '.join(f'%{number}' for number in program.materialized)}"
    for scope, held in combined.items():
        of_groups = "" if scope == DATASET else _of_groups(plan, scope)
        yield f"  combine{of_groups}, {_counted(len(held), 'aggregate')}{_states(scope)}"
        yield from (_shown(line, width - 2, 4, sites=sites) for line in held)
    if program.gives:
        yield f"  known from here on: {', '.join(f'%{number}' for number in program.gives)}"


def _of_groups(plan: Plan, scope: int) -> str:
    """Which groups, and where their states are put together."""
    keys = plan.graph.scopes[scope].node
    choice = None if keys is None else plan.joins.get(keys)
    where = ""
    if choice is not None:
        where = f" {choice.how} ({choice.reason})" if choice.reason else f" {choice.how}"
    return f" of {plan.graph.scopes[scope].name} (%{keys}){where}"


def _states(scope: int) -> str:
    return ", one state each" if scope == DATASET else ", a state for each group"


def _rows(graph: Graph, scope: int, base: int) -> str:
    """Which rows, where they are not those that the stage is given."""
    return "" if scope in (base, DATASET) else f"  [{graph.scopes[scope].name}]"


def _shown(line: _Line, width: int, indent: int, *, sites: bool) -> str:
    at = f"  # {line.site}" if sites and line.site else ""
    return f"{' ' * indent}{line.call:<{width}}  : {line.type}{at}"


def _step(plan: Plan, program: Program, step: Step) -> _Line:
    graph = plan.graph
    if step.kind is Kind.KEYS:
        return _keys(graph, program, step)
    how = _how_it_runs(step, plan.joins.get(step.node))
    shown = (
        f"{features.describe(graph.nodes[step.node].feature)}{how}{_rows(graph, step.scope, program.base)}"
    )
    return _Line(_call(graph, step), shown, step.site)


def _keys(graph: Graph, program: Program, step: Step) -> _Line:
    """Rows find their groups: known ones by a join, or by putting them together here."""
    known = [one for one in program.groupings if one.node == step.node and one.is_resolved]
    how = "shuffle" if any(one.shuffled for one in known) else "broadcast"
    what = f"join by key, {how}" if known else "group"
    return _Line(
        f"%{step.node} = {what}({_inputs(graph, step.inputs)})", graph.scopes[step.scope].name, step.site
    )


def _aggregate(graph: Graph, step: AggregateStep) -> _Line:
    state = ", ".join(f"{field.name}: {field.type}" for field in step.state_type)
    order = "in any order" if step.operation.commutative else "in source order"
    value = features.describe(graph.nodes[step.node].feature)
    error = step.operation.approximation()
    estimated = "" if error is None else f", approximate, {error}"
    return _Line(_call(graph, step), f"{value}  state {{{state}}}, {order}{estimated}", step.site)


def _call(graph: Graph, step: Step | AggregateStep) -> str:
    configuration = step.operation.describe()
    configured = f"[{configuration}]" if configuration else ""
    return f"%{step.node} = {step.name}{configured}({_inputs(graph, step.inputs)})"


def _inputs(graph: Graph, inputs: Mapping[str, Edge]) -> str:
    if list(inputs) == ["input"]:
        return _value(graph, inputs["input"])
    return ", ".join(f"{name}={_value(graph, edge)}" for name, edge in inputs.items())


def _value(graph: Graph, edge: Edge) -> str:
    node = graph.nodes[edge.node]
    if node.kind is not Kind.CONST:
        return str(edge)
    return ".".join((node.operation.describe(), *edge.path))


def _how_it_runs(step: Step, choice: Choice | None) -> str:
    """What is special about how a step runs, for whoever looks for what is slow."""
    if step.kind is not Kind.MAP:
        return ""
    interface = step.operation.interface()
    is_limited = step.options is not None and step.options.limits.is_set
    found = ["row by row"] if interface.row_wise and not interface.coroutine and not is_limited else []
    if choice is not None:
        held = "a partition of the table each" if choice.shuffled else "the table in every process"
        found.append(f"{held}, {choice.reason}" if choice.reason else held)
    if interface.coroutine or is_limited:
        limits = step.options.limits
        most = limits.at_once(coroutine=interface.coroutine)
        what = _counted(most, "row") if interface.row_wise else f"{most} batch{'es' if most > 1 else ''}"
        found.append(f"{'async' if interface.coroutine else 'in threads'}, {what} at once")
        if limits.per_second is not None:
            found.append(f"{limits.per_second:g} a second")
    if step.options is not None and step.options.batch_size is not None:
        found.append(f"at most {_counted(step.options.batch_size, 'row')} a call")
    if not step.operation.repeatable:
        found.append("not repeatable")
    return f"  ({'; '.join(found)})" if found else ""
