"""The values of aggregates: finished from their states, as a snapshot or as a mapping that follows them."""

from __future__ import annotations

import base64
import os
import pickle
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cloudpickle
import pyarrow as pa

from hyped_beam.errors import DefinitionError
from hyped_beam.execute.batch import Batch
from hyped_beam.execute.bindings import PriorResults
from hyped_beam.execute.stage import StageRunner
from hyped_beam.execute.states import StateTrees
from hyped_beam.plan.planner import AGGREGATES, Plan
from hyped_beam.tasks.reduce import reduce_states


@dataclass
class Shard:
    """What the batches of one shard have added up to.

    Attributes:
        trees: Their states.
        parts: Their number.
    """

    trees: StateTrees
    parts: int = 0


class AggregateState:
    """What the batches of the latest iteration have added up to, shard by shard.

    Args:
        plan: The plan whose aggregates they are.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._shards: dict[int, Shard] = {}
        self._iteration: object = None
        self._process = os.getpid()
        self._lock = threading.Lock()

    def _no_states(self) -> StateTrees:
        return StateTrees(self.plan.scan.combines)

    def add(self, states: Sequence[pa.RecordBatch], shard: int = 0) -> None:
        """Add the states of the next batch of a shard."""
        with self._lock:
            into = self._shards.setdefault(shard, Shard(self._no_states()))
            into.trees.add((0, into.parts), states)
            into.parts += 1

    def begin(self, iteration: object, shard: int, saved: str | None) -> None:
        """Start with a shard: of the iteration that is under way, or of a new one, which starts anew.

        Args:
            iteration: What the shards of one iteration have in common.
            shard: The number of the shard in it; one that has been started already starts a new iteration.
            saved: What `save` wrote down, to go on from there.
        """
        with self._lock:
            if iteration is not self._iteration or shard in self._shards:
                self._shards = {}
                self._iteration = iteration
            self._shards[shard] = self._restored(saved)

    def _restored(self, saved: str | None) -> Shard:
        trees = self._no_states()
        if saved is None:
            return Shard(trees)
        parts, encoded = saved.split(" ")
        trees.add_bytes(base64.b64decode(encoded))
        return Shard(trees, int(parts))

    def replace(self, states: bytes) -> None:
        """Take what a job has added up in place of the latest iteration.

        Args:
            states: The states of the job's ranges, as `StateTrees.to_bytes` wrote them down.
        """
        trees = self._no_states()
        trees.add_bytes(states)
        with self._lock:
            self._iteration = None
            self._shards = {0: Shard(trees, 1)}

    def save(self, shard: int) -> str:
        """What the batches of a shard have added up to, as text."""
        with self._lock:
            held = self._shards[shard]
            return f"{held.parts} " + base64.b64encode(held.trees.to_bytes()).decode()

    def value(self) -> dict[str, Any]:
        """The values, nested as they were asked for.

        Raises:
            DefinitionError: This process, such as a loader's worker, is not the one that it was made in.
            NodeError: An aggregator raised.
        """
        states = self.states()
        return values_of(self.plan, empty_states(self.plan) if states is None else states)

    def states(self) -> list[pa.RecordBatch] | None:
        """The states of each combine over all batches, in the order of the source; None before the first.

        Raises:
            DefinitionError: This process, such as a loader's worker, is not the one that it was made in.
        """
        if self._process != os.getpid():
            raise DefinitionError(
                "aggregates are known only in the process that made them, this is a worker of it",
                hint="read them in the main process, of a dataset that is iterated over there",
            )
        with self._lock:
            shards = [held for _, held in sorted(self._shards.items()) if held.parts]
            together = self._no_states()
            for number, held in enumerate(shards):
                together.add((0, number), held.trees.total())
            return together.total() if shards else None

    def __reduce__(self) -> tuple[Any, ...]:
        return _elsewhere, (cloudpickle.dumps(self.plan),)


def _elsewhere(plan: bytes) -> AggregateState:
    """The state in another process, which adds up what is computed there, but is not the one asked about."""
    state = AggregateState(pickle.loads(plan))  # noqa: S301 - made by the loader's own parent
    state._process = -1  # noqa: SLF001 - of the same class
    return state


def empty_states(plan: Plan) -> list[pa.RecordBatch]:
    """The states of no rows."""
    source = plan.graph.source
    from hyped_beam.types import features

    columns = {name: pa.nulls(0, features.to_arrow(feature)) for name, feature in source.feature.items()}
    with StageRunner(plan.scan) as runner:
        return runner.run(Batch({source.id: columns}, 0)).states


def values_of(plan: Plan, states: Sequence[pa.RecordBatch]) -> dict[str, Any]:
    """The values of aggregates, nested as they were asked for, from their states.

    Raises:
        NodeError: An aggregator, or a node behind it, raised.
    """
    if plan.reduce is None:
        msg = "the plan has no aggregates"
        raise ValueError(msg)
    row = reduce_states(plan.scan.combines, plan.reduce, states, PriorResults()).outputs[AGGREGATES]
    return dict(row.to_pylist()[0])


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


def state_of(aggregates: LiveAggregates) -> AggregateState:
    """What live aggregates are read from."""
    return aggregates._state  # noqa: SLF001 - of the same module
