"""The fingerprint of what a scan aggregates: equal for two that leave the same states of the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from hyped_beam.ir.graph import Edge
from hyped_beam.ir.scope import lineage
from hyped_beam.nodes.fingerprint import NoFingerprintError, digest_of, fingerprint_of
from hyped_beam.nodes.installed import versions
from hyped_beam.plan.program import AggregateStep, Program, Step


@dataclass(frozen=True)
class StatesKey:
    """What the states that leave a scan follow from, but for the rows.

    Attributes:
        digest: Of the program, as far as its aggregates need it, and of what computes.
        columns: The columns of the source that they are made of.
        prior: The nodes whose values earlier stages make known, in an order of their own.
        by_range: The nodes of which each range is given the values of its groups, in an order of their own.
        scopes: The scopes of the program, in an order of their own.
        numbers_rows: Whether it matters where in the source a row stands.
    """

    digest: str
    columns: tuple[str, ...]
    prior: tuple[int, ...]
    by_range: tuple[int, ...]
    scopes: tuple[int, ...]
    numbers_rows: bool


def states_key(program: Program) -> StatesKey:
    """What the states that leave a scan follow from.

    Nodes are numbered anew, so that it does not matter what else was recorded; what only the rows need that
    leave the scan is left out.

    Raises:
        NoFingerprintError: It cannot be told, or a node runs only once.
    """
    return _Numbered(program).key()


class _Numbered:
    """A program whose nodes and scopes are numbered in the order in which its aggregates meet them.

    Args:
        program: The program.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._nodes: dict[int, int] = {}
        self._scopes: dict[int, int] = {}
        needed = self._needed()
        self._steps = [step for step in program.steps if step.node in needed]
        self._used = needed

    def key(self) -> StatesKey:
        program = self._program
        for step in self._steps:
            if not step.operation.repeatable:
                raise NoFingerprintError(f"{step.name} is not repeatable")
        if not self._used <= self._told():
            raise NoFingerprintError(
                "a value is used that a scan before has kept of a node which is not repeatable"
            )
        steps = [self._step(step) for step in self._steps]
        combines = [self._combine(combine) for combine in program.combines]
        scopes = self._described_scopes()
        constants = {
            place: program.constants[number]
            for number, place in self._nodes.items()
            if number in program.constants
        }
        prior = tuple(number for number in self._nodes if number in program.prior)
        by_range = tuple(number for number in self._nodes if number in program.by_range)
        places = [[self._nodes[number] for number in known] for known in (prior, by_range)]
        described = [steps, combines, scopes, constants, places, program.condition, dict(versions())]
        return StatesKey(
            digest_of(described),
            self._columns(),
            prior,
            by_range,
            tuple(self._scopes),
            any(getattr(step.operation, "tells_rows_apart", False) for step in self._steps),
        )

    def _needed(self) -> set[int]:
        """The nodes whose values the aggregates need, and those that make the rows of these values."""
        program = self._program
        steps = {step.node: step for step in program.steps}
        groupings = {grouping.node: grouping for grouping in program.groupings}
        found: set[int] = set()
        waiting: list[int] = []
        for combine in program.combines:
            if combine.grouping is not None:
                waiting += self._uses(combine.grouping.keys.values(), (combine.grouping.input_scope,))
            for aggregate in combine.steps:
                waiting += self._uses(aggregate.inputs.values(), (aggregate.input_scope,))
        while waiting:
            number = waiting.pop()
            if number in found:
                continue
            found.add(number)
            step = steps.get(number)
            if step is not None:
                waiting += self._uses(step.inputs.values(), (step.scope, step.input_scope))
            elif number in groupings:
                waiting += self._uses(groupings[number].keys.values(), (groupings[number].input_scope,))
        return found

    def _told(self) -> set[int]:
        """The nodes whose values are told; those of nodes that a scan before has kept are not."""
        program = self._program
        found = {*program.takes, *program.constants, *program.prior, *program.by_range}
        found |= {step.node for step in program.steps}
        return found | {grouping.node for grouping in program.groupings}

    def _uses(self, edges: Iterable[Edge], scopes: Iterable[int]) -> Iterator[int]:
        program = self._program
        numbers = [edge.node for edge in edges]
        yield from numbers
        for scope in (*scopes, *(program.scope_of[number] for number in numbers)):
            yield from (made.node for made in lineage(program.scopes, scope) if made.node is not None)

    def _columns(self) -> tuple[str, ...]:
        """The columns of the source that are used; all of them where it is used as a whole."""
        (source,) = self._program.takes
        steps: list[Step | AggregateStep] = [*self._steps, *self._program.aggregates]
        edges = [edge for step in steps for edge in step.inputs.values()]
        edges += [edge for grouping in self._program.groupings for edge in grouping.keys.values()]
        paths = [edge.path for edge in edges if edge.node == source]
        if not all(paths):
            return self._program.columns
        return tuple(name for name in self._program.columns if name in {path[0] for path in paths})

    # -------------------------------------------------------------------------------------------- described

    def _node(self, number: int) -> int:
        return self._nodes.setdefault(number, len(self._nodes))

    def _scope(self, number: int) -> int:
        return self._scopes.setdefault(number, len(self._scopes))

    def _edges(self, step: Any) -> list[Any]:
        return [
            (name, self._node(edge.node), edge.path, self._scope(self._program.scope_of[edge.node]))
            for name, edge in step.items()
        ]

    def _step(self, step: Step) -> list[Any]:
        return [
            step.kind.value,
            self._edges(step.inputs),
            self._node(step.node),
            fingerprint_of(step.operation),
            str(step.output_type),
            str(step.state_type),
            self._scope(step.scope),
            self._scope(step.input_scope),
            None if step.options is None else step.options.batch_size,  # nodes may look at whole batches
        ]

    def _combine(self, combine: Any) -> list[Any]:
        grouping = combine.grouping
        groups = None
        if grouping is not None:
            scopes = self._scope(grouping.scope), self._scope(grouping.input_scope)
            groups = [self._edges(grouping.keys), str(grouping.key_type), *scopes]
        aggregates = [
            [
                fingerprint_of(step.operation),
                self._edges(step.inputs),
                str(step.state_type),
                self._scope(step.input_scope),
            ]
            for step in combine.steps
        ]
        return [groups, aggregates, combine.commutative, combine.coalesced]

    def _described_scopes(self) -> list[Any]:
        """The scopes, and those that they are made of; more of them may be met on the way."""
        described = []
        for number in (waiting := list(self._scopes)):
            scope = self._program.scopes[number]
            outer = [*scope.parents, *([] if scope.members is None else [scope.members])]
            waiting += [one for one in outer if one not in self._scopes]
            described.append(
                [
                    self._scope(number),
                    scope.kind.value,
                    [self._scope(one) for one in outer],
                    None if scope.node is None else self._node(scope.node),
                ]
            )
        return described
