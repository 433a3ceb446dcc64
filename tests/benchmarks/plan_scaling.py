"""Seconds to build, optimise and plan flows of 1,000 and of 10,000 nodes, and how they grow.

    python tests/benchmarks/plan_scaling.py

Growth is the time of ten times as many nodes over the time of as many: 10 is linear. Times are medians of
processor time. The larger flows also pay for passes of the garbage collector over them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam import Processor
from hyped_beam.dsl.outputs import Outputs, graph_of
from hyped_beam.ir.graph import Graph
from hyped_beam.nodes.pack import pack
from hyped_beam.nodes.refs import builder_of
from hyped_beam.passes import optimise
from hyped_beam.plan.planner import make_plan
from hyped_beam.plan.text import plan_text
from hyped_beam.testing import flow_of
from hyped_beam.types.patterns import Int64Column

SMALL, LARGE = 1_000, 10_000
RUNS = 5


class Plus(Processor):
    """The sum of two columns and a step."""

    step: int = 0

    def process(self, left: Int64Column, right: Int64Column) -> Int64Column:
        """Add."""
        return pc.add(pc.add(left, right), self.step)


def chain(size: int) -> Graph:
    """Each node uses the one before and a constant."""
    source = flow_of(pa.schema({"n": pa.int64()}))
    last = source.n
    for _ in range(size):
        last = last + 1
    return graph_of(builder_of(source), Outputs(collect={"last": last}))


def configured(size: int) -> Graph:
    """As `chain`, each node with a configuration of its own, so that none are alike."""
    source = flow_of(pa.schema({"n": pa.int64()}))
    last = source.n
    for step in range(size):
        last = Plus(step=step).call(left=last, right=source.n)
    return graph_of(builder_of(source), Outputs(collect={"last": last}))


def wide(size: int) -> Graph:
    """Half of the nodes are packed to one struct, from which the other half take a field each."""
    source = flow_of(pa.schema({"n": pa.int64()}))
    packed = pack(
        {f"c{step}": Plus(step=step).call(left=source.n, right=source.n) for step in range(size // 2)}
    )
    taken = {f"d{step}": packed[f"c{step}"] + step for step in range(size // 2)}
    return graph_of(builder_of(source), Outputs(collect=taken))


def measured(shape: Callable[[int], Graph], size: int) -> dict[str, float]:
    """Median seconds of each part."""
    parts: dict[str, list[float]] = {"build": [], "optimise": [], "plan": [], "text": []}
    for _ in range(RUNS):
        started = time.process_time()
        graph = shape(size)
        built = time.process_time()
        optimised = optimise(graph)
        lessened = time.process_time()
        plan = make_plan(optimised)
        planned = time.process_time()
        plan_text(plan)
        written = time.process_time()
        times = (built - started, lessened - built, planned - lessened, written - planned)
        for part, seconds in zip(parts, times, strict=True):
            parts[part].append(seconds)
    return {part: statistics.median(seconds) for part, seconds in parts.items()}


def main() -> None:
    """Print the table."""
    print(f"{'flow':<12}{'part':<10}{f'{SMALL:,}':>10}{f'{LARGE:,}':>10}{'growth':>8}{'us/node':>9}")
    for shape in (chain, configured, wide):
        shape(10)
        small, large = measured(shape, SMALL), measured(shape, LARGE)
        small["total"], large["total"] = (sum(found.values()) for found in (small, large))
        for part, seconds in large.items():
            growth, per_node = seconds / small[part], seconds / LARGE * 1e6
            print(
                f"{shape.__name__:<12}{part:<10}{small[part]:>9.3f}s{seconds:>9.3f}s{growth:>8.1f}{per_node:>9.1f}"
            )


if __name__ == "__main__":
    main()
