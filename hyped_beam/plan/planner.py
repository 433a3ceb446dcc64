"""The planner: cuts a graph into scans, packed combines, and what is computed from their results."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from hyped_beam.ir.graph import Graph, Kind, Node, makers, needs
from hyped_beam.ir.scope import DATASET, SOURCE_ROWS
from hyped_beam.plan.levels import Levels, closure
from hyped_beam.plan.program import Output, Program
from hyped_beam.plan.stages import Stage, make_program

AGGREGATES = "aggregates"
"""The name of the output that the aggregates of the whole dataset come in."""


@dataclass(frozen=True)
class Plan:
    """How a graph is executed.

    Attributes:
        graph: The graph that it was made from, after all passes.
        scan: The stage of the last scan, which all rows leave.
        finish: The stage that runs once after it; None where nothing but rows was asked for.
        earlier: The scans before it, whose aggregates its rows need, each with what is computed after it.
    """

    graph: Graph
    scan: Program
    finish: Program | None
    earlier: tuple[tuple[Program, Program], ...] = ()

    def with_batch_size(self, batch_size: int | None) -> Plan:
        """The same plan, with a bound on the rows that nodes are given at once."""
        if batch_size is None:
            return self
        earlier = tuple((scan.with_batch_size(batch_size), end) for scan, end in self.earlier)
        return replace(self, scan=self.scan.with_batch_size(batch_size), earlier=earlier)

    @property
    def group_outputs(self) -> tuple[Output, ...]:
        """The outputs whose rows are groups."""
        return (
            () if self.finish is None else tuple(one for one in self.finish.outputs if one.name != AGGREGATES)
        )

    @property
    def row_outputs(self) -> tuple[Output, ...]:
        """The outputs of rows, those of groups behind the others."""
        return (*self.scan.outputs, *self.group_outputs)

    @property
    def has_aggregates(self) -> bool:
        """Whether aggregates of the whole dataset were asked for."""
        return self.finish is not None and any(one.name == AGGREGATES for one in self.finish.outputs)

    @property
    def passes(self) -> tuple[tuple[Program, Program | None], ...]:
        """All scans with what is computed after each, in order."""
        return (*self.earlier, (self.scan, self.finish))


def make_plan(graph: Graph) -> Plan:
    """The plan of a graph."""
    planner = _Planner(graph)
    scans: list[Stage] = []
    for level in range(planner.last + 1):
        once = {node.id for scan in scans for node in scan.steps if not node.operation.repeatable}
        scans.append(planner.scan(level, once))
    for number, scan in enumerate(scans):
        needed = {node.id for other in scans[number + 1 :] for node in other.restored}
        scans[number] = replace(scan, kept=[node for node in scan.steps if node.id in needed])
    finishes: list[Stage | None] = []
    for level in reversed(range(planner.last + 1)):
        later = [*scans[level + 1 :], *(stage for stage in finishes if stage is not None)]
        finishes.insert(0, planner.finish(level, later))
    programs = [make_program(planner.levels, stage) for stage in scans]
    ends = [None if stage is None else make_program(planner.levels, stage) for stage in finishes]
    earlier = tuple((scan, end) for scan, end in zip(programs, ends[:-1], strict=False) if end is not None)
    return Plan(graph, programs[-1], ends[-1], earlier)


class _Planner:
    """Finds what runs in each scan, and after it.

    Args:
        graph: The graph, pruned.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.levels = Levels(graph)
        running = [node for node in graph.nodes.values() if self.levels.runs_in_scan(node)]
        self.sinks = [node for node in running if node.kind is Kind.SINK]
        self.end_sinks = [node for node in graph.sinks if not self.levels.runs_in_scan(node)]
        self.leaving = [
            node for node in running if self.levels.leaves_scan(node) and not self.levels.is_constant(node)
        ]
        self.last = max((self.levels[node.id] for node in (*self.sinks, *self.leaving)), default=0)

    def combined(self, level: int) -> list[Node]:
        """The aggregators whose states leave a scan, and the keys that they go by."""
        at_level = [node for node in self.leaving if self.levels[node.id] == level]
        scopes = {node.scope for node in at_level}
        return [node for node in self.leaving if node in at_level or _finds_keys_of(node, scopes)]

    def scan(self, level: int, once: Collection[int]) -> Stage:
        """What runs on the batches of a scan: what its ends need, as far as it is made of rows.

        Args:
            level: The number of the scan.
            once: The nodes that are not repeatable and have run in a scan before.
        """
        combined = self.combined(level)
        sinks = self.sinks if level == self.last else []
        ends = [*combined, *sinks]
        needed = closure(self.graph, (node.id for node in ends), self._is_of_rows, once)
        steps = [node for node in self._chosen(needed) if not self.levels.leaves_scan(node)]
        restored = [node for node in steps if node.id in once]
        steps = [node for node in steps if node.id not in once]
        outer, keys = self._from_outside([*steps, *ends])
        known = [node for node in keys if self.levels.leaves_scan(node)]
        late = {node.id: node for node in (*outer, *keys)}.values()
        return Stage(
            base=SOURCE_ROWS,
            takes=[self.graph.source],
            steps=self._chosen(
                {node.id for node in (*steps, *known) if node.kind not in (Kind.SINK, Kind.SOURCE)}
            ),
            combined=combined,
            outputs=sinks,
            late=[
                node for node in late if not self._is_at_hand(node) and not self.levels.in_scan(node.scope)
            ],
            restored=restored,
        )

    def finish(self, level: int, later: Sequence[Stage]) -> Stage | None:
        """What is computed once after a scan: what later stages need, and at the end the outputs."""
        wanted = {node.id: node for stage in later for node in stage.late}
        gives = [node for node in wanted.values() if self.levels[node.id] == level]
        sinks = self.end_sinks if level == self.last else []
        ends = [*gives, *sinks]
        if not ends:
            return None
        takes = self.combined(level)
        needed = closure(
            self.graph, (node.id for node in ends), lambda node: not self.levels.runs_in_scan(node)
        )
        steps = [node for node in self._chosen(needed) if not self.levels.runs_in_scan(node)]
        outer = [node for node in [*self._needs(steps), *ends] if self.levels.leaves_scan(node)]
        late = {node.id: node for node in outer if node not in takes and not self.levels.is_constant(node)}
        return Stage(
            base=DATASET,
            takes=takes,
            steps=[
                node for node in steps if node.kind is not Kind.SINK and not self.levels.is_constant(node)
            ],
            outputs=sinks,
            late=list(late.values()),
            gives=gives,
        )

    def _from_outside(self, running: Sequence[Node]) -> tuple[list[Node], list[Node]]:
        """What nodes of a scan use that earlier ones have made known, and the keys that it is found by.

        Keys of rows may themselves be computed from what is known, and so need further keys.
        """
        outer: list[Node] = []
        keys: list[Node] = []
        while True:
            joined = [node for node in keys if self.levels.leaves_scan(node)]
            used = self._inputs([*running, *joined])
            more = [node for node in used if not self.levels.in_scan(node.scope)]
            if more == outer:
                return outer, keys
            outer = more
            keys = self._chosen(makers(self.graph, (node.scope for node in outer)))

    def _is_of_rows(self, node: Node) -> bool:
        """Whether a scan goes on to what a node needs; the keys of known groups are looked up by its rows."""
        if node.kind is Kind.KEYS:
            return self.levels.runs_in_scan(node)
        return node.id in self.levels.fixed or (
            self.levels.runs_in_scan(node) and not self.levels.leaves_scan(node)
        )

    def _is_at_hand(self, node: Node) -> bool:
        return self.levels.is_constant(node) or node.id in self.levels.fixed

    def _chosen(self, numbers: Iterable[int]) -> list[Node]:
        """Nodes in the order of the graph."""
        wanted = set(numbers)
        return [node for node in self.graph.nodes.values() if node.id in wanted]

    def _inputs(self, nodes: Iterable[Node]) -> list[Node]:
        return self._chosen(edge.node for node in nodes for edge in node.inputs.values())

    def _needs(self, nodes: Iterable[Node]) -> list[Node]:
        return self._chosen(number for node in nodes for number in needs(self.graph, node))


def _finds_keys_of(node: Node, scopes: Iterable[int]) -> bool:
    return node.kind is Kind.KEYS and node.scope in scopes
