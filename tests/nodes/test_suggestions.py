"""Names that are not there: what was meant is said, whatever library it comes from."""

from __future__ import annotations

import copy
import pickle
import re

import datasets
import pytest

import hyped_beam
from hyped_beam import DataFlow, ops
from hyped_beam.errors import NearNames, UnknownNameError
from hyped_beam.nodes import registry
from hyped_beam.nodes.suggestions import ELSEWHERE, aggregators, functions, hint_for, methods
from hyped_beam.types.features import Family

FLOW = DataFlow(features={"x": "float64", "text": "string", "inner": {"a": "int64"}})
SRC = FLOW.src_features
ROWS = datasets.Dataset.from_dict({"x": [1.0], "text": ["a"], "inner": [{"a": 1}]})
JOB = FLOW.job(source=ROWS)


@pytest.mark.parametrize(
    ("owner", "name", "hint"),
    [
        (SRC, "tex", "did you mean 'text'?"),
        (SRC, "groupby", "write ops.group_by(keys)"),
        (SRC, "filter", "write ops.filter(ref, condition)"),
        (SRC, "explod", "did you mean ops.explode(lists)?"),
        (SRC.inner, "fill_null", "write ops.fill_null(ref, replacement)"),
        (SRC.text, "lowr", "did you mean 'lower'?"),
        (SRC.x, "mean", "write Mean().call(ref) of hyped_beam.aggregators (by= for groups)"),
        (SRC.x, "quantile", "write Quantiles(q=...).call(ref) of hyped_beam.aggregators (by= for groups)"),
        (SRC.x, "nunique", "write CountDistinct().call(ref) of hyped_beam.aggregators (by= for groups)"),
        (SRC.x, "fillna", "did you mean 'fill_null'?"),
        (SRC.x, "map", "write a @processor, and call it on the ref"),
        (SRC.x, "zzz", "it has: abs, between"),
        (ops, "groupby", "write ops.group_by(keys)"),
        (ops, "grop_by", "did you mean 'group_by'?"),
        (ops, "when", "write ops.if_else(condition, then, otherwise)"),
        (ops, "upper", "write ref.upper(...)"),
        (ops, "mean", "write Mean().call(ref)"),
        (ops, "zzz", "there are: align, cast"),
        (ops.group_by(SRC.text), "mean", "write Mean().call(ref) of hyped_beam.aggregators (by= for groups)"),
        (ops.group_by(SRC.text), "zzz", "aggregate by them, as in Count().call(ref, by=groups)"),
        (FLOW, "aply", "did you mean 'apply'?"),
        (FLOW, "source_features", "did you mean 'src_features'?"),
        (JOB, "writ", "did you mean 'write'?"),
        (hyped_beam, "Dataflow", "did you mean 'DataFlow'?"),
    ],
)
def test_what_was_meant(owner, name, hint):
    with pytest.raises(UnknownNameError) as caught:
        getattr(owner, name)
    assert hint in caught.value.hint
    assert caught.value.site.file == __file__
    assert not hasattr(owner, name)


@pytest.mark.parametrize("owner", [FLOW, JOB, ops, hyped_beam, ops.group_by(SRC.text)])
def test_what_python_asks_for_is_answered_plainly(owner):
    with pytest.raises(AttributeError) as caught:
        owner.__wrapped__  # noqa: B018 - the attribute is what is tested
    assert not isinstance(caught.value, UnknownNameError)
    assert copy.copy(FLOW).src_features.x is not None


def test_every_name_of_another_library_leads_to_one_of_ours():
    known = {*functions(), *aggregators(), *methods()}
    for name, meant in ELSEWHERE.items():
        assert meant in known or " " in meant, name
        assert hint_for(name, [], functions() | aggregators() | methods()) is not None


def test_hints_name_functions_and_aggregators_that_are_there():
    for text in functions().values():
        assert hasattr(ops, re.fullmatch(r"ops\.(\w+)\(.*\)", text)[1])
    module = __import__("hyped_beam.aggregators", fromlist=["Mean"])
    assert {text.partition("(")[0] for text in aggregators().values()} == set(module.__all__)
    assert set(methods()) == {name for family in Family for name in registry.methods_of(family)}


class Raises(NearNames):
    @property
    def broken(self) -> None:
        raise UnknownNameError("something within it")


def test_what_a_property_raises_is_not_taken_for_a_missing_name():
    with pytest.raises(UnknownNameError, match="something within it"):
        _ = Raises().broken
    with pytest.raises(UnknownNameError, match="has no attribute 'brokn'") as caught:
        _ = Raises().brokn
    assert caught.value.hint == "did you mean 'broken'?"
    assert isinstance(pickle.loads(pickle.dumps(Raises())), Raises)  # noqa: S301 - our own


def test_ops_lists_its_functions_alone():
    assert dir(ops) == sorted(ops.__all__)
    assert "filter" in dir(ops)
