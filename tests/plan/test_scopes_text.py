"""What `explain` says of flows with several kinds of rows."""

from __future__ import annotations

import re
from pathlib import Path

import datasets
import pyarrow as pa
import pytest

from hyped_beam import DataFlow, Processor, ops
from hyped_beam.aggregators import Count, Mean, Quantiles, Std
from hyped_beam.ops import collect
from hyped_beam.types.patterns import Int64Column

SCHEMA = pa.schema({"id": pa.string(), "group": pa.string(), "label": pa.string(), "text": pa.string()})


class Score(Processor):
    repeatable = False

    def process(self, n: Int64Column) -> Int64Column:
        return n


def aggregates_that_feed_rows(src):
    length = src.text.split().length()
    mean, std = Mean().call(length), Std().call(length)
    z = (length - mean) / std
    delta = length - Mean().call(length, by=src.group)
    return {
        "collect": {"z": z, "delta": delta},
        "aggregators": {"mean": mean, "p99": Quantiles(q=[0.99]).call(length)},
    }


def groups(src):
    length = src.text.split().length()
    g = ops.group_by({"group": src.group})
    return {
        "collect": collect(
            {
                "group": g.keys.group,
                "mails": Count().call(src.text, by=g),
                "words": Mean().call(length, by=g),
            }
        )
    }


def shuffled(src):
    g = ops.group_by({"group": src.group}, join="shuffle")
    length = src.text.length()
    return {
        "collect": {
            "share": Count().call(src.id, by=g) / Count().call(src.id),
            "off": length - Mean().call(length, by=g),
        }
    }


def shuffled_groups(src):
    g = ops.group_by({"group": src.group}, join="shuffle")
    return {"collect": {"group": g.keys.group, "share": Count().call(src.id, by=g) / Count().call(src.id)}}


def filtered(src):
    spam = ops.filter(src, src.label == "spam")
    return {"collect": {"id": spam.id, "off": spam.text.length() - Mean().call(spam.text.length())}}


def partitioned(src):
    good, bad = ops.partition(src, src.text.length() > 0)
    return {"collect": {"id": good.id}, "aggregators": {"bad": Count().call(bad.id)}}


def exploded(src):
    lines = ops.explode(src.text.split("\n"))
    return {"collect": {"id": src.id, "line": lines, "of": Count().call(lines, by=ops.each(src))}}


def distinct(src):
    return {"collect": {"text": ops.distinct(src, by=src.text.lower()).text}}


def split(src):
    return {"collect": ops.split(src, by=src.id, train=0.9, test=0.1, seed=0)}


def looked_up(src):
    users = pa.table({"id": ["a", "b"], "country": ["be", "nl"]})
    user = ops.lookup(src.group, in_=datasets.Dataset(users), key="id")
    return {"collect": {"id": src.id, "country": user.country}}


def run_once(src):
    score = Score().call(src.text.length())
    return {"collect": {"off": score - Mean().call(score, by=src.group)}}


SAMPLES = {
    function.__name__: function
    for function in (
        aggregates_that_feed_rows,
        groups,
        shuffled,
        shuffled_groups,
        filtered,
        partitioned,
        exploded,
        distinct,
        split,
        looked_up,
        run_once,
    )
}


def explained(name):
    flow = DataFlow(features=SCHEMA)
    return flow.explain(**SAMPLES[name](flow.src_features))


def snapshots() -> dict[str, str]:
    """The texts by the name of the sample, which stands before each."""
    told = Path(__file__).with_name("scopes.txt").read_text(encoding="utf-8")
    parts = re.split(r"^== (\w+)\n", told, flags=re.MULTILINE)
    return {name: text.rstrip() + "\n" for name, text in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_plan_is_told(name):
    assert explained(name) == snapshots()[name]


def test_every_text_is_of_a_sample():
    assert list(snapshots()) == list(SAMPLES)


def test_a_fitted_flow_has_one_scan_and_constants():
    rows = datasets.Dataset.from_dict(
        {"id": ["1", "2"], "group": ["a", "b"], "label": ["x", "y"], "text": ["to be", "to be or not"]}
    )
    flow = DataFlow(features=rows.features)
    asked = aggregates_that_feed_rows(flow.src_features)
    fitted = flow.fit(rows, collect=asked["collect"])
    assert fitted.explain() == FITTED


FITTED = """\
plan: 1 scan, 1 join by key, 1 output

scan: reads 2 of 4 columns: group, text
  %1 = count_words(text=%0.text)                  : int64
  %4 = promote(%1)                                : float64
  %5 = subtract(left=%4, right=3.0)               : float64
  %6 = divide(left=%5, right=1.4142135623730951)  : float64
  %7 = join by key, broadcast(group=%0.group)     : groups by group
  %9 = subtract(left=%4, right=2 groups)          : float64
  %10 = pack_struct(z=%6, delta=%9)               : {z: float64, delta: float64}
  output 'rows' <- %10                            : {z: float64, delta: float64}
"""
