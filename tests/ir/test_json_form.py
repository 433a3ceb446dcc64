"""The JSON form of a graph: equal graphs, equal bytes, and an error for whatever is no graph."""

from __future__ import annotations

import json
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given, settings

from hyped_beam.aggregators import Count
from hyped_beam.dsl.outputs import Outputs, graph_of
from hyped_beam.errors import CallSite, InputError
from hyped_beam.ir.graph import Graph, Kind
from hyped_beam.ir.json_form import from_json, saved_graph, to_json
from hyped_beam.ir.text import graph_text
from hyped_beam.nodes.json_form import NodeForm
from hyped_beam.nodes.refs import builder_of
from hyped_beam.passes.prune import prune
from hyped_beam.testing import flow_of
from hyped_beam.types import features, scalars
from tests.passes.test_generated_flows import flows, with_constant_structs

MODULE = "tests.passes.test_generated_flows"


def plain(graph):
    return json.dumps(to_json(graph, NodeForm()).content)


def loaded(content, constants=None, modules=(MODULE,)):
    return from_json(
        content,
        NodeForm(modules),
        place=lambda number: CallSite("flow.json", 1 if number is None else 10 + number),
        beside=lambda types: scalars.from_ipc(
            scalars.to_ipc({name: row[0] for name, row in constants.items()}), types
        ),
    )


def same(left: Graph, right: Graph) -> bool:
    """Whether two graphs are equal in everything but how their nodes are held."""
    assert graph_text(left) == graph_text(right)
    assert left.scopes == right.scopes
    for one, other in zip(left.nodes.values(), right.nodes.values(), strict=True):
        assert one.operation.identity() == other.operation.identity()
        assert features.same(one.feature, other.feature)
        bare = {"operation": None, "feature": None, "inputs": None}
        assert replace(one, **bare).__reduce_ex__(2)[2] == replace(other, **bare).__reduce_ex__(2)[2]
        assert dict(one.inputs) == dict(other.inputs)
    return True


@settings(max_examples=60)
@given(flows())
def test_generated_flows_come_back(flow):
    source, outputs = flow
    graph = saved_graph(prune(graph_of(builder_of(source), outputs)))
    text = plain(graph)
    found = loaded(json.loads(text))
    assert same(found, graph)
    assert plain(saved_graph(found)) == text


@settings(max_examples=20)
@given(with_constant_structs())
def test_flows_with_constant_structs_come_back(flow):
    source, outputs = flow
    graph = saved_graph(graph_of(builder_of(source), outputs))
    assert same(loaded(json.loads(plain(graph))), graph)


def test_what_else_was_recorded_makes_no_difference():
    def saved(*, more):
        src = flow_of({"a": "int64"})
        if more:
            src.a.is_null()
        outputs = Outputs({"b": src.a + 1})
        return plain(saved_graph(prune(graph_of(builder_of(src), outputs))))

    assert saved(more=True) == saved(more=False)


def test_lines_are_named_without_the_folders_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    graph = counted()
    inside, outside = str(tmp_path / "flows" / "mail.py"), str(tmp_path.parent / "mail.py")
    sites = {0: CallSite(inside, 3), 1: CallSite(outside, 4), 2: None}
    nodes = [replace(node, site=sites[min(node.id, 2)]) for node in graph.nodes.values()]
    found = saved_graph(graph.with_nodes(nodes))
    assert [node.site for node in found.nodes.values()][:3] == [
        CallSite("flows/mail.py", 3),
        CallSite("mail.py", 4),
        None,
    ]
    assert [node.site for node in saved_graph(found).nodes.values()] == [
        node.site for node in found.nodes.values()
    ]


def test_large_constants_are_kept_beside():
    src = flow_of({"a": "string"})
    words = pa.scalar([f"word {number}" for number in range(10_000)])
    graph = saved_graph(graph_of(builder_of(src), Outputs({"known": src.a.is_in(words), "a": src.a})))
    saved = to_json(graph, NodeForm())
    assert len(json.dumps(saved.content)) < 10_000
    assert [row[0] for row in saved.constants.values()] == [words]
    assert same(loaded(saved.content, saved.constants), graph)


def counted() -> Graph:
    """%0 source, %1 Lower, %2 Count, %3 pack, %4 pack, sinks."""
    src = flow_of({"text": "string", "m": {"x": "int64"}})
    lower = src.text.lower()
    return saved_graph(
        graph_of(builder_of(src), Outputs({"l": lower, "x": src.m.x}, {"n": Count().call(lower)}))
    )


def edit(change):
    content = json.loads(plain(counted()))
    change(content["nodes"], content["scopes"])
    return content


def swap(nodes, first, second):
    nodes[first], nodes[second] = nodes[second], nodes[first]


def cycle(nodes):
    nodes[1]["inputs"]["text"] = [3, "l"]


def twice(nodes):
    nodes[2]["id"] = 1


def change_type(nodes):
    nodes[1]["feature"] = {"dtype": "large_string", "_type": "Value"}


def put(*path, value):
    def change(nodes, _scopes):
        place = nodes
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value

    return change


