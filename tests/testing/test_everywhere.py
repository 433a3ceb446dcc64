"""`assert_same_everywhere`: which entrances it compares, and what it says of those that differ."""

from __future__ import annotations

import itertools
import math

import datasets
import pyarrow as pa
import pytest

from hyped_beam import DataFlow, Processor, ops, processor
from hyped_beam.aggregators import Count, Mean, Sum
from hyped_beam.testing import assert_same_everywhere
from hyped_beam.testing.differences import Rows, rows_differ, values_differ
from hyped_beam.types import features
from hyped_beam.types.patterns import Float64Column, Int64Column

PARTS = [
    {"k": ["a", "b", None], "x": [0.1, -0.0, math.nan]},
    {"k": ["a", "c"], "x": [0.7, None]},
]
DATA = datasets.concatenate_datasets([datasets.Dataset.from_dict(part) for part in PARTS])
OF_ALL_ROWS = ["apply(Dataset)", "apply(Dataset, batch_size=7)", "apply(DatasetDict)"]
OF_ALL_ROWS += ["job on local", "job on direct", "command line"]
OF_BATCHES = [
    "batch_process",
    "build",
    "abatch_process",
    "apply(IterableDataset)",
    "apply(IterableDatasetDict)",
]
OF_BATCHES += ["consume", "as_transform"]
BRIEFLY = {"apply(Dataset)", "job on local", "command line", *OF_BATCHES[:-1]}


@pytest.fixture
def flow() -> DataFlow:
    return DataFlow(features=DATA.features)


def test_a_flow_of_rows_is_compared_everywhere(flow):
    x = flow.src_features.x
    told = assert_same_everywhere(
        flow,
        DATA,
        {"up": x + 1, "k": flow.src_features.k},
        {"m": Mean().call(x)},
        runners=["local", "direct"],
    )
    again = {f"{form}: {name}" for form in ("saved and loaded", "pickled") for name in BRIEFLY}
    assert set(told.compared) == {*OF_ALL_ROWS, *OF_BATCHES} | again
    assert not told.left_out


def test_a_flow_whose_rows_need_aggregates_is_fitted_and_frozen_too(flow):
    src = flow.src_features
    told = assert_same_everywhere(
        flow, DATA, {"off": src.x - Mean().call(src.x, by=src.k)}, runners=["local"]
    )
    forms = {name.rpartition(": ")[0] for name in told.compared}
    others = ["fitted on other rows", "frozen on other rows"]
    again = [
        f"{form}{kind}"
        for form in ("", *(f"{one}: " for one in others))
        for kind in ("saved and loaded", "pickled")
    ]
    assert forms == {"", "fitted", "frozen", *others, *again}
    for other in others:
        named = {name.removeprefix(f"{other}: ") for name in told.compared if name.startswith(f"{other}: ")}
        assert {*OF_ALL_ROWS, *OF_BATCHES} - {"job on direct"} <= named
    assert told.left_out["consume"] == "the rows need 'mean' of all rows"


def test_groups_splits_and_aggregates_alone(flow):
    src = flow.src_features
    g = ops.group_by({"k": src.k})
    for asked in (
        {"collect": {"k": g.keys.k, "n": Count().call(src.x, by=g)}},
        {"collect": ops.split(src, by=src.k, one=0.5, two=0.5)},
        {"aggregators": {"deep": {"n": Count().call(src.x)}}},
    ):
        told = assert_same_everywhere(flow, DATA, **asked, runners=["local"], num_proc=(1, 2))
        assert {"apply(Dataset, num_proc=2)", "job on local with num_proc=2", "command line"} <= {
            *told.compared
        }
        assert set(OF_BATCHES) <= set(told.left_out)


def test_a_flow_that_cannot_be_saved_is_compared_without(flow):
    @processor
    def local(x: float) -> float:
        return x * 2

    told = assert_same_everywhere(flow, DATA, {"x": local.call(flow.src_features.x)}, runners=["local"])
    assert "saved and loaded" in told.left_out
    assert "pickled: command line" in told.compared


def test_the_command_line_in_a_process_of_its_own(flow):
    x = flow.src_features.x
    fitted = flow.fit(DATA.select([0, 3]), collect={"off": x - Mean().call(x)})
    told = assert_same_everywhere(fitted, DATA, runners=["local"], new_process=True)
    assert "command line" in told.compared


