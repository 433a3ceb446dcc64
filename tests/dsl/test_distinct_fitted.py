"""Distinct rows are those of the data at hand: no fitted flow, and no batch, knows them."""

from __future__ import annotations

import inspect

import datasets
import pytest

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import Count, First, Mean
from hyped_beam.errors import DefinitionError

TRAIN = datasets.Dataset.from_dict({"id": [0, 1, 2, 3, 4, 5], "g": list("aabbcc")})
TEST = datasets.Dataset.from_dict({"id": [100, 101, 102, 103, 104], "g": list("cczzb")})
BOTH = datasets.DatasetDict(train=TRAIN, test=TEST)


@pytest.fixture
def flow():
    return DataFlow(features=TRAIN.features)


def distinct(src):
    return ops.distinct(src, by=src.g)


LINE = inspect.getsourcelines(distinct)[1] + 1


def refused(call):
    with pytest.raises(DefinitionError) as caught:
        call()
    assert f"test_distinct_fitted.py:{LINE}) looks at all rows" in str(caught.value)
    return str(caught.value)


def frozen(flow, collect):
    built, live = flow.build(
        collect={"id": flow.src_features.id}, aggregators={"n": Count().call(flow.src_features.id)}
    )
    built.batch_process(TRAIN[:3])
    return flow.freeze(live, collect=collect)


FITTED = {
    "fit": lambda flow, collect: flow.fit(TRAIN, collect=collect),
    "fit_on": lambda flow, collect: flow.apply(BOTH, collect=collect, fit_on="train"),
    "freeze": frozen,
}


@pytest.mark.parametrize("name", FITTED)
def test_a_fitted_flow_has_no_distinct_rows(flow, name):
    unique = distinct(flow.src_features)
    told = refused(lambda: FITTED[name](flow, {"id": unique.id}))
    assert 'fit_on="each"' in told
    # Beside other aggregates, too, and where a condition leads to it.
    more = ops.filter(unique, unique.id > Mean().call(flow.src_features.id))
    refused(lambda: FITTED[name](flow, {"id": more.id}))


SOME_ROWS = {
    "batch_process": lambda flow, collect: flow.batch_process(TRAIN[:3], collect=collect),
    "as_transform": lambda flow, collect: flow.as_transform(collect=collect),
    "iterable": lambda flow, collect: flow.apply(TRAIN.to_iterable_dataset(), collect=collect),
    "preview": lambda flow, collect: flow.preview(TRAIN, n=3, collect=collect),
}


@pytest.mark.parametrize("name", SOME_ROWS)
def test_some_of_the_rows_are_not_enough(flow, name):
    told = refused(lambda: SOME_ROWS[name](flow, {"id": distinct(flow.src_features).id}))
    assert "flow.fit(" not in told
    assert "use flow.apply(ds, ...) or a job" in told


def test_each_dataset_has_its_own(flow):
    unique = distinct(flow.src_features)
    made, _ = flow.apply(BOTH, collect={"id": unique.id}, fit_on="each")
    assert {name: one["id"][:] for name, one in made.items()} == {"train": [0, 2, 4], "test": [100, 102, 104]}


def test_a_flow_is_saved_unfitted(flow, tmp_path):
    flow.save(tmp_path / "flow.json", collect={"id": distinct(flow.src_features).id})
    loaded = DataFlow.load(tmp_path / "flow.json")
    assert loaded.apply(TEST)[0]["id"][:] == [100, 102, 104]
    with pytest.raises(DefinitionError, match="looks at all rows"):
        loaded.fit(TRAIN)


def test_what_distinct_rows_come_to_is_a_value(flow):
    src = flow.src_features
    unique = distinct(src)
    fitted = flow.fit(
        TRAIN, collect={"off": src.id - Mean().call(unique.id), "first": First().call(src.id, by=src.g)}
    )
    assert fitted.batch_process({"id": [7], "g": ["b"]}) == {"off": [5.0], "first": [2]}
    with pytest.raises(DefinitionError, match="the rows need 'mean' of all rows"):
        flow.batch_process(TRAIN[:3], collect={"off": src.id - Mean().call(unique.id)})
