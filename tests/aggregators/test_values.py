"""Aggregators of values: which are equal, in which order they come, what is too many, what is refused."""

from __future__ import annotations

import datetime
import math
import re
from typing import Any

import datasets
import pyarrow as pa
import pytest

from hyped_beam import NodeError
from hyped_beam.aggregators import (
    All,
    ApproxCountDistinct,
    ArgMax,
    ArgMin,
    BloomFilter,
    CollectList,
    Correlation,
    CountDistinct,
    First,
    Histogram,
    Median,
    Product,
    Quantiles,
    Sample,
    TopK,
    ValueCounts,
    Variance,
    Vocabulary,
)
from hyped_beam.errors import DefinitionError, DefinitionTypeError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import aggregate, flow_of
from hyped_beam.types import features

SRC = flow_of(
    {
        "n": "int64",
        "d": "decimal128(5, 2)",
        "text": "string",
        "flag": "bool",
        "label": datasets.ClassLabel(names=["a", "b"]),
        "words": datasets.List(datasets.Value("string")),
        "numbers": datasets.List(datasets.Value("int64")),
        "matrix": datasets.Array2D((2, 2), "float32"),
        "s": {"x": datasets.Value("string")},
    }
)


def one(node: Any, run: Any, **columns: pa.Array) -> Any:
    return run(node, columns)[0].as_py()


def test_nan_and_zero_are_one_value_each(run):
    values = pa.array([0.0, math.nan, -0.0, None, math.nan, math.nan])
    assert str(one(ValueCounts(), run, value=values)) == str(
        [{"value": math.nan, "count": 3}, {"value": 0.0, "count": 2}]
    )
    assert one(CountDistinct(), run, value=values) == one(ApproxCountDistinct(), run, value=values) == 2
    assert str(one(Sample(k=9), run, value=pa.array([-0.0]))) == "[0.0]"
    nested = pa.array([[0.0, math.nan], [-0.0, math.nan], [0.0, None], None, []])
    assert [item["count"] for item in one(ValueCounts(), run, value=nested)] == [2, 1, 1]
    assert one(CountDistinct(), run, value=nested) == 3
    structs = pa.array([{"x": -0.0}, {"x": 0.0}, {"x": None}, None])
    assert str(one(ValueCounts(), run, value=structs)[0]) == "{'value': {'x': 0.0}, 'count': 2}"


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.bool_(), [True, False, True]),
        (pa.date32(), [datetime.date(2020, 1, 2), datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)]),
        (pa.binary(), [b"b", b"a", b"b"]),
        (pa.duration("s"), [datetime.timedelta(2), datetime.timedelta(1), datetime.timedelta(2)]),
        (pa.float16(), [2.0, 1.0, 2.0]),
        (pa.list_(pa.float32(), 2), [[1.0, 2.0], [0.0, 1.0], [1.0, 2.0]]),
        (pa.large_list(pa.string()), [["b"], [], ["b"]]),
    ],
    ids=str,
)
def test_values_of_many_types(kind, values, run):
    column = pa.array(values, kind)
    for seed in (None, 1, 2):
        found = run(ValueCounts(), {"value": column}, seed=seed)[0].as_py()
        assert found == [{"value": values[0], "count": 2}, {"value": values[1], "count": 1}]
        assert run(CountDistinct(), {"value": column}, seed=seed)[0].as_py() == 2
        assert run(CollectList(limit=9), {"value": column}, seed=seed)[0].as_py() == values


def test_any_feature_is_a_payload(run):
    value = pa.array([1, 3, 3])
    for payload in ([[1], None, [2]], [{"x": 1}, {"x": None}, None], ["a", "b", "c"]):
        column = pa.array(payload)
        assert one(ArgMax(), run, value=value, payload=column) == payload[1]
        assert one(ArgMin(), run, value=value, payload=column) == payload[0]
    kind = features.to_arrow(datasets.Array2D((2, 2), "float32"))
    matrices = [[[number, 0], [0, 0]] for number in range(3)]
    column = pa.ExtensionArray.from_storage(kind, pa.array(matrices, kind.storage_type))
    table = pa.table({"n": [2, 5, 5], "matrix": column})
    src = flow_of({"n": "int64", "matrix": datasets.Array2D((2, 2), "float32")})
    assert aggregate(ArgMax().call(value=src.n, payload=src.matrix), table) == matrices[1]
    assert aggregate(CollectList(limit=2).call(src.matrix), table) == matrices[:2]
    assert aggregate(CountDistinct().call(src.matrix), table) == 3
    assert features.same(feature_of(First().call(SRC.matrix)), feature_of(SRC.matrix))


def test_ties_and_nan_of_arguments(run):
    value = pa.array([math.nan, None, 1.0, 1.0])
    payload = pa.array(["nan", "null", "first", "second"])
    assert one(ArgMax(), run, value=value, payload=payload) == "first"
    assert one(ArgMin(), run, value=value.slice(0, 2), payload=payload.slice(0, 2)) == "nan"
    assert one(ArgMin(), run, value=pa.nulls(2, pa.int64()), payload=payload.slice(0, 2)) is None


