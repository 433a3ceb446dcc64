"""Saved flows give the same in another process, run no code of the file, and say what is wrong with it."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import subprocess
import sys
import textwrap
import typing
from pathlib import Path

import datasets
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hyped_beam import Augmentor, DataFlow, Processor, ops, processor
from hyped_beam.aggregators import Count, Mean
from hyped_beam.augmentors import Share
from hyped_beam.dsl.rows import _row_number
from hyped_beam.errors import DefinitionError, DefinitionTypeError, FlowError, InputError
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.nodes import registry
from hyped_beam.nodes.aggregator import Aggregator
from hyped_beam.nodes.configuration import Configured
from hyped_beam.nodes.options import Limits
from hyped_beam.nodes.refs import builder_of, edge_of, scope_of
from hyped_beam.processors.row_number import RowNumber
from hyped_beam.types.bloom import Shape
from hyped_beam.types.patterns import StringColumn

ROOT = Path(__file__).parents[2]

MODULE = """
import asyncio
import enum
from typing import Any, NamedTuple

import pyarrow.compute as pc
from pydantic import SecretStr

from hyped_beam import Aggregator, Groups, Processor, processor
from hyped_beam.types.patterns import Int64Column, StringColumn


class Style(enum.Enum):
    LOUD = "loud"
    SOFT = "soft"


class Shout(Processor):
    mark: str = "!"
    style: Style = Style.LOUD
    times: tuple[float, ...] = (1.0,)
    secret: SecretStr = SecretStr("")
    anything: Any = None

    def process(self, text: StringColumn) -> StringColumn:
        return pc.binary_join_element_wise(pc.utf8_upper(text), self.mark, "")


class Outer:
    class Inner(Processor):
        async def process_row(self, text: str) -> int:
            await asyncio.sleep(0)
            return len(text)


class Characters(Aggregator):
    class State(NamedTuple):
        total: Int64Column

    def update(self, text: StringColumn, by: Groups) -> State:
        return self.State(by.sum(pc.utf8_length(text)))

    def merge(self, state: State, by: Groups) -> State:
        return self.State(by.sum(state.total))

    def finish(self, state: State) -> Int64Column:
        return state.total


@processor
def clean(text: str) -> str:
    return text.strip()


def made():
    @processor
    def local(text: str) -> str:
        return text

    class Local(Processor):
        def process(self, text: StringColumn) -> StringColumn:
            return text

    return local, Local()
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A user's module, importable here and in other processes."""
    folder = tmp_path / "modules"
    folder.mkdir()
    name = f"own_nodes_{abs(hash(str(tmp_path)))}"
    (folder / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(folder)]))
    yield importlib.import_module(name)
    del sys.modules[name]


def elsewhere(script, *arguments, check=True):
    """What a script prints in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


RUN = """
    import json, sys
    from hyped_beam import DataFlow
    flow = DataFlow.load(sys.argv[1], modules=sys.argv[3:])
    print(json.dumps([flow.batch_process(json.loads(sys.argv[2])), str(flow.outputs.keys())]))
