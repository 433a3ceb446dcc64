"""An iterable dataset goes on behind any row, in the same object and in a new one."""

from __future__ import annotations

import datasets
import pytest

from hyped_beam import DataFlow
from hyped_beam.aggregators import Count

ROWS = 30
DATA = datasets.Dataset.from_dict({"n": list(range(ROWS))})


def applied(batch_size):
    flow = DataFlow(features=DATA.features)
    src = flow.src_features
    return flow.apply(
        DATA.to_iterable_dataset(num_shards=2),
        collect={"m": src.n + 1},
        aggregators={"rows": Count().call(src.n)},
        batch_size=batch_size,
    )


def state_behind(dataset, rows):
    seen, state = [], dataset.state_dict()
    for row in dataset:
        if len(seen) == rows:
            break
        seen.append(row["m"])
        state = dataset.state_dict()
    return seen, state


@pytest.mark.parametrize("batch_size", [4, 1000])
@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 14, 15, 16, ROWS])
@pytest.mark.parametrize("again", [False, True], ids=["the same object", "a new one"])
def test_nothing_is_lost_or_repeated(batch_size, rows, again):
    dataset, aggregates = applied(batch_size)
    seen, state = state_behind(dataset, rows)
    if again:
        dataset, aggregates = applied(batch_size)
    dataset.load_state_dict(state)
    assert seen + [row["m"] for row in dataset] == list(range(1, ROWS + 1))
    assert dict(aggregates) == {"rows": ROWS}
