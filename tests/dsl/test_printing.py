"""Names of a stranger are printed without what a terminal obeys: in plans, pictures and messages."""

from __future__ import annotations

import io
import json

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import Count
from hyped_beam.compile.__main__ import main
from hyped_beam.errors import FlowError, escaped

ODD = "a\x1b[2Jb\x9bc\u202ed\r\x7fe"


@pytest.fixture
def flow():
    return DataFlow(features={ODD: "string", "n": "int64", "label": datasets.ClassLabel(names=[ODD, "b"])})


def test_nothing_that_is_shown_of_a_flow_holds_control_characters(flow, tmp_path):
    src = flow.src_features
    words = src[ODD].upper().replace(ODD, "x")
    collect = {ODD: words, "deep": {ODD: src}, "k": ops.collect({ODD: src[ODD]})[ODD]}
    built, _ = flow.build(collect=collect, aggregators={ODD: Count().call(src[ODD])})
    built.plot(save=tmp_path / "flow.svg")
    shown = [
        *(repr(flow), repr(src), repr(words), repr(src[ODD]), repr(src[ODD].upper), built.explain()),
        *(str(built.outputs), (tmp_path / "flow.svg").read_text()),
    ]
    for wrong in (
        lambda: src[ODD + "?"],
        lambda: src[ODD] + 1,
        lambda: built.batch_process({"x\x1b": [1]}),
        lambda: DataFlow.load(tmp_path / ODD),
        lambda: ops.lookup(src[ODD], in_=f"{tmp_path}/{ODD}", key="id"),
        lambda: DataFlow(features={ODD: ODD}),
    ):
        with pytest.raises(FlowError) as raised:
            wrong()
        shown.append(str(raised.value))
    for text in shown:
        assert escaped(text) == text
        assert "\r" not in text
    assert "\\x1b" in built.explain()


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize("what", [["--print", "plan"], ["--print", "ir"], ["--print", "dot"], ["--run"]])
def test_nothing_that_the_command_line_prints_does(tmp_path, capsys, monkeypatch, options, what):
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table({ODD: ["a", "b"], "n": [1, 2]}), "rows.parquet")
    flow = DataFlow(features={ODD: "string", "n": "int64"})
    src = flow.src_features
    flow.save("flow.json", collect={ODD: src[ODD].upper()}, aggregators={ODD: Count().call(src[ODD])})
    arguments = ["flow.json", "--input", "rows.parquet", "--output", "out", *what, *options]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert escaped(printed.out) == printed.out
    assert "\r" not in printed.out
    if options:
        told = [json.loads(line) for line in io.StringIO(printed.out)]
        assert told
        if what == ["--run"]:
            assert told[-1]["aggregates"] == {ODD: 2}  # what is meant is what it was


def test_nor_what_it_complains_of(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([f"{ODD}.json"]) == 2
    assert main(["flow.json", "--runner", ODD]) == 2
    printed = capsys.readouterr()
    assert escaped(printed.err) == printed.err
    assert "\\x1b" in printed.err