"""


def run_elsewhere(path, batch, *modules):
    return json.loads(elsewhere(RUN, path, json.dumps(batch), *modules))[0]


# ------------------------------------------------------------------------------------------ round trips


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


# ------------------------------------------------------------------------------- every node of the library

COLUMNS = {
    "text": "string",
    "n": "int64",
    "x": "float64",
    "flag": "bool",
    "data": "binary",
    "at": "timestamp[us]",
    "day": "date32",
    "span": "duration[us]",
    "price": "decimal128(10, 2)",
    "words": datasets.List(datasets.Value("string")),
    "numbers": datasets.List(datasets.Value("int64")),
    "flags": datasets.List(datasets.Value("bool")),
    "nested": datasets.List(datasets.List(datasets.Value("int64"))),
    "m": {"text": datasets.Value("string")},
}
OPTIONS = {"to": "string", "template": "{}", "format": "%Y", "width": 9, "index": 0, "replacement": "r"}
OPTIONS |= {"k": 3, "capacity": 10, "limit": 2}

OPTIONS_OF_ONE = {
    "Histogram": {"edges": [0, 1, 2]},
    "Quantiles": {"q": [0.5]},
    "Extract": {"pattern": "(?P<first>a)"},
    "Jinja2": {"template": "{{ inputs.text }}"},
    "TransformersTokenizer": {"tokenizer": str(ROOT / "examples/data/tokenizer")},
    "Lookup": {"table": ParquetReader(ROOT / "examples/data/mail.parquet"), "key": "id"},
    "Share": {"start": 0.25, "stop": 0.75},
    "RepeatRows": {"times": 2},
}


def options_of(node):
    options = {}
    for name, field in node.model_fields.items():
        if typing.get_origin(field.annotation) is typing.Literal:
            options[name] = typing.get_args(field.annotation)[-1]
        elif field.is_required() and field.annotation is bytes:
            options[name] = b"\xff"
        elif field.is_required():
            options[name] = OPTIONS.get(name, "a")
    return options | OPTIONS_OF_ONE.get(node.__name__, {})


def call_of(flow, node):
    """A call of a node on whatever columns it takes, of all its inputs where it can be."""
    src = flow.src_features
    interface = node.interface()
    variadic = {"0" if node.__name__ in ("Format", "PackList") else "text": None}
    inputs = {**interface.inputs, **(variadic if interface.variadic is not None else {})}
    made = node(**options_of(node))
    if node is RowNumber:
        return _row_number(src, scope_of(src))
    if issubclass(node, Augmentor) and interface.variadic is not None:
        return made.call(value=src.flags)
    if issubclass(node, Share):
        return made.call(hashed=src.n.hash())
    for chosen in itertools.product([src[name] for name in COLUMNS], repeat=len(inputs)):
        try:
            return made.call(**dict(zip(inputs, chosen, strict=True)))
        except FlowError:
            continue
    raise AssertionError(f"nothing that {node.__name__} takes")


def library():
    registry.load_library()
    return [node for node in registry.registered().values() if node.__module__.startswith("hyped_beam.")]


@pytest.fixture(scope="module")
def saved_library(tmp_path_factory):
    """A flow with all nodes of the library, saved."""
    flow = DataFlow(features=COLUMNS)
    rows, aggregates = {}, {}
    for node in library():
        key = f"{node.__module__.rpartition('.')[2]}.{node.__name__}"
        made = call_of(flow, node)
        if issubclass(node, Augmentor):
            made = Count().call(ops.align(flow.src_features.text, to=made))
        (aggregates if issubclass(node, (Aggregator, Augmentor)) else rows)[key] = made
    path = tmp_path_factory.mktemp("library") / "flow.json"
    flow.save(path, collect=rows, aggregators=aggregates)
    return flow, rows, aggregates, path


def test_every_node_of_the_library_comes_back(saved_library):
    flow, rows, aggregates, path = saved_library
    loaded = DataFlow.load(path)
    recorded = builder_of(flow.src_features).nodes
    found = {
        json.dumps(type(node.operation).__name__) for node in builder_of(loaded.src_features).nodes.values()
    }
    for node in library():
        assert json.dumps(node.__name__) in found, f"{node.__name__} was lost"
    again = path.with_name("again.json")
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()
    for asked in (rows, aggregates):
        for key, ref in asked.items():
            packed = loaded.outputs["rows" if asked is rows else "aggregates"]
            edge = builder_of(packed).nodes[edge_of(packed).node].inputs[key]
            loaded_node = builder_of(packed).nodes[edge.node]
            assert loaded_node.operation.identity() == recorded[edge_of(ref).node].operation.identity()


def test_every_node_of_the_library_has_a_name_of_its_own():
    registry.load_library()

    def below(node):
        return [node, *itertools.chain.from_iterable(map(below, node.__subclasses__()))]

    own = [node for node in below(Configured) if node.__module__.startswith("hyped_beam.")]
    bases = ("Configured", "Processor", "FunctionProcessor", "Aggregator", "Augmentor")
    nodes = [node for node in own if not node.__name__.startswith("_") and node.__name__ not in bases]
    assert [node for node in nodes if node not in library()] == [], "not registered"
    keys = [(node.__name__, issubclass(node, Aggregator)) for node in nodes]
    assert len(keys) == len(set(keys))


def test_the_library_gives_the_same_in_another_process(saved_library, tmp_path):
    flow, rows, _, _ = saved_library
    batch = pa.table(
        {
            "text": ["2020", "a b", None],
            "n": [1, 2, None],
            "x": [0.5, float("nan"), None],
            "flag": [True, False, None],
            # UTF-8 that is a Bloom filter, too
            "data": [Shape(1, 8).header() + b"a", Shape(1, 16).header() + b"\xc3\xa9", None],
            "at": pa.array([0, 10**15, None], pa.timestamp("us")),
            "day": pa.array([0, 400, None], pa.date32()),
            "span": pa.array([1, 10**9, None], pa.duration("us")),
            "price": pa.array([1, 2, None], pa.int8()).cast(pa.decimal128(10, 2)),
            "words": [["a", "b"], [], None],
            "numbers": [[1, 2], [], None],
            "flags": [[True], [], None],
            "nested": [[[1], [2]], [], None],
            "m": [{"text": "a"}, {"text": "b"}, None],
        }
    )
    fails = {"parsing.ToTimestamp"}  # on text that is no time
    with pa.ipc.new_file(str(tmp_path / "batch.arrow"), batch.schema) as writer:
        writer.write_table(batch)
    collect = {name: ref for name, ref in rows.items() if name not in fails}
    flow.save(tmp_path / "flow.json", collect=collect)
    script = """
        import sys
        import pyarrow as pa
        from hyped_beam import DataFlow
        batch = pa.ipc.open_file(sys.argv[2]).read_all()
        found = DataFlow.load(sys.argv[1]).batch_process(batch)
        with pa.ipc.new_file(sys.argv[3], found.schema) as writer:
            writer.write_table(found)
    """
    elsewhere(script, tmp_path / "flow.json", tmp_path / "batch.arrow", tmp_path / "found.arrow")
    found = pa.ipc.open_file(str(tmp_path / "found.arrow")).read_all()
    wanted = flow.batch_process(batch, collect=collect)
    assert found.schema.equals(wanted.schema, check_metadata=True)
    assert found.to_pydict().__repr__() == wanted.to_pydict().__repr__()


# ------------------------------------------------------------------------------------------- what is refused


class InTests(Processor):
    def process(self, text: StringColumn) -> StringColumn:
        return text


def save_with(node, path):
    flow = DataFlow(features={"text": "string"})
    flow.save(path, collect={"t": node.call(flow.src_features.text)})


def test_local_nodes_and_lambdas_are_refused(tmp_path, own):
    function, node = own.made()
    typed: typing.Any = lambda text: text  # noqa: E731 - a lambda is the case
    typed.__annotations__ = {"text": str, "return": str}
    for made, message in [
        (function, "the function 'made.<locals>.local': it is local to a function"),
        (node, "the class 'made.<locals>.Local': it is local to a function"),
        (processor(typed), "a lambda has no name"),
    ]:
        with pytest.raises(DefinitionError) as raised:
            save_with(made, tmp_path / "a.json")
        assert message in str(raised.value)
        assert "test_saved.py:" in str(raised.value)
        assert raised.value.hint
        assert not (tmp_path / "a.json").exists()


def test_what_a_name_no_longer_means_is_refused(tmp_path, own, monkeypatch):
    node = own.Shout()
    monkeypatch.setattr(own, "Shout", own.Characters)
    with pytest.raises(DefinitionError, match="is something else now"):
        save_with(node, tmp_path / "a.json")
    monkeypatch.delattr(own, "Shout")
    with pytest.raises(DefinitionError, match="is something else now"):
        save_with(node, tmp_path / "a.json")


def test_nodes_of_the_main_script_are_refused(tmp_path):
    script = """
        import sys
        from hyped_beam import DataFlow, processor
        @processor
        def clean(text: str) -> str:
            return text
        flow = DataFlow(features={"text": "string"})
        try:
            flow.save(sys.argv[1], collect={"t": clean.call(flow.src_features.text)})
        except Exception as error:
            print(type(error).__name__, error)
    """
    said = elsewhere(script, tmp_path / "a.json")
    assert "DefinitionError" in said
    assert "'clean': it is of the script or notebook that is running" in said
    assert "move it into a module" in said


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("anything", object()),
        ("anything", (1, 2)),
        ("anything", {1: 2}),
        ("anything", b"a"),
        ("secret", "hush"),
    ],
)
def test_options_that_json_does_not_hold_are_refused(tmp_path, own, option, value):
    with pytest.raises(DefinitionError) as raised:
        save_with(own.Shout(**{option: value}), tmp_path / "a.json")
    assert f"option {option!r} of Shout" in str(raised.value)
    assert "test_saved.py:" in str(raised.value)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    "value", [1, 1.5, True, None, "a", [1, [None]], {"a": {"b": 1.0}}, "\ud800", "\u2028\n"]
)
def test_plain_options_come_back(tmp_path, own, value):
    save_with(own.Shout(anything=value), tmp_path / "a.json")
    loaded = DataFlow.load(tmp_path / "a.json", modules=[own.__name__])
    (node,) = [
        node.operation for node in builder_of(loaded.src_features).nodes.values() if node.name == "shout"
    ]
    assert node.anything == value
    assert type(node.anything) is type(value)
    assert node.model_fields_set == {"anything"}


def test_a_flow_without_outputs_is_refused(tmp_path):
    with pytest.raises(DefinitionTypeError, match="nothing was asked for"):
        DataFlow(features={"text": "string"}).save(tmp_path / "a.json")


def saved_text(tmp_path):
    flow = DataFlow(features={"text": "string"})
    path = tmp_path / "flow.json"
    flow.save(path, collect={"t": flow.src_features.text.upper()})
    return path, path.read_text()


def refused(path, *, modules=()):
    with pytest.raises(InputError) as raised:
        DataFlow.load(path, modules=modules)
    assert raised.value.hint
    return str(raised.value)


def test_a_file_that_is_no_flow_is_refused(tmp_path):
    path, text = saved_text(tmp_path)
    cases = {
        "": "the file ends in the middle: it is cut off",
        text[: len(text) // 2]: "",
        text[:-3]: "the file ends in the middle: it is cut off",
        "{]": "this is no JSON",
        "[]": 'its "format" is not',
        "{}": 'its "format" is not',
        "[" * 100_000: "",
        '{"a": 1, "a": 2}': "'a' stands twice",
        '{"a": NaN}': "NaN is no JSON",
        "1" * 10_000: "this is no saved flow",
        text.replace(
            '"version": 1', '"version": 2'
        ): "the flow is of version 2, this hyped_beam reads version 1",
        text.replace('"version": 1', '"version": null'): "the flow is of version None",
        text.replace('"scopes"', '"scope"'): "the flow has",
        text.replace('"version": 1', '"version": 1, "colour": 2'): "the flow has an unknown 'colour'",
    }
    for content, message in cases.items():
        path.write_text(content)
        said = refused(path)
        assert message in said
        assert said.startswith(f"{path}:")
    path.write_bytes(b"\xff\xfe\x00")
    assert "this is no text" in refused(path)


def test_every_cut_of_a_file_is_refused(tmp_path):
    path, text = saved_text(tmp_path)
    for length in range(0, len(text.rstrip()), 7):
        path.write_text(text[:length])
        refused(path)


def test_files_that_are_not_there_are_refused(tmp_path):
    path, _ = saved_text(tmp_path)
    assert f"did you mean {path}?" in refused(tmp_path / "flaw.json")
    assert "cannot be read" in refused(tmp_path)
    with pytest.raises(DefinitionError, match="no file of this machine"):
        DataFlow.load("s3://bucket/flow.json")
    with pytest.raises(DefinitionTypeError, match="saved in a file"):
        DataFlow.load(3)
    with pytest.raises(DefinitionTypeError, match="modules= takes a list"):
        DataFlow.load(path, modules="own")


def test_the_line_of_a_wrong_node_is_named(tmp_path):
    path, text = saved_text(tmp_path)
    path.write_text(text.replace('{"node": "Upper"}', '{"node": "Uper"}'))
    line = next(number for number, line in enumerate(text.splitlines(), 1) if '"Upper"' in line)
    assert refused(path).startswith(f"{path}:{line}: node %1 (upper): there is no node 'Uper' in the library")


def test_a_flow_with_other_outputs_or_none_is_refused(tmp_path):
    path, text = saved_text(tmp_path)
    path.write_text(text.replace('"operation": {"name": "rows"}', '"operation": {"name": "roes"}'))
    assert "the flow has an output 'roes'" in refused(path)
    lines = text.split("\n")
    sink = next(number for number, line in enumerate(lines) if '"kind": "sink"' in line)
    lines[sink - 1] = lines[sink - 1].removesuffix(",")
    path.write_text("\n".join(lines[:sink] + lines[sink + 1 :]))
    assert "the flow has no output" in refused(path)


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


def test_a_changed_class_is_noticed(tmp_path, own, monkeypatch):
    save_with(own.Outer.Inner(), tmp_path / "a.json")
    file = Path(own.__file__)
    file.write_text(MODULE.replace("text: str) -> int:", "text: str) -> float:"))
    monkeypatch.delitem(sys.modules, own.__name__)
    importlib.invalidate_caches()
    sys.path_importer_cache.clear()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for cached in file.parent.glob("__pycache__/*"):
        cached.unlink()
    said = refused(tmp_path / "a.json", modules=[own.__name__])
    assert "its output was int64 when the flow was saved, and is float64 now" in said
    assert "Inner has changed since" in said


def test_modules_that_are_not_named_are_refused(tmp_path, own):
    save_with(own.Shout(), tmp_path / "a.json")
    said = refused(tmp_path / "a.json")
    assert f"it is of the module {own.__name__!r}" in said
    assert f"modules=[{own.__name__!r}]" in said


def test_a_package_stands_for_the_modules_inside(tmp_path, monkeypatch):
    folder = tmp_path / "pack_of_nodes"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "text.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    save_with(importlib.import_module("pack_of_nodes.text").Shout(), tmp_path / "a.json")
    assert DataFlow.load(tmp_path / "a.json", modules=["pack_of_nodes"]).batch_process({"text": ["a"]}) == {
        "t": ["A!"]
    }
    assert "it is of the module" in refused(tmp_path / "a.json", modules=["pack"])


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("Shoot", "there is no 'Shoot' in the module"),
        ("Style", "is no node"),
        ("Outer", "is no node"),
        ("pc.utf8_upper", "is no node"),
        ("asyncio.sys.modules.clear", "there is no"),
        ("Characters", "is no node of kind 'map'"),
        ("made", "is no node"),
        ("Shout.__init__.__globals__", "there is no"),
    ],
)
def test_names_that_lead_to_no_node_are_refused(tmp_path, own, named, message):
    save_with(own.Shout(), tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    (tmp_path / "a.json").write_text(text.replace(f"{own.__name__}:Shout", f"{own.__name__}:{named}"))
    assert message in refused(tmp_path / "a.json", modules=[own.__name__])


def test_modules_that_cannot_be_imported_are_named(tmp_path, own):
    save_with(own.Shout(), tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    (tmp_path / "a.json").write_text(text.replace(own.__name__, "nowhere_to_be_found"))
    assert "cannot be imported" in refused(tmp_path / "a.json", modules=["nowhere_to_be_found"])
    Path(own.__file__).with_name("raises_on_import.py").write_text("1 / 0")
    (tmp_path / "a.json").write_text(text.replace(own.__name__, "raises_on_import"))
    assert "raises on import: ZeroDivisionError" in refused(tmp_path / "a.json", modules=["raises_on_import"])


def test_loading_imports_nothing_but_what_is_named(tmp_path, own):
    """Neither the modules that a file names, nor what it needs to say that they are missing."""
    save_with(own.Shout(), tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    (tmp_path / "b.json").write_text(text.replace(f"{own.__name__}:Shout", "this:Shout"))
    (tmp_path / "c.json").write_text(
        text.replace(f"{own.__name__}:Shout", f"{own.__name__}:Shout.antigravity")
    )
    script = """
        import json, sys
        from hyped_beam import DataFlow
        DataFlow.load(sys.argv[2])
        before = set(sys.modules)
        for name in "abc":
            try:
                DataFlow.load(f"{sys.argv[1]}/{name}.json")
            except Exception as error:
                assert type(error).__name__ == "InputError", error
            else:
                raise AssertionError(name)
        print(json.dumps(sorted(name for name in set(sys.modules) - before)))
    """
    plain, _ = saved_text(tmp_path)
    assert json.loads(elsewhere(script, tmp_path, plain)) == []


# ------------------------------------------------------------------------------------------------------ files


def test_saving_replaces_a_saved_flow_and_nothing_else(tmp_path):
    path, text = saved_text(tmp_path)
    flow = DataFlow(features={"text": "string"})
    flow.save(path, collect={"t": flow.src_features.text.lower()})
    assert path.read_text() != text
    other = tmp_path / "thesis.json"
    for content in ("my thesis", '{"format": "thesis"}', "[]"):
        other.write_text(content)
        with pytest.raises(InputError, match="is there already, and is no saved flow"):
            flow.save(other, collect={"t": flow.src_features.text})
        assert other.read_text() == content
    with pytest.raises(InputError, match="is a folder"):
        flow.save(tmp_path, collect={"t": flow.src_features.text})
    assert sorted(file.name for file in tmp_path.iterdir()) == ["flow.json", "thesis.json"]


def test_a_folder_is_made_and_one_that_cannot_be_is_named(tmp_path):
    flow = DataFlow(features={"text": "string"})
    flow.save(tmp_path / "a/b/flow.json", collect={"t": flow.src_features.text})
    assert [file.name for file in (tmp_path / "a/b").iterdir()] == ["flow.json"]
    with pytest.raises(InputError, match="cannot be written"):
        flow.save(tmp_path / "a/b/flow.json/c.json", collect={"t": flow.src_features.text})


def with_vocabulary(words, path):
    flow = DataFlow(features={"text": "string"})
    flow.save(path, collect={"t": flow.src_features.text.is_in(words)})


def test_large_constants_stand_beside(tmp_path):
    path = tmp_path / "flow.json"
    words = [f"word {number}" for number in range(10_000)]
    with_vocabulary(words, path)
    (beside,) = tmp_path.glob("*.arrow")
    assert beside.name.startswith("flow.")
    assert path.stat().st_size < 10_000
    assert DataFlow.load(path).batch_process({"text": ["word 9", "other"]}) == {"t": [True, False]}
    DataFlow.load(path).save(tmp_path / "b.json")
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".arrow", ".arrow", ".json", ".json"]

    before = path.read_text()
    with_vocabulary(words[1:], path)  # another vocabulary takes the place of the first
    assert path.read_text() != before
    assert len(list(tmp_path.glob("flow.*.arrow"))) == 1
    assert not beside.exists()
    with_vocabulary(["few"], path)
    assert list(tmp_path.glob("flow.*.arrow")) == []


def test_constants_that_changed_or_are_missing_are_noticed(tmp_path):
    path = tmp_path / "flow.json"
    with_vocabulary([f"word {number}" for number in range(10_000)], path)
    (beside,) = tmp_path.glob("*.arrow")
    content = beside.read_bytes()
    beside.write_bytes(content.replace(b"word 77", b"work 77", 1))
    assert "its checksum differs" in refused(path)
    beside.unlink()
    assert "cannot be read" in refused(path)
    text = path.read_text()
    path.write_text(text.replace(beside.name, "../" + beside.name))
    assert 'its "constants" name none' in refused(path)


def test_both_files_are_saved_or_none(tmp_path, monkeypatch):
    path = tmp_path / "flow.json"
    words = [f"word {number}" for number in range(10_000)]
    with_vocabulary(words, path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    replace = Path.replace

    def full(file, target):
        if Path(target).suffix == ".json":
            raise OSError(28, "No space left on device")
        return replace(file, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        with_vocabulary(words[1:], path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_link_to_a_flow_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    with_vocabulary([f"word {number}" for number in range(10_000)], tmp_path / "real/flow.json")
    link = tmp_path / "flow.json"
    link.symlink_to("real/flow.json")
    loaded = DataFlow.load(link)
    loaded.save(link)
    assert link.is_symlink()
    assert len(list((tmp_path / "real").iterdir())) == 2
