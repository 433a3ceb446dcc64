"""The text form of a plan: its stages, and in each the steps, what leaves it and what is combined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hyped_beam.errors import CallSite
from hyped_beam.ir.graph import Edge, Graph, Kind
from hyped_beam.plan.planner import Plan
from hyped_beam.plan.program import AggregateStep, Program, Step
from hyped_beam.types import features

_WIDEST = 72
"""Where the types begin at the latest; a longer line pushes only its own type to the right."""


@dataclass(frozen=True)
class _Line:
    """A line of a stage: what is computed, its type, and where it was written."""

    call: str
    type: str
    site: CallSite | None = None


def plan_text(plan: Plan, *, sites: bool = False) -> str:
    """A plan as text, the same each time.

    First how many scans and combines there are; then stage by stage what is read or taken, the steps in
    the order in which they run, and what leaves the stage. Constants stand where they are used.

    Args:
        plan: The plan.
        sites: Whether to say at each step which line of the user's code it comes from.
    """
    lines = [_summary(plan), "", _scan_head(plan)]
    lines += _stage(plan.graph, plan.scan, sites=sites)
    if plan.finish is not None:
        taken = ", ".join(f"%{number}" for number in plan.finish.takes)
        lines += ["", f"finish: once, from {taken or 'nothing'}"]
        lines += _stage(plan.graph, plan.finish, sites=sites)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _summary(plan: Plan) -> str:
    combines = (
        f", 1 combine of {_counted(len(plan.scan.aggregates), 'aggregate')}" if plan.scan.aggregates else ""
    )
    return f"plan: 1 scan{combines}, {_counted(len(plan.graph.sinks), 'output')}"


def _scan_head(plan: Plan) -> str:
    columns = plan.scan.columns
    known = len(columns) + plan.graph.source.operation.unread
    named = f": {', '.join(columns)}" if columns else ""
    return f"scan: reads {len(columns)} of {_counted(known, 'column')}{named}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _stage(graph: Graph, program: Program, *, sites: bool) -> Iterable[str]:
    lines = [_step(graph, step) for step in program.steps]
    lines += [
        _Line(f"output {output.name!r} <- {output.edge}", features.describe(graph.feature(output.edge)))
        for output in program.outputs
    ]
    combined = [_aggregate(graph, step) for step in program.aggregates]
    width = min(max((len(line.call) for line in (*lines, *combined)), default=0), _WIDEST)
    yield from (_shown(line, width, 2, sites=sites) for line in lines)
    if combined:
        yield f"  combine, {_counted(len(combined), 'aggregate')}, one state each"
        yield from (_shown(line, width - 2, 4, sites=sites) for line in combined)


def _shown(line: _Line, width: int, indent: int, *, sites: bool) -> str:
    at = f"  # {line.site}" if sites and line.site else ""
    return f"{' ' * indent}{line.call:<{width}}  : {line.type}{at}"


def _step(graph: Graph, step: Step) -> _Line:
    how = _how_it_runs(step)
    shown = f"{features.describe(graph.nodes[step.node].feature)}{how}"
    return _Line(_call(graph, step), shown, step.site)


def _aggregate(graph: Graph, step: AggregateStep) -> _Line:
    state = ", ".join(f"{field.name}: {field.type}" for field in step.state_type)
    order = "in any order" if step.operation.commutative else "in source order"
    value = features.describe(graph.nodes[step.node].feature)
    return _Line(_call(graph, step), f"{value}  state {{{state}}}, {order}", step.site)


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


def _how_it_runs(step: Step) -> str:
    """What is special about how a step runs, for whoever looks for what is slow."""
    interface = step.operation.interface()
    found = ["row by row"] if interface.row_wise and not interface.coroutine else []
    if interface.coroutine:
        what = "rows" if interface.row_wise else "batches"
        found.append(f"async, {step.options.limits.concurrency} {what} at once")
    if step.options is not None and step.options.batch_size is not None:
        found.append(f"at most {_counted(step.options.batch_size, 'row')} a call")
    if not step.operation.repeatable:
        found.append("not repeatable")
    return f"  ({'; '.join(found)})" if found else ""
