"""Nodes that are not repeatable run once, however often the source is scanned."""

from __future__ import annotations

from pathlib import Path

import datasets
import pyarrow.compute as pc
import pytest

from hyped_beam import DataFlow, Processor, ops
from hyped_beam.aggregators import Max, Mean, Sum
from hyped_beam.types.patterns import Int64Column

ROWS = 60
NUMBERS = datasets.concatenate_datasets(
    [
        datasets.Dataset.from_dict({"k": list("ab" * 10), "n": list(range(start, start + 20))})
        for start in range(0, ROWS, 20)
    ]
)


class Stamped(Processor):
    """Notes in a file how many rows it saw."""

    path: str
    repeatable = False

    def process(self, value: Int64Column) -> Int64Column:
        with Path(self.path).open("a") as file:
            file.write(f"{len(value)}\n")
        return pc.add(value, 1)


@pytest.fixture
def flow():
    return DataFlow(features=NUMBERS.features)


def seen(path: Path) -> int:
    return sum(map(int, path.read_text().split()))


@pytest.mark.parametrize("num_proc", [1, 2])
def test_of_rows(flow, tmp_path, num_proc):
    src, path = flow.src_features, tmp_path / "rows"
    stamped = Stamped(path=str(path)).call(src.n)
    off = stamped - Mean().call(stamped, by=src.k)
    found, _ = flow.apply(NUMBERS, collect={"off": off, "most": Max().call(off)}, num_proc=num_proc)
    assert seen(path) == ROWS
    assert found["off"][:] == [n - 29 - n % 2 for n in range(ROWS)]
    assert found["most"][:] == [29.0] * ROWS


def test_of_filtered_and_exploded_rows(flow, tmp_path):
    src, path = flow.src_features, tmp_path / "rows"
    some = ops.filter(src, src.n % 3 == 0)
    stamped = Stamped(path=str(path)).call(some.n)
    again = ops.explode(ops.collect([stamped, some.n]))
    collect = {"n": some.n, "x": again - Max().call(again), "sum": Sum().call(stamped)}
    found, _ = flow.apply(NUMBERS, collect=collect)
    assert seen(path) == ROWS / 3
    wanted = [n for n in range(0, ROWS, 3) for _ in range(2)]
    assert found["n"][:] == wanted
    assert found["x"][:] == [n + (at % 2 == 0) - 58 for at, n in enumerate(wanted)]
    assert set(found["sum"]) == {sum(range(0, ROWS, 3)) + ROWS // 3}


def test_that_decides_about_rows(flow, tmp_path):
    src, path = flow.src_features, tmp_path / "rows"
    stamped = Stamped(path=str(path)).call(src.n)
    near = ops.filter(src, stamped < Mean().call(stamped))
    found, _ = flow.apply(NUMBERS, collect={"n": near.n, "x": stamped - Max().call(near.n)})
    assert seen(path) == ROWS
    assert found["n"][:] == list(range(30))
    assert found["x"][:] == [n + 1 - 29 for n in range(30)]


def test_of_groups(flow, tmp_path):
    src, path = flow.src_features, tmp_path / "rows"
    total = Sum().call(src.n, by=src.k)
    stamped = Stamped(path=str(path)).call(total)
    found, _ = flow.apply(NUMBERS, collect={"x": src.n - stamped, "y": Max().call(src.n - stamped)})
    assert seen(path) == 2
    sums = [sum(range(start, ROWS, 2)) + 1 for start in (0, 1)]
    assert found["x"][:] == [n - sums[n % 2] for n in range(ROWS)]
    assert set(found["y"]) == {58 - sums[0]}
