"""Fitting: aggregates become constants, which are saved, loaded elsewhere, and serve."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, NodeError, ops
from hyped_beam.aggregators import Count, Max, Mean, Min, Std, Sum, Vocabulary
from hyped_beam.errors import DefinitionError

MAILS = datasets.Dataset(
    pq.read_table(Path(__file__).parents[2] / "examples" / "data" / "mail.parquet").combine_chunks()
)


def features_of_mails(src):
    """Aggregates of all rows, of groups, of groups of groups, of other rows, on several levels."""
    length = src.text.split().length()
    off = length - Mean().call(length, by=src.group)
    g = ops.group_by({"label": src.label, "group": src.group})
    mails = Count().call(src.id, by=g)
    largest = Max().call(mails, by={"label": g.keys.label})
    words = ops.explode(src.text.lower().split())
    return {
        "z": (length - Mean().call(length)) / Std().call(length),
        "off": off,
        "far": off / Max().call(abs(off)),
        "share": mails / largest,
        "lines": Count().call(words, by=ops.each(src)) / Mean().call(words.length()),
        "spam": Sum().call(length, where=src.label == "spam"),
    }


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A flow, what it makes of the mails, and a file that holds it fitted."""
    flow = DataFlow(features=MAILS.features)
    wanted, _ = flow.apply(MAILS, collect=features_of_mails(flow.src_features))
    fitted = flow.fit(MAILS, collect=features_of_mails(flow.src_features))
    path = tmp_path_factory.mktemp("fitted") / "flow.json"
    fitted.save(path)
    return fitted, wanted, path


def test_a_fitted_flow_gives_what_the_flow_gives(saved):
    fitted, wanted, _ = saved
    assert fitted.batch_process(MAILS[:]) == wanted[:]
    assert fitted.batch_process(MAILS[7:9]) == wanted[7:9]
    applied, _ = fitted.apply(MAILS)
    assert applied[:] == wanted[:]
    lazily, _ = fitted.apply(MAILS.to_iterable_dataset(num_shards=3), batch_size=50)
    assert list(lazily) == wanted.to_list()
    assert fitted.preview(MAILS, n=3).to_dict("list") == wanted[:3]
    assert "1 scan," in fitted.explain()


def test_a_saved_flow_serves_in_another_process(saved, tmp_path):
    _, wanted, path = saved
    program = (
        "import sys, pyarrow as pa, pyarrow.parquet as pq\n"
        "from hyped_beam import DataFlow\n"
        "mails = pq.read_table(sys.argv[2]).combine_chunks()\n"
        "pq.write_table(DataFlow.load(sys.argv[1]).batch_process(mails), sys.argv[3])\n"
    )
    source = Path(__file__).parents[2] / "examples" / "data" / "mail.parquet"
    out = tmp_path / "rows.parquet"
    subprocess.run([sys.executable, "-c", program, str(path), str(source), str(out)], check=True)
    assert pq.read_table(out).to_pydict() == wanted[:]


def test_a_loaded_flow_is_saved_again(saved, tmp_path):
    _, wanted, path = saved
    DataFlow.load(path).save(tmp_path / "again.json")
    assert DataFlow.load(tmp_path / "again.json").batch_process(MAILS[:5]) == wanted[:5]


NUMBERS = datasets.Dataset.from_dict({"k": ["a", "b", "a", None], "n": [1, 2, 3, 6]})


