"""Features against the formulas that their docstrings name, in numpy and plain Python, on real mails."""

from __future__ import annotations

import decimal
import json
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, FlowError, features, ops
from hyped_beam.aggregators import Quantiles, Vocabulary
from hyped_beam.errors import DefinitionTypeError
from hyped_beam.testing import evaluate, flow_of

ROOT = Path(__file__).parent.parent
MAILS = pq.read_table(ROOT / "examples" / "data" / "mail.parquet").to_pydict()
TOKENS = [text.lower().split() for text in MAILS["text"]]
LENGTHS = np.array([len(tokens) for tokens in TOKENS])
GROUPS = np.array(MAILS["group"])


def collected(src):
    tokens = src.text.lower().split()
    length = tokens.length()
    return {
        "z": features.z_score(length),
        "z_sample": features.z_score(length, by=src.group, ddof=1),
        "scaled": features.min_max(length),
        "scaled_in_group": features.min_max(length, by={"group": src.group}),
        "bucket": features.bucketize(length),
        "half": features.bucketize(length, 2, by=src.group),
        "given": features.bucketize(length, boundaries=[100, 1000]),
        "group": features.one_hot(src.group, size=3),
        "weights": features.tfidf(tokens),
        "frequent": features.tfidf(tokens, min_df=20, sublinear_tf=True, norm="l1"),
        "plain": features.tfidf(tokens, norm=None),
    }


@pytest.fixture(scope="module")
def mails():
    return datasets.load_dataset(
        "parquet", data_files=str(ROOT / "examples" / "data" / "mail.parquet"), split="train"
    )


@pytest.fixture(scope="module")
def flow(mails):
    return DataFlow(features=mails.features)


@pytest.fixture(scope="module")
def fitted(flow, mails):
    return flow.fit(mails, collect=collected(flow.src_features))