BROKEN = {
    "dangling": (put(1, "inputs", "text", value=[99]), "its input 'text' is node %99, which is not there"),
    "cycle": (lambda nodes, _: cycle(nodes), "node %3, which needs this one in turn: a cycle"),
    "itself": (put(1, "inputs", "text", value=[1]), "node %1, which needs this one in turn: a cycle"),
    "order": (lambda nodes, _: swap(nodes, 0, 1), "node %0, which comes later in the file"),
    "field": (put(1, "inputs", "text", value=[0, "txet"]), "did you mean 'text'?"),
    "path": (put(1, "inputs", "text", value=[0, 1]), "is a node's number and names of fields"),
    "no path": (put(1, "inputs", "text", value=[]), "is a node's number and names of fields"),
    "number": (put(1, "id", value="1"), "node number 1 of the list: id: Input should be a valid integer"),
    "twice": (lambda nodes, _: twice(nodes), "two nodes have the number 1"),
    "kind": (put(1, "kind", value="mop"), "node %1: kind: Input should be"),
    "other kind": (put(1, "kind", value="aggregate"), "there is no node 'Lower' in the library"),
    "const": (put(1, "kind", value="const"), "the operation of a const has the fields scalar"),
    "source": (put(1, "kind", value="source"), "node %1 (lower): "),
    "unknown node": (put(1, "operation", value={"node": "Lowar"}), "did you mean 'Lower'?"),
    "newer node": (put(1, "operation", value={"node": "Xyzzy"}), "may be of a newer hyped_beam"),
    "no operation": (put(1, "operation", value=None), "an operation is a mapping"),
    "bad operation": (put(1, "operation", value={"node": "Lower", "x": 1}), "an operation is"),
    "unknown option": (
        put(1, "operation", "options", value={"fil": 1}),
        "Lower has no option 'fil'",
    ),
    "options": (put(1, "operation", "options", value=[1]), "the options are a mapping"),
    "running": (put(1, "options", value={"bach_size": 1}), "did you mean 'batch_size'?"),
    "input name": (put(1, "inputs", value={"txt": [0, "text"]}), "Lower has no input 'txt'"),
    "input missing": (put(1, "inputs", value={}), "Lower needs the input 'text'"),
    "input type": (
        put(1, "inputs", "text", value=[0, "m", "x"]),
        "Lower takes a string as 'text', got int64",
    ),
    "changed type": (
        lambda nodes, _: change_type(nodes),
        "its output was large_string when the flow was saved, and is string now",
    ),
    "feature": (put(1, "feature", value={"dtype": "strong", "_type": "Value"}), "its feature is none"),
    "feature extra": (
        put(1, "feature", value={"dtype": "string", "_type": "Value", "x": 1}),
        "its feature is not as `datasets` writes",
    ),
    "feature kind": (put(1, "feature", value={"_type": "pa"}), "its feature is none"),
    "feature nothing": (put(1, "feature", value=3), "its feature is none"),
    "scope": (put(1, "scope", value=7), "there is no scope 7"),
    "other scope": (put(1, "scope", value=0), "the flow breaks a rule: %1 runs on scope 0"),
    "more": (put(1, "colour", value=7), "node %1: colour: Extra inputs are not permitted"),
    "no node": (put(1, value=7), "node number 1 of the list"),
    "columns": (put(0, "operation", value={"columns": ["text"]}), "the flow breaks a rule: the source"),
    "column": (
        put(0, "operation", value={"columns": [1]}),
        "node %0 (source): its columns: Input should be a valid string",
    ),
    "beside": (
        lambda nodes, _: nodes[1].update(kind="const", operation={"scalar": {"beside": "7.scalar"}}),
        "its scalar is no constant of the file beside",
    ),
    "value": (
        lambda nodes, _: nodes[1].update(kind="const", operation={"scalar": {"value": 3}}),
        "node %1 (lower): 3 is no string",
    ),
    "sink": (
        put(-1, "operation", value={"name": "x", "y": 2}),
        "the operation of a sink has the fields name",
    ),
    "two sinks": (put(-1, "operation", value={"name": "rows"}), "two sinks with one name"),
    "scope kind": (lambda _, scopes: scopes[1].update(kind="x"), "scopes: kind"),
    "scope number": (lambda _, scopes: scopes[1].update(id=7), "scopes: they are numbered from 0"),
    "groups of their own groups": (
        lambda _, scopes: scopes.append(
            {"id": len(scopes), "kind": "groups", "parents": [0], "name": "g", "members": len(scopes)}
        ),
        "scopes: they are numbered from 0",
    ),
    "no scopes": (lambda _, scopes: scopes.clear(), "scopes: they are numbered from 0"),
    "no nodes": (lambda nodes, _: nodes.clear(), "the flow breaks a rule: 0 sources"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_graph_is_refused(case):
    change, message = BROKEN[case]
    with pytest.raises(InputError) as raised:
        loaded(edit(change))
    assert message in str(raised.value)
    assert raised.value.site.file == "flow.json"
    assert raised.value.hint


def test_the_line_of_the_node_is_named():
    with pytest.raises(InputError) as raised:
        loaded(edit(put(1, "inputs", value={})))
    assert str(raised.value).startswith("flow.json:11: node %1 (lower): ")


@pytest.mark.parametrize("what", ["nodes", "scopes"])
def test_what_is_no_list_is_refused(what):
    content = json.loads(plain(counted()))
    with pytest.raises(InputError, match=f"{what} are a list"):
        loaded({**content, what: {"a": 1}})


def test_every_kind_has_a_form():
    graph = counted()
    kinds = {Kind(node["kind"]) for node in json.loads(plain(graph))["nodes"]}
    assert kinds == {node.kind for node in graph.nodes.values()}
