"""Saved flows that were changed, or are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hyped_beam import DataFlow
from hyped_beam.aggregators import Count
from tests.bad_input.corpus import Case, files

RUN = "flow.json --run --input rows.parquet --output out"


def _saved(folder: Path) -> str:
    flow = DataFlow(features={"n": "int64", "text": "string"})
    source = flow.src_features
    path = folder / "flow.json"
    flow.save(path, collect={"up": source.text.upper()}, aggregators={"n": Count().call(source.n)})
    return path.read_text()


def _changed(*changes: tuple[str, str]) -> Callable[[Path], None]:
    """Makes a saved flow, and changes its text by hand."""

    def make(folder: Path) -> None:
        text = _saved(folder)
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        (folder / "flow.json").write_text(text)

    return make


def _case(name: str, changes: tuple[tuple[str, str], ...], *says: str, arguments: str = RUN) -> Case:
    return Case(name, arguments, ("flow.json", *says), make=_changed(*changes))


def _lacking(name: str, changes: tuple[tuple[str, str], ...], *says: str) -> Case:
    """A case whose saved flow is right, but not for this source."""
    return Case(name, RUN, ("rows.parquet", *says), make=_changed(*changes))


SAVED = [
    _case("a saved flow of another version", (('"version": 1', '"version": 99'),), "version 99"),
    _case("a saved flow of an unknown node", (('"node": "Upper"', '"node": "Uper"'),), "'Uper'", "'Upper'"),
    _case("a saved flow with a cycle", (('{"text": [0, "text"]}', '{"text": [3, "up"]}'),)),
    _case(
        "a saved flow with a changed type",
        (
            (
                '{"text": [0, "text"]}, "scope": 1, "feature": {"dtype": "string"',
                '{"text": [0, "text"]}, "scope": 1, "feature": {"dtype": "int64"',
            ),
        ),
        "int64",
    ),
    _case(
        "a saved flow whose input has another type",
        (('{"text": [0, "text"]}', '{"text": [0, "n"]}'),),
        "string",
    ),
    _case(
        "a saved flow that uses a node that is gone",
        (('"inputs": {"up": [1]}', '"inputs": {"up": [9]}'),),
        "9",
    ),
    _case(
        "a saved flow that reads a field that is gone",
        (('{"text": [0, "text"]}', '{"text": [0, "texd"]}'),),
        "texd",
    ),
    _case(
        "a saved flow with an unknown option", (('"node": "Upper"', '"node": "Upper", "options": {"x": 1}'),)
    ),
    _case("a saved flow without an output", (('"kind": "sink"', '"kind": "source"'),)),
    _case(
        "a saved flow of a module that was not named",
        (('"node": "Upper"', '"node": "os:system"'),),
        "os",
        "--module os",
    ),
    _lacking(
        "a saved flow whose source lacks a column",
        (
            ('[0, "text"]', '[0, "txt"]'),
            ('"columns": ["n", "text"]', '"columns": ["n", "txt"]'),
            ('"text": {"dtype"', '"txt": {"dtype"'),
        ),
        "'txt'",
    ),
    Case(
        "a saved flow that is cut short",
        RUN,
        ("flow.json",),
        make=lambda folder: (folder / "flow.json").write_text(_saved(folder)[:-60]),
    ),
    Case(
        "a file that is no saved flow", RUN, ("flow.json", "flow.save"), make=files(flow_dot_json='{"a": 1}')
    ),
    Case("a file that is no JSON", RUN, ("flow.json",), make=files(flow_dot_json="no")),
    Case("a saved flow of bad UTF-8", RUN, ("flow.json",), make=files(flow_dot_json=b"\xff\xfe")),
    Case("a saved flow without a source", "flow.json --run --output out", ("--input",), make=_changed()),
    Case(
        "a saved flow without a folder",
        "flow.json --run --input rows.parquet",
        ("--output",),
        make=_changed(),
    ),
    Case(
        "a module of nodes that is not there",
        f"{RUN} --module no_such_nodes",
        ("no_such_nodes",),
        make=_changed(('"node": "Upper"', '"node": "no_such_nodes:Clean"')),
    ),
]
