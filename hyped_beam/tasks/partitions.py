"""Groups in partitions of their keys: states of ranges to partitions, values of groups back to the ranges.

The states that a range leaves for some groups hold the keys of its rows, each once. So a partition, which
gets the part of every range's states whose keys belong to it, knows which range needs the values of which
groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from hyped_beam.execute.batch import take_value
from hyped_beam.execute.bindings import PriorResults
from hyped_beam.execute.combining import KEYS
from hyped_beam.execute.stage import StageRunner
from hyped_beam.execute.streams import from_bytes, to_bytes
from hyped_beam.ir.graph import Graph
from hyped_beam.ir.scope import domain_of
from hyped_beam.nodes.tables import TableByKey
from hyped_beam.plan.joins import PARTITIONS, table_of
from hyped_beam.plan.planner import Plan
from hyped_beam.plan.program import Combine, Program
from hyped_beam.tasks.placed_states import PlacedStates
from hyped_beam.tasks.reduce import reduce_with
from hyped_beam.types import arrays
from hyped_beam.types.hashes import hashes_of
from hyped_beam.types.vectors import Vector

# ---------------------------------------------------------------------------------- from ranges to partitions


class StateSplitter:
    """Splits the states that a range has left into those put together in one place, and those of partitions.

    Args:
        combines: The combines of the scan.
    """

    def __init__(self, combines: Sequence[Combine]) -> None:
        self._combines = combines

    def split(self, states: bytes) -> tuple[bytes, dict[int, bytes]]:
        """The states of the range that stay together, and by the number of the partition those of its keys.

        Args:
            states: The states of one range, as `StateTrees.to_bytes` writes them down.
        """
        if not any(combine.shuffled for combine in self._combines):
            return states, {}
        together: list[pa.RecordBatch] = []
        slices: list[list[pa.RecordBatch]] = []
        for combine, held in zip(self._combines, from_bytes(states), strict=True):
            if combine.shuffled:
                slices.append(_by_partition(held.replace_schema_metadata()))
            else:
                together.append(held)
        split = {
            partition: to_bytes(of_combines)
            for partition, of_combines in enumerate(zip(*slices, strict=True))
            if any(part.num_rows for part in of_combines)
        }
        return to_bytes(together), split


def partition_of(keys: pa.Array) -> Vector:
    """The partition of each key: by a hash that is the same everywhere."""
    return (hashes_of(keys) % np.uint64(PARTITIONS)).astype(np.int64)


def split_table(batches: Iterable[pa.RecordBatch], key: str) -> dict[int, bytes]:
    """The rows of a part of a table by the partition of their keys; those without a key are left out.

    Args:
        batches: The rows.
        key: The column of the keys.
    """
    held = [batch.filter(batch.column(key).is_valid()) for batch in batches]
    rows = pa.concat_batches([batch for batch in held if batch.num_rows] or held[:1]) if held else None
    if rows is None or not rows.num_rows:
        return {}
    keys = arrays.struct_of({key: rows.column(key)}, rows.num_rows)
    return {partition: to_bytes([part]) for partition, part in enumerate(_split(rows, keys)) if part.num_rows}


def _by_partition(states: pa.RecordBatch) -> list[pa.RecordBatch]:
    """States by the partition of their keys."""
    return _split(states, states.column(KEYS))


def _split(rows: pa.RecordBatch, keys: pa.Array) -> list[pa.RecordBatch]:
    partitions = partition_of(keys)
    in_order = rows.take(pa.array(np.argsort(partitions.astype(np.uint16), kind="stable")))  # by radix
    counts = np.bincount(partitions, minlength=PARTITIONS)
    starts = np.cumsum(counts) - counts
    return [
        in_order.slice(start, count) for start, count in zip(starts.tolist(), counts.tolist(), strict=True)
    ]


# --------------------------------------------------------------------------------------------- in a partition


@dataclass
class PartitionStates:
    """What comes to one partition after a scan.

    Attributes:
        ranges: How many ranges the source has.
        states: By the number of the range its states of each combine.
        known: What the same partition has made known after earlier scans.
        members: By the scope of the groups, and the number of the range, which of the groups its rows are in.
        tables: By the number of the lookup, and of a range of its table, the rows of it whose keys are here.
    """

    ranges: int = 0
    states: dict[int, bytes] = field(default_factory=dict)
    known: PriorResults = field(default_factory=PriorResults)
    members: dict[int, dict[int, pa.Array]] = field(default_factory=dict)
    tables: dict[int, dict[int, bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class PartitionResult:
    """What has come of the groups of one partition.

    Attributes:
        outputs: Rows by the name of the output, in the order of their groups.
        keys: The key of the group of each of these rows.
        to_ranges: What each range needs of it, by the number of the range.
        carry_over: What the same partition needs after later scans; empty where it needs nothing.
    """

    outputs: dict[str, pa.RecordBatch]
    keys: dict[str, pa.StructArray]
    to_ranges: dict[int, bytes]
    carry_over: bytes


@dataclass(frozen=True)
class PartitionProgram:
    """What is computed for each partition of groups after a scan.

    Attributes:
        combines: The combines of these groups.
        program: What is computed from their values.
        for_ranges: The nodes whose values later scans need.
        for_partitions: The nodes whose values it needs itself after later scans.
        tables: The tables in which keys are looked up, by the number of the lookup: of each a partition gets
            the rows whose keys belong to it.
    """

    combines: tuple[Combine, ...]
    program: Program
    for_ranges: tuple[int, ...] = ()
    for_partitions: tuple[int, ...] = ()
    tables: Mapping[int, TableByKey] = field(default_factory=dict)

    @classmethod
    def after(cls, plan: Plan, number: int) -> PartitionProgram | None:
        """What is computed for each partition after a scan of a plan; None where nothing is.

        Args:
            plan: The plan.
            number: The number of the scan.
        """
        done, later = plan.stages[number], plan.stages[number + 1 :]
        if done.partitions is None:
            return None
        by_ranges = {node for one in later for node in one.scan.by_range}
        by_partitions = {node for one in later if one.partitions for node in one.partitions.prior}
        gives = done.partitions.gives
        return cls(
            done.scan.shuffled,
            done.partitions,
            tuple(node for node in gives if node in by_ranges),
            tuple(node for node in gives if node in by_partitions),
            _tables(done.partitions, plan.graph),
        )

    def open(self) -> OpenPartitions:
        """Make it ready to run."""
        return OpenPartitions(self)


class OpenPartitions:
    """What is computed for partitions of groups, one after the other; nodes are set up once.

    Args:
        job: What is computed.
    """

    def __init__(self, job: PartitionProgram) -> None:
        self._job = job
        self._runner: StageRunner | None = None

    def close(self) -> None:
        """Tear the nodes down."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            runner.close()

    def run(self, given: PartitionStates, prior: PriorResults) -> PartitionResult:
        """Compute what comes of the groups of one partition.

        Args:
            given: What has come to it.
            prior: What is known of the whole dataset.

        Raises:
            NodeError: An aggregator, or a node behind it, raised.
        """
        job = self._job
        states = {number: from_bytes(held) for number, held in sorted(given.states.items())}
        placed = [
            PlacedStates.of(combine, {number: held[at] for number, held in states.items()})
            for at, combine in enumerate(job.combines)
        ]
        totals = [one.total(given.ranges) for one in placed]
        reduced = reduce_with(self._ready(given.tables, prior.with_more(given.known)), job.combines, totals)
        members = {**given.members, **self._members(placed)}
        to_ranges = dict(self._to_ranges(reduced.prior, members))
        carry_over = PriorResults({number: reduced.prior.values[number] for number in job.for_partitions})
        kept = _carry_over_to_bytes(carry_over, members) if job.for_partitions else b""
        keys = {
            name: take_value(self._keys_of(name, placed, given.known), groups)
            for name, groups in reduced.groups.items()
        }
        return PartitionResult(reduced.outputs, keys, to_ranges, kept)

    def _keys_of(self, name: str, placed: Sequence[PlacedStates], known: PriorResults) -> pa.StructArray:
        """The keys of the groups that the rows of an output belong to."""
        program = self._job.program
        output = next(one for one in program.outputs if one.name == name)
        scope = domain_of(program.scopes, output.scope)
        found = next((one.keys for one in placed if one.scope == scope), None)
        maker = program.scopes[scope].node
        assert maker is not None  # noqa: S101 - what is shuffled has keys
        return known.values[maker] if found is None else found

    def _ready(self, tables: Mapping[int, Mapping[int, bytes]], prior: PriorResults) -> StageRunner:
        """What runs the program; one that looks keys up is set up anew for each partition."""
        if self._job.tables:
            self.close()
        if self._runner is None:
            runner = StageRunner(self._with_tables(tables), prior)
            runner.open()
            self._runner = runner
        else:
            self._runner.renew(prior)
        return self._runner

    def _with_tables(self, tables: Mapping[int, Mapping[int, bytes]]) -> Program:
        """The program whose lookups know the rows of their tables that belong to the partition."""
        steps = []
        for step in self._job.program.steps:
            operation = step.operation
            if step.node in self._job.tables:
                held = tables.get(step.node, {})
                rows = [batch for number in sorted(held) for batch in from_bytes(held[number])]
                operation = operation.with_rows(rows)
            steps.append(replace(step, operation=operation))
        return replace(self._job.program, steps=tuple(steps))

    def _members(self, placed: Sequence[PlacedStates]) -> dict[int, dict[int, pa.Array]]:
        """Which of the groups the rows of each range are in, in the order of the groups."""
        if not self._job.for_ranges and not self._job.for_partitions:
            return {}
        return {
            one.scope: {
                number: pa.array(np.sort(places)) for number, places in one.places.items() if len(places)
            }
            for one in placed
        }

    def _to_ranges(
        self, prior: PriorResults, members: Mapping[int, Mapping[int, pa.Array]]
    ) -> Iterator[tuple[int, bytes]]:
        """The values that each range needs, as record batches, one for the groups of each scope."""
        by_scope: dict[int, list[int]] = {}
        for node in self._job.for_ranges:
            by_scope.setdefault(self._job.program.scope_of[node], []).append(node)
        numbers = sorted({number for scope in by_scope for number in members.get(scope, ())})
        for number in numbers:
            batches = []
            for scope, nodes in by_scope.items():
                if number in members.get(scope, ()):
                    taken = [take_value(prior.values[node], members[scope][number]) for node in nodes]
                    batches.append(pa.RecordBatch.from_arrays(taken, [str(node) for node in nodes]))
            yield number, to_bytes(batches)