def test_what_differs_is_named(flow):
    calls = itertools.count()

    @processor(repeatable=False)
    def counted(x: float) -> int:
        return next(calls)

    with pytest.raises(AssertionError, match=r"in row 0, column 'n': \d+, not 0 as apply\(Dataset\) has"):
        assert_same_everywhere(flow, DATA, {"n": counted.call(flow.src_features.x)}, runners=["local"])
    with pytest.raises(AssertionError, match=r"has \d+ as the aggregate sum, not \d+ as apply"):
        assert_same_everywhere(
            flow, DATA, aggregators={"sum": Sum().call(counted.call(flow.src_features.x))}, runners=["local"]
        )


def test_what_it_does_not_take(flow):
    with pytest.raises(TypeError, match=r"takes a datasets.Dataset, got dict"):
        assert_same_everywhere(flow, {"x": [1.0]}, {"x": flow.src_features.x})
    many = datasets.Dataset.from_dict({"k": [""] * 10_001, "x": [0.0] * 10_001})
    with pytest.raises(ValueError, match="too many to compute"):
        assert_same_everywhere(flow, many, {"x": flow.src_features.x})


def rows(**columns: pa.Array) -> Rows:
    table = pa.table(columns)
    return Rows(table, features.as_features(table.schema))


INTS, FLOATS = pa.int64(), pa.float64()
DIFFERENT = {
    "a name": (rows(a=pa.array([1])), rows(b=pa.array([1])), "has the columns b, not a"),
    "a type": (rows(a=pa.array([1])), rows(a=pa.array([1.0])), "has float64 in column 'a', not int64"),
    "rows": (rows(a=pa.array([1])), rows(a=pa.array([1, 2])), "has 2 rows, not 1"),
    "a null": (rows(a=pa.array([1, 0])), rows(a=pa.array([1, None])), "row 1, column 'a': None, not 0"),
    "a zero": (rows(a=pa.array([0.0])), rows(a=pa.array([-0.0])), "row 0, column 'a': -0.0, not 0.0"),
    "an item": (
        rows(a=pa.array([[1], None, [2, 3]], pa.list_(INTS))),
        rows(a=pa.array([[1], None, [2, 4]], pa.list_(INTS))),
        "row 2, column 'a': [2, 4], not [2, 3]",
    ),
    "a length": (
        rows(a=pa.array([[[]], [[1.0]]], pa.list_(pa.list_(FLOATS)))),
        rows(a=pa.array([[], [[1.0]]], pa.list_(pa.list_(FLOATS)))),
        "row 0, column 'a': [], not [[]]",
    ),
    "a field": (
        rows(a=pa.array([{"x": "a"}, {"x": "b"}])),
        rows(a=pa.array([{"x": "a"}, {"x": "c"}])),
        "row 1, column 'a': {'x': 'c'}, not {'x': 'b'}",
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_rows_that_differ(name):
    one, other, told = DIFFERENT[name]
    assert told in str(rows_differ(one, other))
    assert rows_differ(one, one) is None
    assert rows_differ(other, other) is None


def test_equal_rows():
    awkward = [math.nan, None, -0.0, math.inf]
    one = rows(a=pa.array(awkward), b=pa.array([awkward, None, [], [None]]), c=pa.array(["a", None, "", "b"]))
    assert rows_differ(one, one) is None
    cut = Rows(pa.concat_tables([one.table.slice(0, 1), one.table.slice(1)]), one.features)
    assert rows_differ(one, cut) is None
    wide = one.table.set_column(2, "c", one.table["c"].cast(pa.large_string()))
    assert rows_differ(one, Rows(wide)) is None
    assert "large_string" in str(rows_differ(one, Rows(wide, features.as_features(wide.schema))))


def test_values_that_differ():
    assert values_differ({"a": {"b": [1.0, math.nan]}}, {"a": {"b": [1.0, math.nan]}}) is None
    assert values_differ({"a": {"b": 0.0}}, {"a": {"b": -0.0}}) == "has -0.0 as the aggregate a.b, not 0.0"
    assert "aggregate a, not 1" in str(values_differ({"a": 1}, {"a": 1.0}))


class RowsOfBatch(Processor):
    """The number of rows of the batch, which no node should tell."""

    def process(self, x: Float64Column) -> Int64Column:
        return pa.array([len(x)] * len(x), pa.int64())


def test_a_node_whose_result_depends_on_the_batch_is_found(flow):
    data = datasets.concatenate_datasets([DATA] * 4)
    with pytest.raises(AssertionError, match=r"batch_size=7\) has in row 0, column 'n': 7, not 20"):
        assert_same_everywhere(flow, data, {"n": RowsOfBatch().call(flow.src_features.x)}, runners=["local"])
