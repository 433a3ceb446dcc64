"""The planner: cuts a graph into scans, packed combines, and what is computed from their results."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hyped_beam.ir.graph import Graph, Kind, Node, makers, needs
from hyped_beam.ir.scope import DATASET, SOURCE_ROWS, domain_of
from hyped_beam.passes.lookups_as_group_joins import lookups_as_group_joins
from hyped_beam.plan.joins import Choice, Extent, choose_joins, choose_lookups, open_lookups
from hyped_beam.plan.levels import Levels, closure
from hyped_beam.plan.program import Output, Program
from hyped_beam.plan.stages import Stage, make_program

AGGREGATES = "aggregates"
"""The name of the output that the aggregates of the whole dataset come in."""


@dataclass(frozen=True)
class ScanStage:
    """A scan, and what is computed from the states that it leaves.

    Attributes:
        scan: What runs on the batches of the source.
        reduce: What runs once after it; None where there is nothing to compute in one place.
        partitions: What runs behind that for each partition of the keys of groups that are shuffled; None
            where there are none.
    """

    scan: Program
    reduce: Program | None = None
    partitions: Program | None = None


@dataclass(frozen=True)
class Plan:
    """How a graph is executed.

    Attributes:
        graph: The graph that it was made from, after all passes.
        stages: The scans of the source, in order; rows leave the last one.
        joins: How the values of groups get to the rows, by the number of their KEYS node; and how the rows of
            a second table do, by the number of the lookup.
        batch_size: A bound on the rows that nodes are given at once.
    """

    graph: Graph
    stages: tuple[ScanStage, ...]
    joins: Mapping[int, Choice] = field(default_factory=dict)
    batch_size: int | None = None

    @property
    def scan(self) -> Program:
        """The stage of the last scan, which all rows leave."""
        return self.stages[-1].scan

    @property
    def reduce(self) -> Program | None:
        """The stage that runs once after it; None where there is nothing to compute in one place."""
        return self.stages[-1].reduce

    @property
    def earlier(self) -> tuple[ScanStage, ...]:
        """The scans before the last, whose aggregates its rows need."""
        return self.stages[:-1]

    def for_source(self, extent: Extent) -> Plan:
        """The same plan for a job over a source of some size; it chooses what is shuffled.

        Raises:
            InputError: A table that is looked in is missing or damaged.
        """
        tables = choose_lookups(Levels(self.graph))
        graph = lookups_as_group_joins(
            self.graph, [node for node, choice in tables.items() if choice.shuffled]
        )
        made = make_plan(graph, extent)
        return replace(made, joins={**made.joins, **tables}).with_batch_size(self.batch_size)

    @property
    def depends_on_source(self) -> bool:
        """Whether something is chosen for a job over some source, and has not been yet."""
        return any(choice.open for choice in self.joins.values())

    def in_one_place(self) -> Plan:
        """The same plan with all groups put together in one place."""
        if not any(choice.shuffled for choice in self.joins.values()):
            return self
        return make_plan(self.graph, in_one_place=True).with_batch_size(self.batch_size)

    def with_batch_size(self, batch_size: int | None) -> Plan:
        """The same plan, with a bound on the rows that nodes are given at once."""
        if batch_size is None:
            return self
        stages = (replace(one, scan=one.scan.with_batch_size(batch_size)) for one in self.stages)
        return replace(self, stages=tuple(stages), batch_size=batch_size)

    @property
    def group_outputs(self) -> tuple[Output, ...]:
        """The outputs whose rows are groups that are put together in one place."""
        return _rows_of(self.stages[-1].reduce)

    @property
    def partition_outputs(self) -> tuple[Output, ...]:
        """The outputs whose rows are groups in partitions of their keys."""
        return _rows_of(self.stages[-1].partitions)

    @property
    def row_outputs(self) -> tuple[Output, ...]:
        """The outputs of rows, those of groups behind the others."""
        return (*self.scan.outputs, *self.group_outputs, *self.partition_outputs)

    @property
    def has_aggregates(self) -> bool:
        """Whether aggregates of the whole dataset were asked for."""
        return self.reduce is not None and any(one.name == AGGREGATES for one in self.reduce.outputs)


def _rows_of(program: Program | None) -> tuple[Output, ...]:
    return () if program is None else tuple(one for one in program.outputs if one.name != AGGREGATES)


def make_plan(graph: Graph, extent: Extent | None = None, *, in_one_place: bool = False) -> Plan:
    """The plan of a graph.

    Args:
        graph: The graph, after all passes.
        extent: How large the source is; without it only groups are shuffled that are told to be.
        in_one_place: Whether all groups are put together in one place, also those that are told not to be.
    """
    levels = Levels(graph)
    joins = {} if in_one_place else choose_joins(levels, extent)
    shuffled = {graph.nodes[node].scope for node, choice in joins.items() if choice.shuffled}
    if extent is None and not in_one_place:
        joins = {**joins, **open_lookups(levels)}
    planner = _Planner(levels, shuffled)
    scans = planner.scans()
    scan_stages: list[ScanStage] = []
    later: list[Stage] = []
    for level in reversed(range(planner.last + 1)):
        partitions = planner.partitions(level, later)
        reduce = planner.reduce(level, [*later, *([partitions] if partitions else [])])
        stages = (scans[level], reduce, partitions)
        scan, end, groups = (None if one is None else make_program(levels, one) for one in stages)
        if scan is not None and (end or groups or level == planner.last):
            scan_stages.insert(0, ScanStage(scan, end, groups))
        later += [stage for stage in stages if stage is not None]
    return Plan(graph, tuple(scan_stages), joins)


class _Planner:
    """Finds what runs in each scan, and after it.

    Args:
        levels: The levels of the graph.
        shuffled: The scopes of groups whose states go to partitions of the keys.
    """

    def __init__(self, levels: Levels, shuffled: Collection[int]) -> None:
        self.graph = graph = levels.graph
        self.levels = levels
        self.shuffled = shuffled
        running = [node for node in graph.nodes.values() if self.levels.runs_in_scan(node)]
        self.sinks = [node for node in running if node.kind is Kind.SINK]
        self.end_sinks = [node for node in graph.sinks if not self.levels.runs_in_scan(node)]
        self.leaving = [
            node for node in running if self.levels.is_reduced(node) and not self.levels.is_constant(node)
        ]
        self.last = max((self.levels[node.id] for node in (*self.sinks, *self.leaving)), default=0)

    def scans(self) -> list[Stage]:
        """What runs in each scan, and what of it is kept for later ones."""
        scans: list[Stage] = []
        for level in range(self.last + 1):
            once = {node.id for scan in scans for node in scan.steps if not node.operation.repeatable}
            scans.append(self.scan(level, once))
        for number, scan in enumerate(scans):
            needed = {node.id for other in scans[number + 1 :] for node in other.restored}
            scans[number] = replace(scan, materialized=[node for node in scan.steps if node.id in needed])
        return scans

    def in_partitions(self, node: Node) -> bool:
        """Whether a node's value belongs to groups that are in partitions, or to rows made of them."""
        return domain_of(self.graph.scopes, node.scope) in self.shuffled

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
        steps = [node for node in self._chosen(needed) if not self.levels.is_reduced(node)]
        restored = [node for node in steps if node.id in once]
        steps = [node for node in steps if node.id not in once]
        outer, keys = self._from_outside([*steps, *ends])
        known = [node for node in keys if self.levels.is_reduced(node)]
        from_before = {node.id: node for node in (*outer, *keys)}.values()
        prior = [
            node for node in from_before if not self._is_at_hand(node) and not self.levels.in_scan(node.scope)
        ]
        return Stage(
            base=SOURCE_ROWS,
            takes=[self.graph.source],
            steps=self._chosen(
                {node.id for node in (*steps, *known) if node.kind not in (Kind.SINK, Kind.SOURCE)}
            ),
            combined=combined,
            outputs=sinks,
            prior=[node for node in prior if not self.in_partitions(node)],
            by_range=[node for node in prior if self.in_partitions(node)],
            shuffled=self.shuffled,
            restored=restored,
        )

    def reduce(self, level: int, later: Sequence[Stage]) -> Stage | None:
        """What is computed once after a scan: what later stages need, and at the end the outputs."""
        gives = [node for node in self._wanted(level, later) if not self.in_partitions(node)]
        sinks = self._end_sinks(level, in_partitions=False)
        ends = [*gives, *sinks]
        if not ends:
            return None
        takes = [node for node in self.combined(level) if not self.in_partitions(node)]
        steps = self._computed(ends, lambda node: not self.levels.runs_in_scan(node))
        prior = [node for node in [*self._needs(steps), *ends] if self.levels.is_reduced(node)]
        return self._behind_scan(takes, steps, prior, gives, sinks)

    def partitions(self, level: int, later: Sequence[Stage]) -> Stage | None:
        """What is computed after a scan for each partition of groups; what they share comes from `reduce`."""
        gives = [node for node in self._wanted(level, later) if self.in_partitions(node)]
        sinks = self._end_sinks(level, in_partitions=True)
        ends = [*gives, *sinks]
        if not ends:
            return None
        takes = [node for node in self.combined(level) if self.in_partitions(node)]

        def is_here(node: Node) -> bool:
            if self.levels.runs_in_scan(node):
                return False
            return self.in_partitions(node) or node.id in self.levels.fixed

        steps = self._computed(ends, is_here)
        prior = [
            node
            for node in [*self._needs(steps), *ends]
            if self.levels.is_reduced(node) or (node.scope == DATASET and not is_here(node))
        ]
        return self._behind_scan(takes, steps, prior, gives, sinks)

    def _computed(self, ends: Iterable[Node], is_here: Callable[[Node], bool]) -> list[Node]:
        """The nodes that run behind a scan; what aggregators and keys are made of ran in it."""
        computed = (node.id for node in ends if not self.levels.is_reduced(node))
        return [node for node in self._chosen(closure(self.graph, computed, is_here)) if is_here(node)]

    def _behind_scan(
        self,
        takes: Sequence[Node],
        steps: Sequence[Node],
        prior: Sequence[Node],
        gives: Sequence[Node],
        sinks: Sequence[Node],
    ) -> Stage:
        outer = {node.id: node for node in prior if node not in takes and not self.levels.is_constant(node)}
        return Stage(
            base=DATASET,
            takes=takes,
            steps=[
                node for node in steps if node.kind is not Kind.SINK and not self.levels.is_constant(node)
            ],
            outputs=sinks,
            prior=list(outer.values()),
            shuffled=self.shuffled,
            gives=gives,
        )

    def _wanted(self, level: int, later: Sequence[Stage]) -> list[Node]:
        """What later stages need of what is known after a scan."""
        wanted = {node.id: node for stage in later for node in (*stage.prior, *stage.by_range)}
        return [node for node in wanted.values() if self.levels[node.id] == level]

    def _end_sinks(self, level: int, *, in_partitions: bool) -> list[Node]:
        sinks = self.end_sinks if level == self.last else []
        return [sink for sink in sinks if self.in_partitions(sink) is in_partitions]

    def _from_outside(self, running: Sequence[Node]) -> tuple[list[Node], list[Node]]:
        """What nodes of a scan use that earlier ones have made known, and the keys that it is found by.

        Keys of rows may themselves be computed from what is known, and so need further keys.
        """
        outer: list[Node] = []
        keys: list[Node] = []
        while True:
            joined = [node for node in keys if self.levels.is_reduced(node)]
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
            self.levels.runs_in_scan(node) and not self.levels.is_reduced(node)
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