def _tables(program: Program, graph: Graph) -> dict[int, TableByKey]:
    """The tables of those lookups whose key is the one by which groups are in partitions."""
    found = {}
    for step in program.steps:
        table = table_of(step.operation)
        maker = program.scopes[step.scope].node
        if table is None or maker is None:
            continue
        keys = graph.nodes[maker].inputs
        (edge,) = step.inputs.values()
        if edge.node == maker and len(edge.path) == len(keys) == 1:
            found[step.node] = table
    return found


def _carry_over_to_bytes(prior: PriorResults, members: Mapping[int, Mapping[int, pa.Array]]) -> bytes:
    held = prior.to_bytes()
    told = [
        pa.RecordBatch.from_arrays([places], [f"{scope} {number}"])
        for scope, of_ranges in members.items()
        for number, places in of_ranges.items()
    ]
    return to_bytes([pa.RecordBatch.from_arrays([pa.array([held], pa.large_binary())], ["prior"]), *told])


def add_carry_over(given: PartitionStates, data: bytes) -> None:
    """Put in what the same partition has made known after an earlier scan."""
    prior, *told = from_bytes(data)
    given.known = given.known.with_more(PriorResults.from_bytes(prior.column(0)[0].as_py()))
    for batch in told:
        scope, number = (int(part) for part in batch.schema.names[0].split())
        given.members.setdefault(scope, {})[number] = batch.column(0)


# ---------------------------------------------------------------------------------- from partitions to ranges


def values_of_range(program: Program, slices: Iterable[bytes]) -> dict[int, pa.Array]:
    """The values of the groups of a range, put together from what partitions have sent it.

    Args:
        program: The program of the scan.
        slices: What they have sent, by scan and partition.
    """
    parts: dict[int, list[pa.Array]] = {node: [] for node in program.by_range}
    for held in slices:
        for batch in from_bytes(held):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                if int(name) in parts:
                    parts[int(name)].append(column)
    return {
        node: pa.concat_arrays(parts[node]) if parts[node] else pa.nulls(0, kind)
        for node, kind in program.by_range.items()
    }
