"""Saved flows give the same in another process: round trips."""

from __future__ import annotations

import datasets
import pyarrow as pa
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hyped_beam import DataFlow
from hyped_beam.aggregators import Count, Mean
from hyped_beam.errors import DefinitionError
from hyped_beam.nodes.options import Limits
from hyped_beam.nodes.refs import builder_of
from tests.dsl.saved_flows import run_elsewhere


def test_a_built_flow_comes_back(tmp_path):
    flow = DataFlow(features={"text": "string", "n": "int64", "label": datasets.ClassLabel(names=["a", "b"])})
    src = flow.src_features
    collect = {"words": src.text.split().length() * src.n, "is_a": src.label == "a", "label": src.label}
    built, _ = flow.build(collect=collect, aggregators={"deep": {"mean": Mean().call(src.n)}})
    path = tmp_path / "flow.json"
    built.save(path)
    found = DataFlow.load(path)
    batch = {"text": ["to be", "or"], "n": [2, 3], "label": [0, 1]}
    assert found.batch_process(batch) == built.batch_process(batch)
    assert found.features == flow.features
    assert list(found.outputs) == ["rows", "aggregates"]
    rows, aggregates = found.apply(datasets.Dataset.from_dict(batch, features=flow.features))
    assert aggregates == {"deep": {"mean": 2.5}}
    assert rows.features["label"] == flow.features["label"]
    rows, aggregates = found.build()
    assert rows.batch_process(batch)["words"] == [4, 3]
    assert aggregates.snapshot() == {"deep": {"mean": 2.5}}
    assert "mean" in found.explain()
    found.plot(save=tmp_path / "flow.svg")
    assert run_elsewhere(path, batch) == built.batch_process(batch)


def test_saving_again_gives_equal_bytes(tmp_path):
    flow = DataFlow(features={"text": "string"})
    src = flow.src_features
    flow.save(tmp_path / "a.json", collect={"t": src.text.upper()}, aggregators={"n": Count().call(src.text)})
    loaded = DataFlow.load(tmp_path / "a.json")
    loaded.save(tmp_path / "b.json")
    loaded.build()[0].save(tmp_path / "c.json")
    outputs = loaded.outputs
    loaded.save(tmp_path / "d.json", collect=outputs["rows"], aggregators=outputs["aggregates"])
    first = (tmp_path / "a.json").read_bytes()
    assert (tmp_path / "b.json").read_bytes() == first
    assert (tmp_path / "c.json").read_bytes() == first
    assert len((tmp_path / "d.json").read_bytes().splitlines()) == len(first.splitlines())


def test_more_can_be_recorded_on_a_loaded_flow(tmp_path):
    flow = DataFlow(features={"text": "string"})
    flow.save(tmp_path / "a.json", collect={"t": flow.src_features.text.upper()})
    loaded = DataFlow.load(tmp_path / "a.json")
    more = loaded.src_features.text.length()
    assert loaded.batch_process({"text": ["ab"]}, collect={"n": more}) == {"n": [2]}
    both = {"n": more, "rows": loaded.outputs["rows"]}
    assert loaded.batch_process({"text": ["ab"]}, collect=both) == {"n": [2], "rows": [{"t": "AB"}]}


def test_only_aggregates_are_saved_too(tmp_path):
    flow = DataFlow(features={"n": "int64"})
    flow.save(tmp_path / "a.json", aggregators={"n": Count().call(flow.src_features.n)})
    _, found = DataFlow.load(tmp_path / "a.json").apply(datasets.Dataset.from_dict({"n": [1, 2]}))
    assert found == {"n": 2}


def test_how_a_node_runs_is_saved(tmp_path, own):
    flow = DataFlow(features={"text": "string"})
    limits = Limits(concurrency=3, per_second=2.5)
    node = own.Outer.Inner().options(name="size", batch_size=7, limits=limits)
    flow.save(tmp_path / "a.json", collect={"n": node.call(flow.src_features.text)})
    loaded = DataFlow.load(tmp_path / "a.json", modules=[own.__name__])
    (found,) = [node for node in builder_of(loaded.src_features).nodes.values() if node.name == "size"]
    assert found.options == node._options
    assert found.operation._options == node._options
    assert found.options.model_fields_set == {"name", "batch_size", "limits"}


def test_own_nodes_come_back_in_another_process(tmp_path, own):
    flow = DataFlow(features={"text": "string"})
    src = flow.src_features
    shouted = own.Shout(mark="?\ud800"[:1], style=own.Style.SOFT, times=(0.5, float("inf"))).call(src.text)
    collect = {
        "shout": shouted,
        "clean": own.clean.options(name="tidy").call(src.text),
        "size": own.Outer.Inner().call(text=src.text),
    }
    flow.save(tmp_path / "a.json", collect=collect, aggregators={"n": own.Characters().call(src.text)})
    text = (tmp_path / "a.json").read_text()
    assert f'"{own.__name__}:Shout"' in text
    assert f'"{own.__name__}:Outer.Inner"' in text
    assert f'"{own.__name__}:clean"' in text
    batch = {"text": [" ab ", None]}
    wanted = flow.batch_process(batch, collect=collect)
    assert run_elsewhere(tmp_path / "a.json", batch, own.__name__) == wanted
    loaded = DataFlow.load(tmp_path / "a.json", modules=[own])
    assert loaded.apply(datasets.Dataset.from_dict(batch))[1] == {"n": 4}
    loaded.save(tmp_path / "b.json")
    assert (tmp_path / "b.json").read_bytes() == (tmp_path / "a.json").read_bytes()


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=3)
    | st.datetimes()
    | st.dates()
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, min_size=1, max_size=2),
    max_leaves=5,
)


@settings(max_examples=25)
@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), NAMES)
def test_any_names_and_constants_come_back(tmp_path_factory, constants, column):
    flow = DataFlow(features={column: "string"})
    path = tmp_path_factory.mktemp("any") / f"{'x' * 20}.json"
    source = flow.src_features[column]
    try:
        built, _ = flow.build(collect={**constants, column: source})
    except DefinitionError:  # no constant, such as a list of numbers and text
        assume(condition=False)
    built.save(path)
    loaded = DataFlow.load(path)
    batch = pa.table({column: pa.array(["a", None])})
    found, wanted = loaded.batch_process(batch), built.batch_process(batch)
    assert found.schema.equals(wanted.schema, check_metadata=True)
    assert repr(found.to_pydict()) == repr(wanted.to_pydict())
    again = path.with_name("again.json")
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()
