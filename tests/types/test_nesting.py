"""Values and features that are nested too deep are refused where they are written."""

from __future__ import annotations

import datasets
import pyarrow as pa
import pytest

from hyped_beam import DataFlow, ops
from hyped_beam.errors import DefinitionError, FlowError
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.types.nesting import DEEPEST, is_too_deep


def lists(depth, inner):
    for _ in range(depth):
        inner = [inner]
    return inner


def of_features(depth):
    inner = datasets.Value("int64")
    for level in range(depth):
        inner = datasets.List(inner) if level % 2 else {"a": inner}
    return inner


def arrow(depth):
    inner = pa.int64()
    for level in range(depth):
        inner = pa.list_(inner) if level % 2 else pa.struct([("a", inner)])
    return inner


@pytest.mark.parametrize("make", [lambda depth: lists(depth, 1), of_features, arrow])
def test_depth_is_counted(make):
    assert not is_too_deep(make(0))
    assert not is_too_deep(make(DEEPEST))
    assert is_too_deep(make(DEEPEST + 1))


def test_what_contains_itself_is_too_deep_and_what_is_shared_takes_no_time():
    own = []
    own.append(own)
    assert is_too_deep(own)
    shared = []
    for _ in range(DEEPEST - 1):
        shared = [shared, shared]
    assert not is_too_deep(shared)


@pytest.mark.parametrize("depth", [DEEPEST + 1, 5000])
def test_a_column_that_is_too_deep_is_refused(depth):
    feature = datasets.Value("int64")
    for _ in range(depth):
        feature = {"a": feature}
    with pytest.raises(DefinitionError, match="nested more than 48 deep"):
        DataFlow(features={"x": feature})


@pytest.mark.parametrize("depth", [DEEPEST + 1, 5000])
def test_a_constant_or_an_output_that_is_too_deep_is_refused(depth):
    flow = DataFlow(features={"n": "int64"})
    n = flow.src_features.n
    for write in (
        lambda: ops.collect({"n": n, "x": lists(depth, 1)}),
        lambda: ops.collect({"x": lists(depth, n)}),
        lambda: flow.batch_process({"n": [1]}, collect={"x": lists(depth, n)}),
        lambda: flow.batch_process({"n": [1]}, collect={"x": lists(depth, 1), "n": n}),
    ):
        with pytest.raises(FlowError, match="nested more than 48 deep"):
            write()


def test_a_column_is_nested_deeper_bit_by_bit_until_it_is_refused():
    flow = DataFlow(features={"n": "int64"})
    deep = flow.src_features.n
    for _ in range(DEEPEST):
        deep = ops.collect({"x": deep})
    with pytest.raises(FlowError, match="nested more than 48 deep"):
        ops.collect({"x": deep})


def test_what_is_as_deep_as_may_be_is_computed_saved_and_loaded(tmp_path):
    flow = DataFlow(features={"x": of_features(DEEPEST - 1)})
    path = tmp_path / "flow.json"
    flow.save(path, collect={"y": flow.src_features.x})
    loaded = DataFlow.load(path)
    assert loaded.features == flow.features
    value = None
    assert loaded.batch_process({"x": [value]}) == {"y": [None]}


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_lines_of_json_are_refused_at_the_same_depth(tmp_path, opening):
    closing = "]" if opening == "[" else "}"
    path = tmp_path / "rows.jsonl"
    for depth, refused in ((DEEPEST, False), (DEEPEST + 1, True), (20_000, True)):
        deep = opening * depth + "1" + closing * depth
        path.write_text('{"x": 1}\n{"y": ' + deep + "}\n")
        if refused:
            with pytest.raises(FlowError, match=r"rows\.jsonl:2: .*nested more than 48 deep"):
                _ = JsonReader(path).features
        else:
            assert list(JsonReader(path).features) == ["x", "y"]


@pytest.mark.parametrize(
    "text", ["[{]}" * 200, '\\"' * 50 + "[" * 200, "[" * 200, "\\\\", "}" * 100 + "[" * 300, '\\\\\\"[' * 100]
)
def test_brackets_in_text_are_no_nesting(tmp_path, text):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"x": "' + text + '", "y": [' + ",".join(["[1]"] * 100) + "]}\n")
    reader = JsonReader(path)
    (batch,) = [batch for part in reader.ranges() for batch in reader.read(part, ["x"])]
    assert batch.num_rows == 1
