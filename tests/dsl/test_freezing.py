"""Freezing: live aggregates become constants, with the values that they had, and stay so."""

from __future__ import annotations

import struct
import subprocess
import sys
from itertools import pairwise

import datasets
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyped_beam import DataFlow, NodeError, ops, processor
from hyped_beam.aggregators import Count, Max, Mean, Min, Std, Sum, Vocabulary
from hyped_beam.errors import DefinitionError, DefinitionTypeError
from hyped_beam.io.writers.json import JsonDatasetWriter

FEATURES = datasets.Features({"k": datasets.Value("string"), "n": datasets.Value("float64")})
ROWS = {
    "k": ["b", "a", None, "b", "a", "c"],
    "n": [1.5, -2.0, 4.0, 0.25, None, 8.0],
}


def bits(rows):
    """Values in a form in which no two of different bits are equal."""
    return {
        name: [struct.pack("<d", value) if isinstance(value, float) else value for value in column]
        for name, column in rows.items()
    }


class Asked:
    """A flow with aggregates of all kinds, and rows that need them."""

    def __init__(self) -> None:
        self.flow = DataFlow(features=FEATURES)
        src = self.src = self.flow.src_features
        n = src.n * 3
        per_group = Mean().call(n, by=src.k)
        shares = Count().call(src.n, by={"k": src.k}) / Count().call(src.n)
        some = ops.filter(src, src.n > 0)
        self.rows = {
            "z": (n - Mean().call(n)) / Std().call(n),
            "off": n - per_group,
            "share": shares,
            "above": n - Min().call(some.n),
            "known": Vocabulary().call(src.k).index(src.k),
        }
        self.aggregators = {
            "mean": Mean().call(src.n * 3),  # the same once more
            "std": Std().call(n),
            "groups": Max().call(per_group),
            "count": Count().call(src.n),
            "shares": Max().call(shares),
            "least": Min().call(some.n),
            "words": Vocabulary().call(src.k).length(),
            "unused": Sum().call(src.n),
        }

    def built(self, *batches):
        built, aggregates = self.flow.build(collect={"n": self.src.n}, aggregators=self.aggregators)
        for batch in batches:
            built.batch_process(batch)
        return built, aggregates


def part(start, stop):
    return {name: column[start:stop] for name, column in ROWS.items()}


def test_a_frozen_flow_gives_what_a_fitted_one_gives_bit_for_bit():
    asked = Asked()
    fitted = asked.flow.fit(datasets.Dataset.from_dict(ROWS, FEATURES), collect=asked.rows)
    for cuts in ([0, 6], [0, 1, 6], [0, 2, 2, 5, 6]):  # whose sums are exact
        _, aggregates = asked.built(*(part(*cut) for cut in pairwise(cuts)))
        frozen = asked.flow.freeze(aggregates, collect=asked.rows)
        assert bits(frozen.batch_process(ROWS)) == bits(fitted.batch_process(ROWS))


@settings(max_examples=20)
@given(
    st.lists(st.floats(-1e6, 1e6) | st.none(), min_size=1, max_size=30),
    st.lists(st.integers(0, 30), max_size=4),
)
def test_constants_are_the_values_that_the_live_ones_have(numbers, cuts):
    flow = DataFlow(features={"n": "float64"})
    n = flow.src_features.n
    mean, least = Mean().call(n), Min().call(n)
    built, aggregates = flow.build(collect={"n": n}, aggregators={"mean": mean, "least": least})
    cuts = sorted({0, len(numbers), *(cut for cut in cuts if cut < len(numbers))})
    for start, stop in pairwise(cuts):
        built.batch_process({"n": numbers[start:stop]})
    frozen = flow.freeze(aggregates, collect={"n": n, "mean": mean, "least": least})
    (row,) = frozen.batch_process(pa.table({"n": [0.0]})).to_pylist()
    assert bits({name: [row[name]] for name in aggregates}) == bits(
        {name: [value] for name, value in aggregates.items()}
    )


