"""Equal calls make the same rows, though all that they take was written twice."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from hyped_beam import Augmentor, DataFlow, Rows, ops, processor
from hyped_beam.aggregators import Count, Mean
from hyped_beam.errors import DefinitionError
from hyped_beam.nodes.refs import builder_of, scope_of
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types.patterns import Int64Column

TABLE = pa.table(
    {"id": [1, 2, 3, 4, 5], "k": ["a", "b", "a", "b", "b"], "text": ["x y", "", "z", None, "v w"]}
)


@pytest.fixture
def src():
    return flow_of(TABLE.schema)


class Twice(Augmentor):
    """Each row twice."""

    def process(self, value: Int64Column) -> Rows:
        return Rows([row for row in range(len(value)) for _ in range(2)])


@processor(repeatable=False)
def drawn(n: int) -> int:
    return n


def exploded(src: Any) -> Any:
    return ops.explode({"w": src.text.split(), "u": src.text.upper().split()}, with_position=True)


def filtered_again(rows: Any) -> Any:
    return ops.filter(rows, rows.k == "b")


CALLS = {
    "filter": lambda src: ops.filter(src, (src.id * 2 > 4) & (src.k != "c")).id,
    "filter by an aggregate": lambda src: ops.filter(src, src.id > Mean().call(src.id, by=src.k)).id,
    "filter of filtered rows": lambda src: filtered_again(ops.filter(src, src.id > 1)).id,
    "partition": lambda src: ops.partition(src, src.text.length() > 0)[1].id,
    "explode": lambda src: exploded(src).position,
    "explode of an explode": lambda src: ops.explode(ops.explode(src.text.split()).split("x")).length(),
    "sample": lambda src: ops.sample(src, 0.7, seed=3).id,
    "sample by": lambda src: ops.sample(src, 0.7, by=src.k + "x").id,
    "distinct": lambda src: ops.distinct(src, by=src.k.upper()).id,
    "split": lambda src: ops.split(src, by=src.id + 1, a=0.5, b=0.5).a.id,
    "repeat": lambda src: ops.repeat(src, 2).id,
    "groups": lambda src: Count().call(src.id, by=ops.group_by({"u": src.k.upper(), "i": src.id % 2})),
    "groups by a key": lambda src: Count().call(src.id, by=src.k.upper()),
}


@pytest.mark.parametrize("name", CALLS)
def test_values_of_equal_calls_go_together(src, name):
    one, two = CALLS[name](src), CALLS[name](src)
    assert scope_of(one) == scope_of(two)
    both = evaluate(ops.collect({"one": one, "sum": one + two}), TABLE).to_pylist()
    assert both == [{"one": row["one"], "sum": 2 * row["one"]} for row in both]
    assert both


def test_the_first_line_stays(src):
    made = [ops.filter(src, src.id > 3), ops.filter(src, src.id > 3)]
    scope = builder_of(src).scopes[scope_of(made[1])]
    assert scope.name == "filter"
    assert scope.site.line == test_the_first_line_stays.__code__.co_firstlineno + 1


def test_names_do_not_matter_and_nodes_of_ones_own_count(src):
    one = ops.align(src.id, to=Twice().call(src.id + 1))
    two = ops.align(src.id, to=Twice().options(name="again").call(src.id + 1))
    assert scope_of(one) == scope_of(two)


OTHERS = {
    "another condition": lambda src: (ops.filter(src, src.id > 3).id, ops.filter(src, src.id > 4).id),
    "another type": lambda src: (ops.filter(src, src.id > 3).id, ops.filter(src, src.id > 3.0).id),
    "the other part": lambda src: tuple(part.id for part in ops.partition(src, src.id > 3)),
    "another seed": lambda src: tuple(ops.sample(src, 0.5, seed=seed).id for seed in (1, 2)),
    "another list": lambda src: (
        ops.explode(src.text.split()).length(),
        ops.explode(src.text.split("x")).length(),
    ),
    "what runs once": lambda src: tuple(ops.filter(src, drawn.call(src.id) > 3).id for _ in range(2)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_those_of_others_do_not_and_the_error_says_when_they_would(src, name):
    one, two = OTHERS[name](src)
    with pytest.raises(DefinitionError, match="belong to different rows") as raised:
        _ = one + two
    assert "make the rows once and use them for both" in raised.value.hint
    assert "unless a node that they use is not repeatable" in raised.value.hint
    assert raised.value.site.file == __file__


def test_of_a_node_that_runs_once_its_own_value_makes_the_same_rows(src):
    once = drawn.call(src.id)
    assert scope_of(ops.filter(src, once > 3)) == scope_of(ops.filter(src, once > 3))


def test_recording_stays_linear_in_the_number_of_nodes():
    flow = DataFlow(features={"n": "int64"})
    n = flow.src_features.n
    seen = []
    values = builder_of(n)._values
    real = values._nodes.first
    values._nodes.first = lambda *given: seen.append(1) or real(*given)
    for number in range(50):
        rows = ops.filter(n, n > number)
        assert scope_of(rows + 1) == scope_of(ops.filter(n, n > number))
    assert len(seen) <= len(builder_of(n).nodes)
