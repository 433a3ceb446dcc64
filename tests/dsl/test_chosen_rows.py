"""Rows are chosen by a value of theirs, or of rows that they belong to: groups, the dataset, the source."""

from __future__ import annotations

from typing import Any

import datasets
import pytest

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import Count, Max, Mean
from hyped_beam.errors import DefinitionError
from hyped_beam.nodes.refs import builder_of

ROWS = datasets.Dataset.from_dict(
    {
        "id": [0, 1, 2, 3, 4, 5],
        "g": ["a", "b", "a", "a", "c", "b"],
        "t": ["v w", "w", "x", "", "y z", "z"],
    }
)


@pytest.fixture
def flow():
    return DataFlow(features=ROWS.features)


def words(src: Any) -> Any:
    return ops.explode(src.t.split())


def frequent(src: Any) -> Any:
    return Count().call(src.id, by=src.g) > 1


def later(src: Any) -> Any:
    return ops.filter(src, src.id > 1)


CHOSEN = {
    "rows of frequent groups": (lambda src: ops.filter(src, frequent(src)).id, [0, 1, 2, 3, 5]),
    "rows of rare groups": (lambda src: ops.partition(src, frequent(src))[1].id, [4]),
    "rows, by one value for all": (
        lambda src: ops.filter(src, Mean().call(src.id) > 2).id,
        [0, 1, 2, 3, 4, 5],
    ),
    "no rows, by one value for all": (lambda src: ops.filter(src, Mean().call(src.id) > 3).id, []),
    "filtered rows, by their source": (lambda src: ops.filter(later(src), src.id < 5).id, [2, 3, 4]),
    "filtered rows, by their groups": (lambda src: ops.filter(later(src), frequent(src)).id, [2, 3, 5]),
    "exploded rows, by their source": (lambda src: ops.filter(words(src), src.id < 2), ["v", "w", "w"]),
    "exploded rows, not of their source": (
        lambda src: ops.partition(words(src), src.id < 2)[1],
        ["x", "y", "z", "z"],
    ),
    "the source at exploded rows": (lambda src: ops.filter(src.id, words(src) == "w"), [0, 1]),
    "groups, by a value of theirs": (
        lambda src: ops.filter(ops.group_by({"g": src.g}).keys, frequent(src)).g,
        ["a", "b"],
    ),
    "distinct by a value of groups": (
        lambda src: ops.distinct(src, by=Count().call(src.id, by=src.g)).id,
        [0, 1, 4],
    ),
}


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize("how", [{}, {"num_proc": 2}], ids=["one process", "two"])
def test_rows_are_chosen_by_what_they_belong_to(flow, name, how):
    collect, wanted = CHOSEN[name]
    made, _ = flow.apply(ROWS, collect={"of": collect(flow.src_features)}, **how)
    assert made["of"][:] == wanted


@pytest.mark.parametrize("by", ["g", "id"])
def test_rows_are_sampled_and_split_by_what_they_belong_to(flow, by):
    src = flow.src_features
    largest = Max().call(src.id, by=src.g)  # as good as the group itself
    keys = {"g": largest, "id": src.id}
    made, _ = flow.apply(ROWS, collect={"id": ops.sample(src, 0.5, by=keys[by], seed=1).id})
    exploded, _ = flow.apply(
        ROWS, collect={"id": ops.align(src.id, to=ops.sample(words(src), 0.5, by=keys[by], seed=1))}
    )
    counts = [len(text.split()) for text in ROWS["t"]]
    assert 0 < made.num_rows < ROWS.num_rows
    assert exploded["id"][:] == [number for number in made["id"] for _ in range(counts[number])]

    parts, _ = flow.apply(ROWS, collect=ops.split(later(src), by=keys[by], a=0.5, b=0.5))
    of = {name: {ROWS[number][by] for number in part["id"]} for name, part in parts.items()}
    assert not of["a"] & of["b"]
    assert sorted([*parts["a"]["id"], *parts["b"]["id"]]) == [2, 3, 4, 5]


def test_a_fitted_flow_chooses_by_the_groups_that_it_has_seen(flow, tmp_path):
    src = flow.src_features
    flow.fit(ROWS, collect={"id": ops.filter(src, frequent(src)).id}).save(tmp_path / "flow.json")
    served = DataFlow.load(tmp_path / "flow.json")
    assert served.batch_process({"id": [7, 8, 9], "g": ["c", "b", "unseen"]}) == {"id": [8]}


UNREACHABLE = {
    "filter": lambda src: ops.filter(later(src), words(src) == "w"),
    "partition": lambda src: ops.partition(later(src), words(src) == "w"),
    "sample": lambda src: ops.sample(later(src), 0.5, by=words(src)),
    "split": lambda src: ops.split(later(src), by={"word": words(src)}, a=0.5, b=0.5),
    "distinct": lambda src: ops.distinct(later(src), by=words(src)),
}


@pytest.mark.parametrize("name", UNREACHABLE)
def test_other_rows_choose_none(flow, name):
    src = flow.src_features
    later(src)
    words(src)
    before = list(builder_of(src).scopes)
    with pytest.raises(
        DefinitionError, match=f"{name} belong to different rows: 'ref' has .* filter"
    ) as caught:
        UNREACHABLE[name](src)
    assert "hint: " in str(caught.value)
    assert builder_of(src).scopes == before


@pytest.mark.parametrize("choose", [ops.filter, ops.partition, ops.distinct])
def test_what_chooses_is_of_the_same_flow(flow, choose):
    other = DataFlow(features={"yes": "bool"}).src_features
    with pytest.raises(DefinitionError, match="belong to different flows"):
        choose(flow.src_features, other.yes)


def test_what_is_aligned_to_other_rows_has_a_hint(flow):
    src = flow.src_features
    with pytest.raises(DefinitionError, match=r"(?s)do not belong to .*hint: .*ops.each"):
        ops.align(words(src), to=src)
