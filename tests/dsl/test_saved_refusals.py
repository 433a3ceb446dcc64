"""What cannot be saved or loaded is refused, and no code of a file is run."""

from __future__ import annotations

import importlib
import json
import sys
import typing
from pathlib import Path

import pytest

from hyped_beam import DataFlow, Processor, processor
from hyped_beam.errors import DefinitionError, DefinitionTypeError
from hyped_beam.nodes.refs import builder_of
from hyped_beam.types.patterns import StringColumn
from tests.dsl.saved_flows import MODULE, elsewhere, refused, save_with, saved_text


class InTests(Processor):
    def process(self, text: StringColumn) -> StringColumn:
        return text


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
        assert "saved_flows.py:" in str(raised.value)
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
    assert "saved_flows.py:" in str(raised.value)
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
