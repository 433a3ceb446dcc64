"""The values of aggregates: finished from their states, as a snapshot or as a mapping that follows them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from hyped_beam.dsl.outputs import AGGREGATES
from hyped_beam.errors import DefinitionError
from hyped_beam.execute.stage import Batch, StageRunner
from hyped_beam.execute.states import StateMerger, States, StateTree
from hyped_beam.plan.planner import Plan
from hyped_beam.types.arrays import Value


class AggregateState:
    """What the batches so far have added up to.

    Args:
        plan: The plan whose aggregates they are.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.merger = StateMerger(plan.scan.aggregates)
        self.tree = StateTree(self.merger)
        self.parts = 0
        self._process = os.getpid()
        self._lock = threading.Lock()

    def add(self, states: States) -> None:
        """Add the states of the next batch."""
        with self._lock:
            self.tree.add((0, self.parts), states)
            self.parts += 1

    def restore(self, tree: StateTree, parts: int) -> None:
        """Go on from what so many batches had added up to."""
        with self._lock:
            self.tree = tree
            self.parts = parts

    def __getstate__(self) -> dict[str, Any]:
        return {"plan": self.plan}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        self.__init__(saved["plan"])  # type: ignore[misc]  # a copy in another process starts anew
        self._process = -1

    def clear(self) -> None:
        """Forget all batches."""
        with self._lock:
            self.tree = StateTree(self.merger)
            self.parts = 0

    def value(self) -> dict[str, Any]:
        """The values, nested as they were asked for.

        Raises:
            DefinitionError: This is another process, such as a loader's worker, than the one that it was made in.
            NodeError: An aggregator raised.
        """
        if self._process != os.getpid():
            raise DefinitionError(
                "aggregates are known only in the process that made them, this is a worker of it",
                hint="read them in the main process, of a dataset that is iterated over there",
            )
        with self._lock:
            states = self.tree.total() if self.tree.nodes else empty_states(self.plan)
        return finish(self.plan, states)


def empty_states(plan: Plan) -> States:
    """The states of no rows."""
    source = plan.graph.source
    from hyped_beam.types import features

    columns = {
        name: pa.array([], features.to_arrow(feature)) for name, feature in source.feature.items()
    }
    with StageRunner(plan.scan) as runner:
        return runner.run(Batch({source.id: columns}, 0, 0)).states


def finish(plan: Plan, states: States) -> dict[str, Any]:
    """The values of aggregates, nested as they were asked for, from their states.

    Raises:
        NodeError: An aggregator, or a node behind it, raised.
    """
    row = finish_batch(plan, states)
    return dict(row.to_pylist()[0])


def finish_batch(plan: Plan, states: States) -> pa.RecordBatch:
    """The values of aggregates as a record batch of one row."""
    if plan.finish is None:
        msg = "the plan has no aggregates"
        raise ValueError(msg)
    finished = StateMerger(plan.scan.aggregates).finish(states)
    values: dict[int, Value] = dict(zip(plan.finish.takes, finished, strict=True))
    with StageRunner(plan.finish) as runner:
        return runner.run(Batch(values, 1, None)).outputs[AGGREGATES]


class LiveAggregates(Mapping[str, Any]):
    """The aggregates over the batches so far, nested as they were asked for; reading it reads them now.

    Args:
        state: What the batches so far have added up to.
    """

    def __init__(self, state: AggregateState) -> None:
        self._state = state

    def __getitem__(self, name: str) -> Any:
        return self._state.value()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._state.value())

    def __len__(self) -> int:
        return len(self._state.value())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and self._state.value() == dict(other)

    __hash__ = None  # type: ignore[assignment]  # its values change

    def snapshot(self) -> dict[str, Any]:
        """The values as they are now."""
        return self._state.value()

    def __repr__(self) -> str:
        return f"LiveAggregates({self._state.value()!r})"