def test_equal_fits_are_equal_files(tmp_path):
    for name in ("one", "two"):
        flow = DataFlow(features=NUMBERS.features)
        src = flow.src_features
        fitted = flow.fit(NUMBERS, collect={"off": src.n - Mean().call(src.n, by=src.k)})
        fitted.save(tmp_path / f"{name}.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_keys_that_were_not_seen():
    flow = DataFlow(features=NUMBERS.features)
    src = flow.src_features
    collect = {"n": src.n, "mean": Mean().call(src.n, by=src.k)}
    new = {"k": ["c", "a", None], "n": [0, 0, 0]}
    assert flow.fit(NUMBERS, collect=collect).batch_process(new)["mean"] == [None, 2.0, 6.0]
    strict = flow.fit(NUMBERS, collect=collect, unseen="error")
    assert strict.batch_process({"k": ["a"], "n": [0]}) == {"n": [0], "mean": [2.0]}
    with pytest.raises(NodeError, match="not fitted on") as caught:
        strict.batch_process({"k": ["a", "c"], "n": [0, 0]})
    assert caught.value.row == 1
    with pytest.raises(DefinitionError, match="unseen"):
        flow.fit(NUMBERS, collect=collect, unseen="nulls")


def test_keys_that_were_not_seen_stay_an_error_when_saved(tmp_path):
    flow = DataFlow(features=NUMBERS.features)
    src = flow.src_features
    collect = {"n": src.n, "mean": Mean().call(src.n, by=src.k)}
    flow.fit(NUMBERS, collect=collect, unseen="error").save(tmp_path / "flow.json")
    loaded = DataFlow.load(tmp_path / "flow.json")
    assert loaded.batch_process({"k": [None], "n": [0]}) == {"n": [0], "mean": [6.0]}
    with pytest.raises(NodeError, match="not fitted on"):
        loaded.batch_process({"k": ["c"], "n": [0]})


def test_values_of_groups_that_were_not_seen_are_null_further_on(tmp_path):
    flow = DataFlow(features=NUMBERS.features)
    src = flow.src_features
    g = ops.group_by({"k": src.k})
    n = Count().call(src.n, by=g)
    outer = ops.group_by({"n": n})
    most = Max().call(Sum().call(src.n, by=g), by=outer)
    fitted = flow.fit(NUMBERS, collect={"k": src.k, "most": most, "n": n, "again": outer.keys.n})
    found = fitted.batch_process({"k": ["b", "c", "a", None], "n": [0] * 4})
    wanted = {
        "k": ["b", "c", "a", None],
        "most": [6, None, 4, 6],
        "n": [1, None, 2, 1],
        "again": [1, None, 2, 1],
    }
    assert found == wanted
    fitted.save(tmp_path / "flow.json")
    assert DataFlow.load(tmp_path / "flow.json").batch_process({"k": wanted["k"], "n": [0] * 4}) == wanted


def test_fitted_on_no_rows():
    flow = DataFlow(features=NUMBERS.features)
    src = flow.src_features
    collect = {"n": src.n, "mean": Mean().call(src.n), "by": Sum().call(src.n, by=src.k)}
    fitted = flow.fit(NUMBERS.select([]), collect=collect)
    assert fitted.batch_process({"k": ["a"], "n": [1]}) == {"n": [1], "mean": [None], "by": [None]}


def test_a_flow_that_needs_no_aggregates_is_fitted_already():
    flow = DataFlow(features=NUMBERS.features)
    fitted = flow.fit(NUMBERS, collect={"n": flow.src_features.n + 1})
    assert fitted.batch_process({"n": [1]}) == {"n": [2]}


def test_groups_alone_are_nothing_to_fit():
    flow = DataFlow(features=NUMBERS.features)
    src = flow.src_features
    g = ops.group_by(src.k)
    with pytest.raises(DefinitionError, match="nothing to fit: the rows are groups") as caught:
        flow.fit(NUMBERS, collect={"k": g.keys.k, "mean": Mean().call(src.n, by=g)})
    assert "flow.apply(ds, collect=...)" in caught.value.hint
    assert caught.value.site.file == __file__


def test_groups_of_what_is_fitted_are_fitted():
    flow = DataFlow(features=NUMBERS.features)
    src = flow.src_features
    g = ops.group_by(src.k)
    off = src.n - Min().call(src.n)
    fitted = flow.fit(NUMBERS, collect={"k": g.keys.k, "max": Max().call(off, by=g)})
    shifted = NUMBERS.map(lambda row: {"n": row["n"] + 10})
    found, _ = fitted.apply(shifted)
    wanted, _ = flow.apply(NUMBERS, collect={"k": g.keys.k, "max": Max().call(off, by=g)})
    assert found["max"][:] == [largest + 10 for largest in wanted["max"][:]]


SPLITS = datasets.DatasetDict(train=NUMBERS, test=NUMBERS.select([0, 1]))


def test_splits_take_aggregates_of_one_of_them():
    flow = DataFlow(features=NUMBERS.features)
    src = flow.src_features
    collect = {"off": src.n - Mean().call(src.n), "sum": Sum().call(src.n, by=src.k)}
    found, _ = flow.apply(SPLITS, collect=collect, fit_on="train")
    assert found["train"][:] == {"off": [-2, -1, 0, 3], "sum": [4, 2, 4, 6]}
    assert found["test"][:] == {"off": [-2, -1], "sum": [4, 2]}
    found, _ = flow.apply(SPLITS, collect=collect, fit_on="test")
    assert found["train"][:] == {"off": [-0.5, 0.5, 1.5, 4.5], "sum": [1, 2, 1, None]}
    found, _ = flow.apply(SPLITS, collect=collect, fit_on="each")
    assert found["test"][:] == {"off": [-0.5, 0.5], "sum": [1, 2]}
    assert found["train"][:] == {"off": [-2, -1, 0, 3], "sum": [4, 2, 4, 6]}


def test_one_says_which_split():
    flow = DataFlow(features=NUMBERS.features)
    src = flow.src_features
    collect = {"off": src.n - Mean().call(src.n)}
    for given, message in (({}, 'fit_on="train"'), ({"fit_on": "trian"}, "did you mean 'train'")):
        with pytest.raises(DefinitionError, match=message) as caught:
            flow.apply(SPLITS, collect=collect, **given)
        assert caught.value.site is not None
        assert caught.value.site.file == __file__
    with pytest.raises(DefinitionError, match="fit_on= names a split"):
        flow.apply(NUMBERS, collect=collect, fit_on="train")


@pytest.mark.parametrize(
    "run",
    [
        lambda flow, collect: flow.batch_process(NUMBERS[:], collect=collect),
        lambda flow, collect: flow.build(collect=collect)[0].batch_process(NUMBERS[:]),
        lambda flow, collect: flow.apply(NUMBERS.to_iterable_dataset(), collect=collect),
        lambda flow, collect: flow.as_transform(collect=collect),
        lambda flow, collect: flow.preview(NUMBERS, collect=collect),
    ],
    ids=["batch_process", "build", "lazily", "as_transform", "preview"],
)
class TestRowsThatNeedAggregates:
    def test_take_a_fitted_flow(self, run):
        flow = DataFlow(features=NUMBERS.features)
        src = flow.src_features
        with pytest.raises(DefinitionError, match=r"(?s)need 'mean' of all rows \(.*flow\.fit\(ds") as caught:
            run(flow, {"off": src.n - Mean().call(src.n)})
        assert caught.value.site is not None
        assert caught.value.site.file == __file__
        assert f"{Path(__file__).name}:" in str(caught.value).split("of all rows")[1]

    def test_groups_need_all_rows(self, run):
        flow = DataFlow(features=NUMBERS.features)
        g = ops.group_by({"k": flow.src_features.k})
        with pytest.raises(DefinitionError, match="the rows are groups of all rows") as caught:
            run(flow, {"k": g.keys.k, "n": Count().call(flow.src_features.n, by=g)})
        assert caught.value.site is not None
        assert caught.value.site.file == __file__

    def test_parts_are_made_of_datasets(self, run):
        flow = DataFlow(features=NUMBERS.features)
        parts = ops.split(flow.src_features, one=0.5, two=0.5)
        with pytest.raises(DefinitionError, match=r"(?s)collect= is a split.*collect=parts\.one") as caught:
            run(flow, parts)
        assert caught.value.site is not None
        assert caught.value.site.file == __file__


def test_a_vocabulary_is_learnt_once_and_looked_up(tmp_path):
    flow = DataFlow(features=MAILS.features)
    src = flow.src_features
    words = src.text.lower().split()
    vocabulary = Vocabulary(size=100).call(words)
    collect = {"share": Count().call(words) / vocabulary.length()}
    fitted = flow.fit(MAILS, collect={"id": src.id, **collect})
    fitted.save(tmp_path / "flow.json")
    assert DataFlow.load(tmp_path / "flow.json").batch_process(MAILS[:1]) == {
        "id": MAILS[:1]["id"],
        "share": [4.04],
    }


def test_many_groups_are_kept_beside_the_file(tmp_path):
    many = datasets.Dataset(pa.table({"k": range(20_000), "n": range(20_000)}))
    flow = DataFlow(features=many.features)
    src = flow.src_features
    fitted = flow.fit(many, collect={"k": src.k, "n": Sum().call(src.n, by=src.k)})
    fitted.save(tmp_path / "flow.json")
    assert (tmp_path / "flow.json").stat().st_size < 100_000
    served = DataFlow.load(tmp_path / "flow.json").batch_process({"k": [19_999, -1, 6], "n": [0] * 3})
    assert served == {"k": [19_999, -1, 6], "n": [19_999, None, 6]}