@pytest.fixture(scope="module")
def loaded(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("fitted") / "features.json"
    fitted.save(path)
    return DataFlow.load(path)


@pytest.fixture(scope="module", params=["applied", "fitted", "loaded"])
def rows(request, mails):
    """The features of all mails: computed at once, by a fitted flow, and by one that was saved and loaded."""
    if request.param == "applied":
        flow = request.getfixturevalue("flow")
        return flow.apply(mails, collect=collected(flow.src_features), num_proc=2)[0][:]
    return request.getfixturevalue(request.param).apply(mails)[0][:]


def per_group(compute):
    found = np.empty(len(GROUPS))
    for group in set(GROUPS):
        members = np.flatnonzero(group == GROUPS)
        found[members] = compute(LENGTHS[members])
    return found


def test_z_scores(rows):
    assert rows["z"] == pytest.approx((LENGTHS - LENGTHS.mean()) / LENGTHS.std(), rel=1e-12)
    sample = per_group(lambda numbers: (numbers - numbers.mean()) / numbers.std(ddof=1))
    assert rows["z_sample"] == pytest.approx(sample, rel=1e-12, abs=1e-15)


def test_scaled_to_the_extremes(rows):
    def scaled(numbers):
        return (numbers - numbers.min()) / (numbers.max() - numbers.min())

    assert rows["scaled"] == scaled(LENGTHS).tolist()
    assert rows["scaled_in_group"] == per_group(scaled).tolist()


def test_buckets(rows):
    deciles = np.quantile(LENGTHS, np.arange(1, 10) / 10)
    assert rows["bucket"] == np.digitize(LENGTHS, deciles).tolist()
    assert set(np.bincount(rows["bucket"])) <= set(range(38, 44))
    assert rows["half"] == per_group(lambda numbers: numbers >= np.median(numbers)).astype(int).tolist()
    assert rows["given"] == np.digitize(LENGTHS, [100, 1000]).tolist()


def test_one_hot(rows):
    places = [group for group, _ in sorted(Counter(MAILS["group"]).items(), key=lambda it: (-it[1], it[0]))]
    assert rows["group"] == [[int(group == place) for place in places[:3]] for group in MAILS["group"]]
    assert [0, 0, 0] in rows["group"]


def reference(min_df=1, *, sublinear_tf=False, norm="l2"):
    """TfidfVectorizer of scikit-learn as its user guide gives the formulas."""
    df = Counter(token for tokens in TOKENS for token in set(tokens))
    for tokens in TOKENS:
        weights = {}
        for token, count in Counter(tokens).items():
            if df[token] >= min_df:
                tf = 1 + math.log(count) if sublinear_tf else count
                weights[token] = tf * (math.log((1 + len(TOKENS)) / (1 + df[token])) + 1)
        order = {"l1": 1, "l2": 2}.get(norm)
        length = np.linalg.norm(list(weights.values()), order) if order and weights else 1
        yield {token: weight / length for token, weight in weights.items()}


@pytest.mark.parametrize(
    ("column", "options"),
    [
        ("weights", {}),
        ("frequent", {"min_df": 20, "sublinear_tf": True, "norm": "l1"}),
        ("plain", {"norm": None}),
    ],
)
def test_tfidf(rows, column, options):
    for found, expected in zip(rows[column], reference(**options), strict=True):
        assert [weight["token"] for weight in found] == list(expected)
        assert [weight["weight"] for weight in found] == pytest.approx(list(expected.values()), rel=1e-12)


def test_new_rows_are_measured_by_those_that_were_seen(loaded):
    batch = {
        "text": ["to zyzzyva to", "zyzzyva", "", "word " * 10_000],
        "group": ["spam-1", "never seen", "spam-1", "spam-1"],
    }
    out = loaded.batch_process(batch)
    weights = [[weight["token"] for weight in row] for row in out["weights"]]
    assert weights == [["to"], [], [], ["word"]]
    assert [row[0]["weight"] for row in out["weights"] if row] == [1.0, 1.0]
    assert out["scaled"][2] == pytest.approx(-LENGTHS.min() / (LENGTHS.max() - LENGTHS.min()))
    assert out["scaled"][3] > 1
    assert out["bucket"] == [0, 0, 0, 9]
    assert out["z_sample"][1] is None
    assert out["half"][1] is None
    assert out["group"][1] == [0, 0, 0]


def test_the_aggregates_are_shared_with_those_that_are_asked_for(flow):
    src = flow.src_features
    length = src.text.split().length()
    plan = flow.explain(
        collect={"hot": features.one_hot(src.group), "bucket": features.bucketize(length, 2)},
        aggregators={"places": Vocabulary().call(src.group), "half": Quantiles(q=[0.5]).call(length)},
    )
    assert plan.splitlines()[0].startswith("plan: 2 scans, ")
    assert "of 2 aggregates" in plan.splitlines()[0]


# ------------------------------------------------------------------------------------------------ edges


def of(values, compute, kind=None, **columns):
    table = pa.table({"x": pa.array(values, kind), **columns})
    return evaluate(compute(flow_of(table.schema)), table).to_pylist()


@pytest.mark.parametrize("scale", [features.z_score, features.min_max])
def test_numbers_that_are_all_equal_give_zero(scale):
    assert of([0.1] * 3 + [None], lambda src: scale(src.x)) == [0.0, 0.0, 0.0, None]
    assert of([7], lambda src: scale(src.x), pa.int8()) == [0.0]
    assert of([1, 1, 5], lambda src: scale(src.x, by=src.k), k=["a", "a", "b"]) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("scale", [features.z_score, features.min_max])
def test_a_constant_that_was_fitted_measures_distances(scale):
    flow = DataFlow(features={"x": datasets.Value("float64")})
    fitted = flow.fit(
        datasets.Dataset.from_dict({"x": [2.0, 2.0]}), collect={"y": scale(flow.src_features.x)}
    )
    assert fitted.batch_process({"x": [2.0, 3.5]}) == {"y": [0.0, 1.5]}


@pytest.mark.parametrize("scale", [features.z_score, features.min_max])
def test_nothing_but_nulls_and_no_rows(scale):
    assert of([None, None], lambda src: scale(src.x), pa.int64()) == [None, None]
    assert of([], lambda src: scale(src.x), pa.int64()) == []
    assert of([], lambda src: features.bucketize(src.x), pa.int64()) == []
    assert of([None], lambda src: features.bucketize(src.x), pa.int64()) == [None]


def test_one_value_has_no_sample_deviation():
    assert of([1.0], lambda src: features.z_score(src.x, ddof=1)) == [None]


def test_nan():
    nan = math.nan
    assert all(map(math.isnan, of([1.0, nan], lambda src: features.z_score(src.x))))
    (zero, unknown, one) = of([1.0, nan, 3.0], lambda src: features.min_max(src.x))
    assert (zero, math.isnan(unknown), one) == (0.0, True, 1.0)
    assert of([1.0, nan, 3.0, None], lambda src: features.bucketize(src.x, 2)) == [0, None, 1, None]


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.uint8(), pa.int64(), pa.float32(), pa.float16(), pa.decimal128(5, 1)]
)
def test_no_number_overflows(kind):
    values = {pa.int8(): [-128, 127], pa.int64(): [-(2**63), 2**63 - 1]}.get(kind, [0, 200])
    if pa.types.is_decimal(kind):
        values = list(map(decimal.Decimal, values))
    assert of(values, lambda src: features.min_max(src.x), kind) == [0.0, 1.0]
    assert of(values, lambda src: features.z_score(src.x), kind) == [-1.0, 1.0]
    assert of(values, lambda src: features.bucketize(src.x, 2), kind) == [0, 1]


def test_a_number_that_fills_several_buckets():
    assert of([1, 1, 1, 1, 2], lambda src: features.bucketize(src.x, 4)) == [3, 3, 3, 3, 3]


def test_one_hot_of_labels_integers_and_booleans():
    table = pa.table({"x": pa.array([1, 1, 0, None], pa.int64())})
    src = flow_of({"x": datasets.ClassLabel(names=["ham", "spam"])})
    assert evaluate(features.one_hot(src.x), table).to_pylist() == [[1, 0], [1, 0], [0, 1], None]
    assert of([5, 7, 7], lambda src: features.one_hot(src.x)) == [[0, 1], [1, 0], [1, 0]]
    assert of([True, False, True], lambda src: features.one_hot(src.x, min_count=2)) == [[1], [0], [1]]