def test_more_batches_change_nothing_of_a_frozen_flow():
    asked = Asked()
    built, aggregates = asked.built(ROWS)
    frozen = asked.flow.freeze(aggregates, collect=asked.rows)
    before = frozen.batch_process(ROWS)
    built.batch_process({"k": ["z"], "n": [1e6]})
    assert frozen.batch_process(ROWS) == before
    later = asked.flow.freeze(aggregates, collect=asked.rows)
    assert later.batch_process(ROWS) != before


@pytest.mark.parametrize("shards", [1, 3])
def test_of_an_iterable_dataset_in_the_order_of_its_rows(shards):
    asked = Asked()
    data = datasets.Dataset.from_dict(ROWS, FEATURES)
    lazily, aggregates = asked.flow.apply(
        data.to_iterable_dataset(num_shards=shards),
        collect={"n": asked.src.n},
        aggregators=asked.aggregators,
        batch_size=2,
    )
    assert len(list(lazily)) == 6
    frozen = asked.flow.freeze(aggregates, collect=asked.rows)
    fitted = asked.flow.fit(data, collect=asked.rows)
    assert bits(frozen.batch_process(ROWS)) == bits(fitted.batch_process(ROWS))


def test_what_a_job_has_added_up(tmp_path):
    asked = Asked()
    data = datasets.Dataset.from_dict(ROWS, FEATURES)
    applied = asked.flow.apply(
        data.to_iterable_dataset(), collect={"n": asked.src.n}, aggregators=asked.aggregators
    )
    JsonDatasetWriter(str(tmp_path / "out")).consume(applied)
    frozen = asked.flow.freeze(applied[1], collect=asked.rows)
    fitted = asked.flow.fit(data, collect=asked.rows)
    assert bits(frozen.batch_process(ROWS)) == bits(fitted.batch_process(ROWS))


def test_saved_and_loaded_in_another_process(tmp_path):
    asked = Asked()
    frozen = asked.flow.freeze(asked.built(ROWS)[1], collect=asked.rows)
    path = tmp_path / "frozen.json"
    frozen.save(path)
    script = f"from hyped_beam import DataFlow\nprint(DataFlow.load({str(path)!r}).batch_process({ROWS!r}))"
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert run.stdout == f"{frozen.batch_process(ROWS)}\n"
    lazily, _ = DataFlow.load(path).apply(datasets.Dataset.from_dict(ROWS, FEATURES).to_iterable_dataset())
    assert [row["off"] for row in lazily] == frozen.batch_process(ROWS)["off"]


def test_keys_that_were_not_seen_are_null_or_an_error():
    asked = Asked()
    _, aggregates = asked.built(ROWS)
    new = {"k": ["a", "new"], "n": [1.0, 2.0]}
    frozen = asked.flow.freeze(aggregates, collect={"off": asked.rows["off"]})
    assert frozen.batch_process(new)["off"] == [3.0 - -6.0, None]
    strict = asked.flow.freeze(aggregates, collect={"off": asked.rows["off"]}, unseen="error")
    with pytest.raises(NodeError, match="not fitted on"):
        strict.batch_process(new)
    with pytest.raises(DefinitionTypeError, match='unseen= takes "null" or "error"'):
        asked.flow.freeze(aggregates, collect=asked.rows, unseen="zero")


def test_rows_that_need_none_are_as_they_are():
    asked = Asked()
    _, aggregates = asked.built(ROWS)
    frozen = asked.flow.freeze(aggregates, collect={"twice": asked.src.n * 2})
    assert frozen.batch_process({"n": [1.0]}) == {"twice": [2.0]}


def test_a_built_flow_freezes_its_own_rows():
    flow = DataFlow(features=FEATURES)
    n = flow.src_features.n
    mean = Mean().call(n)
    counted, aggregates = flow.build(collect={"n": n}, aggregators={"mean": mean})
    counted.batch_process(ROWS)
    rows, _ = flow.build(collect={"off": n - mean})
    assert rows.freeze(aggregates).batch_process({"n": [2.35]}) == {"off": [0.0]}


