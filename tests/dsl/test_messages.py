from __future__ import annotations

import json

import datasets
import pyarrow as pa
import pytest

from hyped_beam import DataFlow, Limits, Processor, ops, processor
from hyped_beam.aggregators import Count, Max, Mean
from hyped_beam.augmentors import Filter
from hyped_beam.dsl.running import write_json
from hyped_beam.errors import DefinitionError, NodeError
from hyped_beam.io.writers.json import JsonDatasetWriter

FEATURES = {"text": "string", "n": "int64", "sent": "timestamp[ms]"}


@processor
def first(text: str) -> str:
    return text[:1]


class Upper(Processor):
    def process_row(self, text: str) -> str:
        return text.upper()


@pytest.fixture
def src():
    return DataFlow(features=FEATURES).src_features


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda src: src.text.lower.contains("x"), r"(?s)lower is a method.*\.lower\(\)"),
        (lambda src: src.sent.hour + 1, r"(?s)hour is a method.*\.hour\(\)"),
        (lambda src: src.text == None, r"(?s)nothing equals null.*is_null\(\)"),  # noqa: E711 - the mistake
        (lambda src: src.text + f"{src.n}", r"(?s)no text while the flow is written.*ops\.format"),
        (lambda src: Mean(src.n), r"(?s)Mean takes its options by name.*Mean\(\)\.call\(ref\)"),
        (lambda src: Mean.call(src.n), r"(?s)Mean\.call\(\.\.\.\) is called on the class.*Mean\(\)\.call\("),
        (lambda src: Mean.call(value=src.n), r"(?s)is called on the class.*Mean\(\)\.call\("),
        (lambda src: Upper.call(src.text), r"(?s)is called on the class.*Upper\(\)\.call\("),
        (lambda src: Filter.call(condition=src.n > 1), r"(?s)is called on the class.*Filter\(\)\.call\("),
        (lambda src: first(src.text), r"(?s)was given a ref.*write first\.call\("),
        (lambda src: first(text=src.text), r"first\(\.\.\.\) calls the function itself"),
        (lambda src: src.n.alias("m"), r'(?s)no method .alias.*collect=\{"name": ref\}'),
        (lambda src: src.text.is_in(["spam", 3]), r"\['spam', 3\] are of mixed types: str and int"),
        (lambda src: Mean().call(Count().call(src.n)), "Mean takes values of rows"),
        (lambda src: src.text - 1, r"'-' means nothing for string"),
        (lambda src: src.text + 1, r"'\+': string and int64 have no type in common"),
        (lambda _src: Limits(concurency=2), r"(?s)Limits has no option.*'concurrency'"),
        (lambda _src: DataFlow(features={"a": int}), "'a' is <class 'int'>, which is no feature"),
    ],
)
def test_a_mistake_is_named_on_its_line(src, write, message):
    with pytest.raises(DefinitionError, match=message) as caught:
        write(src)
    assert caught.value.site is not None
    assert caught.value.site.file == __file__


def test_a_node_called_by_its_class_with_itself_is_the_same(src):
    assert ops.feature(Mean.call(Mean(), src.n)) == ops.feature(Mean().call(src.n))


def test_a_function_that_was_made_a_node_is_still_called_on_values():
    assert first("abc") == "a"


def test_dtypes_stand_for_their_features():
    flow = DataFlow(features={"a": "int32", "b": {"c": pa.string()}})
    assert flow.features == datasets.Features(
        {"a": datasets.Value("int32"), "b": {"c": datasets.Value("string")}}
    )


def test_the_line_that_raised_is_told():
    def inner(number: int) -> int:
        return 1 // number

    @processor
    def fails(number: int) -> int:
        return inner(number)

    flow = DataFlow(features={"n": "int64"})
    with pytest.raises(NodeError, match=r"raised in: .*test_messages\.py:\d+, inner\n  row: number=0"):
        flow.apply(datasets.Dataset.from_dict({"n": [1, 0]}), collect={"m": fails.call(flow.src_features.n)})


def test_aggregates_are_valid_json(tmp_path):
    row = pa.record_batch({"ratio": [float("nan")], "last": pa.array([0], pa.timestamp("ms", "UTC"))})
    write_json(str(tmp_path / "stats.json"), row)
    assert json.loads((tmp_path / "stats.json").read_text()) == {
        "ratio": None,
        "last": "1970-01-01T00:00:00.000Z",
    }


def test_an_aggregate_without_a_name(src):
    with pytest.raises(DefinitionError, match="takes a mapping of names to aggregates"):
        DataFlow(features=FEATURES).build(aggregators=Max().call(src.n))


def test_a_job_over_a_dataset_is_resumed_by_a_flow_written_again(tmp_path):
    ds = datasets.Dataset.from_dict({"n": list(range(300))})
    for overwrite in ("error", "resume"):
        flow = DataFlow(features=ds)
        flow.src_features.n * 2
        writer = JsonDatasetWriter(tmp_path / "out", overwrite=overwrite)
        result = flow.job(source=ds).write(collect={"n": flow.src_features.n + 1}, to=writer).run()
        assert result.rows == {"rows": 300}


def test_an_option_that_beam_does_not_know(tmp_path):
    ds = datasets.Dataset.from_dict({"n": [1]})
    flow = DataFlow(features=ds)
    job = flow.job(source=ds).write(collect=flow.src_features, to=JsonDatasetWriter(tmp_path / "out"))
    with pytest.raises(DefinitionError, match=r"(?s)Beam has no option 'job_nam'.*'job_name'"):
        job.run(options={"job_nam": "mail"})
