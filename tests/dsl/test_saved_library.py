"""Every node of the library can be saved, and gives the same in another process."""

from __future__ import annotations

import itertools
import json
import sys
import typing

import datasets
import pyarrow as pa
import pytest

from hyped_beam import Augmentor, DataFlow, ops
from hyped_beam.aggregators import Count
from hyped_beam.augmentors import Share
from hyped_beam.dsl.rows import _row_number
from hyped_beam.errors import FlowError
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.nodes import registry
from hyped_beam.nodes.aggregator import Aggregator
from hyped_beam.nodes.configuration import Operator
from hyped_beam.nodes.refs import builder_of, edge_of, scope_of
from hyped_beam.processors.row_number import RowNumber
from hyped_beam.types.bloom import Shape
from tests.dsl.saved_flows import ROOT, elsewhere

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
    "ApproxQuantiles": {"q": [0.5]},
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

    # those of samples in docstrings call themselves of the module, too, and are not in it
    own = [
        node
        for node in below(Operator)
        if node.__module__.startswith("hyped_beam.")
        and getattr(sys.modules[node.__module__], node.__name__, None) is node
    ]
    bases = ("Operator", "Processor", "FunctionProcessor", "Aggregator", "Augmentor")
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