def test_more_values_than_allowed_are_an_error(run):
    values = {"value": pa.array(range(10))}
    node = ValueCounts(max_values=9)
    for seed in (None, 3):
        with pytest.raises(ValueError, match="more than max_values=9 different values"):
            run(node, values, seed=seed)
    assert len(run(node, values, [row % 2 for row in range(10)], 2)) == 2
    words = {"value": pa.array([["a", "b"], ["c"]])}
    with pytest.raises(ValueError, match="more than max_values=2"):
        run(Vocabulary(max_values=2), words)
    src = flow_of({"n": "int64"})
    with pytest.raises(NodeError, match=r"(?s)value_counts.*ApproxTopK"):
        aggregate(ValueCounts(max_values=1).call(src.n), pa.table({"n": [1, 2]}))


def test_a_vocabulary_gives_tokens_their_numbers():
    table = pa.table({"text": ["b a b", None, "c b a", "d"]})
    src = flow_of(table.schema)
    words = src.text.split()
    assert aggregate(Vocabulary().call(words), table) == ["b", "a", "c", "d"]
    assert aggregate(Vocabulary(min_count=2, size=1).call(words), table) == ["b"]
    assert aggregate(Vocabulary().call(src.text), table) == ["b a b", "c b a", "d"]


def test_histogram_edges(run):
    values = pa.array([-1.0, 0.0, 1.0, 2.0, 3.0, math.nan, None, math.inf, -math.inf])
    found = one(Histogram(edges=[0, 1, 2]), run, value=values)
    assert found == {"edges": [0.0, 1.0, 2.0], "counts": [1, 2], "below": 2, "above": 2}
    found = one(Histogram(bins=4, low=0, high=2), run, value=values)
    assert found["counts"] == [1, 0, 1, 1]
    assert found["edges"] == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_quantiles_between_and_at_values(run):
    values = pa.array([10, 20, 30, 40])
    assert one(Quantiles(q=[0.5, 0.25]), run, value=values) == [25.0, 17.5]
    assert one(Quantiles(q=[0.5, 0.25], interpolation="lower"), run, value=values) == [20.0, 10.0]
    assert one(Quantiles(q=[0.5]), run, value=pa.array([math.nan, math.inf])) == [math.inf]
    assert one(Quantiles(q=[0.5]), run, value=pa.array([math.nan])) is None


def test_wrong_inputs_are_refused_where_they_are_called():
    refused = [
        (lambda: Variance().call(SRC.text), "Variance takes a number as 'value', got string"),
        (lambda: All().call(SRC.n), "All takes bool as 'value', got int64"),
        (lambda: Median().call(SRC.flag), "Median takes a number"),
        (lambda: Product().call(SRC.d), "takes integers or floats, got decimal128"),
        (lambda: ArgMax().call(value=SRC.words, payload=SRC.n), "takes numbers, text, booleans or times"),
        (lambda: Vocabulary().call(SRC.n), "Vocabulary takes a string or a list of strings"),
        (lambda: Vocabulary().call(SRC.numbers), "takes a string or a list of strings, got list<int64>"),
        (lambda: Correlation().call(SRC.n), "takes its inputs by name"),
    ]
    for call, message in refused:
        with pytest.raises(DefinitionTypeError, match=re.escape(message)) as caught:
            call()
        assert caught.value.site is not None
        assert caught.value.site.file == __file__


def test_wrong_options_are_refused_where_they_are_written():
    refused: list[tuple[Any, dict[str, Any]]] = [
        (Quantiles, {"q": []}),
        (Quantiles, {"q": [1.5]}),
        (Quantiles, {}),
        (Variance, {"ddof": -1}),
        (TopK, {"k": 0}),
        (TopK, {}),
        (CollectList, {}),
        (BloomFilter, {"capacity": 10, "error": 0}),
        (Histogram, {}),
        (Histogram, {"bins": 3}),
        (Histogram, {"bins": 3, "low": 1, "high": 1}),
        (Histogram, {"edges": [1]}),
        (Histogram, {"edges": [1, 1]}),
        (Histogram, {"edges": [1, math.nan]}),
        (Histogram, {"edges": [1, 2], "bins": 3}),
        (Sample, {"k": 1, "seed": -1}),
    ]
    for node, options in refused:
        with pytest.raises(DefinitionError, match=node.__name__) as caught:
            node(**options)
        assert caught.value.site is not None
        assert caught.value.site.file == __file__


def test_types_of_values():
    def shown(ref: Any) -> str:
        return features.describe(feature_of(ref))

    assert shown(ValueCounts().call(SRC.text)) == "list<{value: string, count: int64}>"
    assert shown(TopK(k=1).call(SRC.label)) == "list<{value: ClassLabel(a, b), count: int64}>"
    assert shown(ArgMin().call(value=SRC.n, payload=SRC.s)) == "{x: string}"
    assert shown(Quantiles(q=[0.5]).call(SRC.n)) == "list<float64>"
    assert shown(CollectList(limit=1).call(SRC.label)) == "list<ClassLabel(a, b)>"
    assert shown(Vocabulary().call(SRC.words)) == "list<string>"
    assert shown(BloomFilter(capacity=1).call(SRC.s)) == "binary"
