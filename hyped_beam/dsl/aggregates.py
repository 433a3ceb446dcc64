"""The values of aggregates: finished from their states, as a snapshot or as a mapping that follows them."""

from __future__ import annotations

import base64
import os
import pickle
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cloudpickle
import pyarrow as pa

from hyped_beam.dsl.outputs import AGGREGATES
from hyped_beam.errors import DefinitionError
from hyped_beam.execute.stage import Batch, StageRunner
from hyped_beam.execute.states import StateMerger, States, StateTree, from_bytes, to_bytes
from hyped_beam.plan.planner import Plan
from hyped_beam.types.arrays import Value


@dataclass
class Shard:
    """What the batches of one shard have added up to.

    Attributes:
        tree: Their states.
        parts: Their number.
    """

    tree: StateTree
    parts: int = 0


class AggregateState:
    """What the batches of the latest iteration have added up to, shard by shard.

    Args:
        plan: The plan whose aggregates they are.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.merger = StateMerger(plan.scan.aggregates)
        self._shards: dict[int, Shard] = {}
        self._iteration: object = None
        self._process = os.getpid()
        self._lock = threading.Lock()

    def add(self, states: States, shard: int = 0) -> None:
        """Add the states of the next batch of a shard."""
        with self._lock:
            into = self._shards.setdefault(shard, Shard(StateTree(self.merger)))
            into.tree.add((0, into.parts), states)
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
        tree = StateTree(self.merger)
        if saved is None:
            return Shard(tree)
        parts, encoded = saved.split(" ")
        tree.add_batch(from_bytes(base64.b64decode(encoded)))
        return Shard(tree, int(parts))

    def replace(self, tree: pa.RecordBatch) -> None:
        """Take what a job has added up in place of the latest iteration.

        Args:
            tree: The states of the job's ranges, as `StateTree.to_batch` wrote them down.
        """
        held = StateTree(self.merger)
        held.add_batch(tree)
        with self._lock:
            self._iteration = None
            self._shards = {0: Shard(held, tree.num_rows)}

    def save(self, shard: int) -> str:
        """What the batches of a shard have added up to, as text."""
        with self._lock:
            held = self._shards[shard]
            return f"{held.parts} " + base64.b64encode(to_bytes(held.tree.to_batch())).decode()

    def value(self) -> dict[str, Any]:
        """The values, nested as they were asked for.

        Raises:
            DefinitionError: This process, such as a loader's worker, is not the one that it was made in.
            NodeError: An aggregator raised.
        """
        if self._process != os.getpid():
            raise DefinitionError(
                "aggregates are known only in the process that made them, this is a worker of it",
                hint="read them in the main process, of a dataset that is iterated over there",
            )
        with self._lock:
            totals = [
                self._shards[shard].tree.total()
                for shard in sorted(self._shards)
                if self._shards[shard].parts
            ]
            states = self.merger.merge(totals) if totals else empty_states(self.plan)
        return finish(self.plan, states)

    def __reduce__(self) -> tuple[Any, ...]:
        return _elsewhere, (cloudpickle.dumps(self.plan),)


def _elsewhere(plan: bytes) -> AggregateState:
    """The state in another process, which adds up what is computed there, but is not the one asked about."""
    state = AggregateState(pickle.loads(plan))  # noqa: S301 - made by the loader's own parent
    state._process = -1  # noqa: SLF001 - of the same class
    return state


def empty_states(plan: Plan) -> States:
    """The states of no rows."""
    source = plan.graph.source
    from hyped_beam.types import features

    columns = {name: pa.nulls(0, features.to_arrow(feature)) for name, feature in source.feature.items()}
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
