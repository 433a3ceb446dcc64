"""Saved flows that were changed, or are none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import Count, Mean
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


def _without_constants(folder: Path) -> None:
    """A fitted flow that somebody has copied without the file beside it."""
    flow = DataFlow(features={"n": "int64", "text": "string"})
    source = flow.src_features
    rows = datasets.Dataset.from_dict({"n": range(20_000), "text": ["a"] * 20_000})
    by = ops.group_by({"n": source.n})
    flow.fit(rows, collect={"m": source.n - Mean().call(source.n, by=by)}).save(folder / "flow.json")
    (beside,) = folder.glob("flow.*.arrow")
    beside.unlink()


def _lookup(**table: object) -> Callable[[Path], None]:
    """A saved flow of a lookup whose table is changed by hand."""

    def make(folder: Path) -> None:
        pq.write_table(pa.table({"id": ["a"], "v": [1]}), folder / "table.parquet")
        flow = DataFlow(features={"n": "int64", "text": "string"})
        found = ops.lookup(flow.src_features.text, in_=str(folder / "table.parquet"), key="id")
        flow.save(folder / "flow.json", collect={"v": found.v})
        saved = json.loads((folder / "flow.json").read_text())
        for node in saved["nodes"]:
            if node["name"] == "lookup":
                node["operation"]["options"]["table"] |= table
        (folder / "flow.json").write_text(json.dumps(saved))

    return make


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "flow.json")


def _case(name: str, changes: tuple[tuple[str, str], ...], *says: str, arguments: str = RUN) -> Case:
    return Case(name, arguments, ("flow.json", *says), make=_changed(*changes))


def _lacking(name: str, changes: tuple[tuple[str, str], ...], *says: str) -> Case:
    """A case whose saved flow is right, but not for this source."""
    return Case(name, RUN, ("rows.parquet", *says), make=_changed(*changes))


DEEP = "[" * 400 + "]" * 400

SAVED = [
    Case(
        "a fitted flow without its constants", RUN, ("flow.json", "copy both files"), make=_without_constants
    ),
    _case("a saved flow nested 400 deep", (('"version": 1', f'"version": {DEEP}'),), "nested more than"),
    _case(
        "a saved flow whose feature is nested 100 deep",
        (
            (
                '"feature": {"dtype": "string"',
                '"feature": ' + '{"a": ' * 100 + "1" + "}" * 100 + ', "left_out": {"dtype": "string"',
            ),
        ),
        "node",
    ),
    *(
        Case(f"a saved flow with a table {what}", RUN, ("flow.json", says), make=_lookup(**table))
        for what, says, table in (
            ("of a reader that is not there", "no reader", {"reader": "hyped_beam.io.readers.none:Reader"}),
            ("of a name that is no reader", "no reader", {"reader": "hyped_beam.io.readers.parquet:pa"}),
            ("of a module elsewhere", "no reader", {"reader": "os.path:join"}),
            ("of a reader of no files", "no reader", {"reader": "hyped_beam.io.readers.first:FirstRows"}),
            ("of an unknown option", "option 'x'", {"options": {"paths": ["t.parquet"], "x": 1}}),
            ("of a reader without paths", "options of the table", {"options": {}}),
            ("whose options are none", "its options", {"options": 3}),
            ("of columns that are none", "columns", {"columns": {"id": 3}}),
            ("without its key", "'id'", {"columns": {}}),
            (
                "at a stranger's host",
                "--host ftp.example",
                {"options": {"paths": ["ftp://ftp.example/t.parquet"]}},
            ),
        )
    ),
    Case("a saved flow that is a pipe", RUN, ("flow.json", "is a pipe"), make=_pipe),
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
