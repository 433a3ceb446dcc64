"""How long each part of a job took, under names that tell its nodes apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from hyped_beam.execute.timing import READ, START, node_key, write_key
from hyped_beam.launch.result import NodeTime
from hyped_beam.nodes.pack import PackStruct
from hyped_beam.plan.planner import Plan
from hyped_beam.plan.program import AggregateStep, Step


def node_times(plan: Plan, timings: Mapping[str, tuple[float, int]]) -> tuple[NodeTime, ...]:
    """What the start, reading, each node, and writing of each output took, in the order of the flow.

    Args:
        plan: The plan that ran.
        timings: What was measured, by key; a part that did not run is not among them.
    """
    # That columns are put together costs nothing, and nobody wrote a node for it.
    nodes: dict[int, Step | AggregateStep] = {}
    for scan in (one.scan for one in plan.stages):
        steps = [step for step in scan.steps if not isinstance(step.operation, PackStruct)]
        nodes.update((step.node, step) for step in steps)
        nodes.update((step.node, step) for step in scan.aggregates)
    parts = [(START, "start"), (READ, "read")]
    parts += [
        (node_key(node.node), name)
        for node, name in zip(nodes.values(), unambiguous([*nodes.values()]), strict=True)
    ]
    parts += [(write_key(output.name), f"write {output.name}") for output in plan.scan.outputs]
    return tuple(NodeTime(name, timings[key][0], timings[key][1]) for key, name in parts if key in timings)


def unambiguous(nodes: Sequence[Step | AggregateStep]) -> list[str]:
    """The names of nodes; where several have one, with their lines, or numbers where those are the same."""
    names = [node.name for node in nodes]
    several = Counter(names)
    with_sites = [
        f"{name} ({node.site})" if several[name] > 1 and node.site else name
        for name, node in zip(names, nodes, strict=True)
    ]
    still_several = Counter(with_sites)
    seen: Counter[str] = Counter()
    found = []
    for name in with_sites:
        seen[name] += 1
        found.append(f"{name} #{seen[name]}" if still_several[name] > 1 else name)
    return found
