"""Running an aggregator by groups, over any cut into batches and any tree of merges."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hyped_beam import Groups
from hyped_beam.nodes.aggregator import AggregatorRuntime
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import flow_of
from hyped_beam.types import features


class Running:
    """An aggregator over columns, with its states as they are merged.

    Args:
        node: The aggregator.
        columns: Its inputs.
    """

    def __init__(self, node: Any, columns: Mapping[str, pa.Array]) -> None:
        self.columns = columns
        src = flow_of(pa.schema({name: column.type for name, column in columns.items()}))
        given = {name: feature_of(src[name]) for name in columns}
        ref = node.call(**{name: src[name] for name in columns})
        value = features.to_arrow(feature_of(ref))
        self.runtime = AggregatorRuntime(node, node.state_type(given), value)

    def update(self, first: int, last: int, ids: np.ndarray | None) -> tuple[np.ndarray, pa.StructArray]:
        """The groups of some rows, and their states."""
        rows = {name: column.slice(first, last - first) for name, column in self.columns.items()}
        if ids is None:
            return np.zeros(1, np.int64), self.runtime.update(rows, Groups.whole(last - first))
        there, numbers = np.unique(ids[first:last], return_inverse=True)
        return there, self.runtime.update(rows, Groups(len(there), pa.array(numbers.astype(np.int64))))

    def merge(self, parts: Sequence[tuple[np.ndarray, pa.StructArray]]) -> tuple[np.ndarray, pa.StructArray]:
        """The states of neighbours as one; those of a group stand in their order."""
        there, numbers = np.unique(np.concatenate([groups for groups, _ in parts]), return_inverse=True)
        states = pa.concat_arrays([states for _, states in parts])
        return there, self.runtime.merge(states, Groups(len(there), pa.array(numbers.astype(np.int64))))

    def finish(self, n: int, part: tuple[np.ndarray, pa.StructArray]) -> pa.Array:
        """The value of each group; that of a group without rows is that of no rows."""
        groups, states = part
        nothing = self.runtime.update(
            {name: column.slice(0, 0) for name, column in self.columns.items()},
            Groups(n, pa.array([], pa.int64())),
        )
        _, states = self.merge([(np.arange(n), nothing), (groups, states)])
        return self.runtime.finish(states)


def run(
    node: Any,
    columns: Mapping[str, pa.Array],
    ids: Sequence[int] | None = None,
    n: int = 1,
    seed: int | None = None,
) -> pa.Array:
    """The value of each group.

    Args:
        node: The aggregator.
        columns: Its inputs.
        ids: The group of each row; None for one group.
        n: The number of groups.
        seed: Says how rows are cut into batches, and in which tree these are merged; None for one batch.
    """
    running = Running(node, columns)
    rows = len(next(iter(columns.values())))
    numbers = None if ids is None else np.array(ids, np.int64)
    if seed is None:
        return running.finish(n, running.update(0, rows, numbers))
    chance = random.Random(seed)  # noqa: S311 - no secrets
    cuts = sorted(chance.randint(0, rows) for _ in range(chance.randint(0, 6)))
    bounds = zip([0, *cuts], [*cuts, rows], strict=True)
    parts = [running.update(first, last, numbers) for first, last in bounds]
    while len(parts) > 1:
        at = chance.randrange(len(parts) - 1)
        width = chance.randint(2, len(parts) - at)
        parts[at : at + width] = [running.merge(parts[at : at + width])]
    return running.finish(n, parts[0])


def bits(value: Any) -> Any:
    """A value in a form that is equal only for the same bits."""
    if isinstance(value, pa.Array):
        return [bits(item) for item in value.to_pylist()]
    if isinstance(value, float):
        return "nan" if value != value else struct.pack("<d", value)  # noqa: PLR0124 - NaN is not itself
    if isinstance(value, dict):
        return {name: bits(item) for name, item in value.items()}
    return [bits(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(name="run", scope="session")
def _run():
    return run


@pytest.fixture(name="bits", scope="session")
def _bits():
    return bits