def test_one_hot_of_nothing():
    assert of([None, None], lambda src: features.one_hot(src.x), pa.string()) == [None, None]
    assert of(["a"], lambda src: features.one_hot(src.x, min_count=2)) == [[]]


def test_tfidf_of_empty_and_null_rows():
    values = [["a", None, "a"], [], None, [None]]
    found = of(values, lambda src: features.tfidf(src.x), pa.list_(pa.string()))
    assert found == [[{"token": "a", "weight": 1.0}], [], None, []]
    assert of([], lambda src: features.tfidf(src.x), pa.list_(pa.string())) == []
    assert of([[], None], lambda src: features.tfidf(src.x), pa.list_(pa.string())) == [[], None]


def test_tfidf_of_numbers_and_of_exploded_rows():
    plain = of([[1, 1], [2]], lambda src: features.tfidf(src.x, norm=None))
    idf = math.log(3 / 2) + 1
    assert plain == [[{"token": 1, "weight": 2 * idf}], [{"token": 2, "weight": idf}]]
    lines = of(["a b\na", "b"], lambda src: features.tfidf(ops.explode(src.x.split("\n")).split(), norm=None))
    assert [[weight["token"] for weight in line] for line in lines] == [["a", "b"], ["a"], ["b"]]
    assert lines[2][0]["weight"] == math.log(4 / 3) + 1


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            lambda src: features.z_score(src.t),
            r'takes a number, got string\n  hint: write .cast\("float64"\)',
        ),
        (lambda src: features.min_max(src.when), "takes a number, got timestamp"),
        (lambda src: features.z_score(3), r"z_score\(\) takes a ref, got 3"),
        (lambda src: features.bucketize(src.x, 1), "2 buckets or more, got 1"),
        (lambda src: features.bucketize(src.x, 2, [1]), "boundaries, or the number of buckets"),
        (lambda src: features.bucketize(src.x, boundaries=[2, 1]), r"ascending order, got \[2, 1\]"),
        (lambda src: features.bucketize(src.x, boundaries=["a"]), r"ascending order, got \['a'\]"),
        (lambda src: features.bucketize(src.x, boundaries=[math.nan]), r"ascending order, got \[nan\]"),
        (lambda src: features.bucketize(src.x, boundaries="1"), "a list of boundaries, got '1'"),
        (lambda src: features.one_hot(src.x), "takes text, integers, booleans or labels, got float64"),
        (lambda src: features.one_hot(src.t, size=0), "option 'size'"),
        (lambda src: features.tfidf(src.t), r"a list of tokens, got string\n  hint: write .split\(\)"),
        (lambda src: features.tfidf(src.t.split(), norm="l3"), 'norm="l1", "l2" or None'),
        (lambda src: features.tfidf(src.t.split(), min_df=0), "from 1 as min_df, got 0"),
    ],
)
def test_what_is_wrong_is_said_on_its_line(wrong, told):
    src = flow_of(pa.schema({"t": pa.string(), "x": pa.float64(), "when": pa.timestamp("us")}))
    with pytest.raises(FlowError, match=told) as raised:
        wrong(src)
    assert str(raised.value.site).startswith(str(Path(__file__).relative_to(Path.cwd())))


# ---------------------------------------------------------------------------------------------- example


def test_the_example(tmp_path):
    target = ROOT / "examples" / "tfidf.py"
    (_, _, code) = target.read_text(encoding="utf-8").split('"""')
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    done = subprocess.run(
        [sys.executable, "-m", "hyped_beam.compile", f"{target}:job", "--run"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )
    assert done.returncode == 0, done.stderr
    written = [
        json.loads(line)
        for part in sorted((tmp_path / "out" / "tfidf").glob("*.jsonl"))
        for line in part.read_text(encoding="utf-8").splitlines()
    ]
    assert [row["id"] for row in written] == MAILS["id"]
    for row, expected in zip(written, reference(min_df=2), strict=True):
        found = {weight["token"]: weight["weight"] for weight in row["weights"]}
        assert found == pytest.approx(expected, rel=1e-12)


def test_lists_of_refs_stand_for_list_refs():
    table = pa.table({"n": [0, 5, 9], "low": [1, 1, 1], "high": [6, 4, 6], "s": ["a", "b", "a"]})
    src = flow_of(table.schema)
    buckets = features.bucketize(src.n, boundaries=[src.low, src.high])
    assert evaluate(buckets, table).to_pylist() == [0, 2, 2]
    for tokens in ([src.s, "k"], ops.collect([src.s, "k"])):
        weights = evaluate(features.tfidf(tokens), table).to_pylist()
        assert [[item["token"] for item in row] for row in weights] == [["a", "k"], ["b", "k"], ["a", "k"]]
    with pytest.raises(DefinitionTypeError, match=r"z_score\(\) takes a number, got \{n: int64\}") as caught:
        features.z_score({"n": src.n})
    assert caught.value.site.file == __file__