# -------------------------------------------------------------------------------------------------- refused


def test_before_the_first_batch_there_is_nothing_to_freeze():
    asked = Asked()
    built, aggregates = asked.built()
    with pytest.raises(DefinitionError, match="of no rows: no batch was computed yet") as raised:
        asked.flow.freeze(aggregates, collect=asked.rows)
    assert "run batches first" in raised.value.hint
    built.batch_process({"k": [], "n": []})  # a batch without rows was computed
    assert asked.flow.freeze(aggregates, collect={"d": asked.rows["z"]}).batch_process({"n": [1.0]}) == {
        "d": [None]
    }


def test_what_is_not_held_is_named_with_its_line():
    flow = DataFlow(features=FEATURES)
    src = flow.src_features
    _, aggregates = built = flow.build(collect={"n": src.n}, aggregators={"mean": Mean().call(src.n)})
    built[0].batch_process(ROWS)
    line = sys._getframe().f_lineno + 1
    least, per_group = Min().call(src.n), Mean().call(src.n, by=src.k)
    cases = [
        ({"d": src.n - least}, f"need 'min' .*test_freezing.py:{line}.*do not hold", "aggregators={...}"),
        ({"d": src.n - per_group}, f"need 'mean' .*test_freezing.py:{line}.*do not hold", "made of it"),
        (
            {"d": src.n / Max().call(src.n - Mean().call(src.n))},
            "need 'max' .*a scan of its own",
            "fit the flow",
        ),
    ]
    for collect, message, hint in cases:
        with pytest.raises(DefinitionError, match=message) as raised:
            flow.freeze(aggregates, collect=collect)
        assert hint in raised.value.hint
        assert raised.value.site.file == __file__
    other = Count().call(per_group)  # with which the groups are held
    built, aggregates = flow.build(collect={"n": src.n}, aggregators={"groups": other})
    built.batch_process(ROWS)
    flow.freeze(aggregates, collect={"d": src.n - per_group})


def test_others_aggregates_are_refused():
    asked, other = Asked(), Asked()
    _, aggregates = other.built(ROWS)
    with pytest.raises(DefinitionError, match="those of another flow"):
        asked.flow.freeze(aggregates, collect=asked.rows)


@pytest.mark.parametrize(
    ("given", "hint"),
    [({"mean": 1.0}, "flow.fit"), (None, "flow.fit"), (3, "flow.fit"), ("splits", "aggregates['train']")],
)
def test_what_is_not_live_is_refused(given, hint):
    asked = Asked()
    if given == "splits":
        data = datasets.IterableDatasetDict(
            {"train": datasets.Dataset.from_dict(ROWS, FEATURES).to_iterable_dataset()}
        )
        _, given = asked.flow.apply(data, collect={"n": asked.src.n}, aggregators=asked.aggregators)
    with pytest.raises(DefinitionTypeError, match=r"freeze\(\) takes the live aggregates") as raised:
        asked.flow.freeze(given, collect=asked.rows)
    assert hint in raised.value.hint


def test_nodes_that_are_alike_but_run_once_are_told_apart():
    calls = []

    @processor(repeatable=False)
    def drawn(n: float) -> float:
        calls.append(n)
        return n + len(calls)

    flow = DataFlow(features={"n": "float64"})
    n = flow.src_features.n
    one, other = Sum().call(drawn.call(n)), Sum().call(drawn.call(n))
    built, aggregates = flow.build(collect={"n": n}, aggregators={"one": one})
    built.batch_process({"n": [1.0]})
    assert flow.freeze(aggregates, collect={"d": n + one}).batch_process({"n": [0.0]}) == {"d": [2.0]}
    with pytest.raises(DefinitionError, match="which the aggregates do not hold"):
        flow.freeze(aggregates, collect={"d": n + other})
