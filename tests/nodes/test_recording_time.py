"""Recording takes no longer in large flows: the work for each call does not grow with the calls before."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pyarrow as pa
import pytest

from hyped_beam import ops
from hyped_beam.aggregators import Count
from hyped_beam.nodes.refs import builder_of
from hyped_beam.testing import flow_of


def calls_in(run: Callable[[], object]) -> int:
    """How many Python functions are called: a measure of work that no other process disturbs."""
    count = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(trace)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


RECORDED = {
    "filter": lambda src, number: ops.filter(src, src.n > number),
    "filter of filtered rows": lambda src, number: ops.filter(ops.filter(src, src.n > number), src.n < 5),
    "explode": lambda src, number: ops.explode((src.t + str(number)).split()),
    "distinct": lambda src, number: ops.distinct(src, by=src.n + number),
    "groups": lambda src, number: src.n - Count().call(src.n, by=src.n + number),
}


@pytest.mark.parametrize("name", RECORDED)
def test_the_last_call_takes_no_longer_than_the_first(name):
    src = flow_of(pa.schema({"n": pa.int64(), "t": pa.string()}))
    record: Any = RECORDED[name]

    def some(first: int) -> None:
        for number in range(first, first + 20):
            record(src, number)

    some(0)
    early = calls_in(lambda: some(20))
    for first in range(40, 300, 20):
        some(first)
    assert calls_in(lambda: some(300)) < 1.5 * early

    names = [scope.name for scope in builder_of(src).scopes]
    assert len(set(names)) == len(names)
