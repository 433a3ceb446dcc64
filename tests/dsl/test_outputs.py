"""What may be asked of a flow, and how it is refused."""

from __future__ import annotations

import datasets
import pytest

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import Count, Mean
from hyped_beam.errors import DefinitionError, DefinitionTypeError

FEATURES = datasets.Features({"text": datasets.Value("string"), "n": datasets.Value("int64")})


@pytest.fixture
def flow() -> DataFlow:
    return DataFlow(features=FEATURES)


def test_a_struct_or_a_nested_mapping_gives_the_columns(flow: DataFlow):
    src = flow.src_features
    batch = {"text": ["a"], "n": [1]}
    assert flow.batch_process(batch, collect=src) == batch
    assert flow.batch_process(batch, collect={"x": src.n, "in": {"t": src.text, "l": [src.n, src.n]}}) == {
        "x": [1],
        "in": [{"t": "a", "l": [1, 1]}],
    }
    assert flow.batch_process(batch, collect=ops.with_columns(src, n=src.n + 1)) == {"text": ["a"], "n": [2]}


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda src: {}, "nothing was asked for"),
        (lambda src: {"collect": src.n}, "collect= takes columns, got one int64 without a name"),
        (
            lambda src: {"collect": [src.text, src.n]},
            'a mapping of names to refs, got a list\n.*collect={"id"',
        ),
        (lambda src: {"collect": (src.n, src.n)}, "a mapping of names to refs, got a tuple"),
        (lambda src: {"collect": {"a": 1}}, "collect= holds no ref"),
        (lambda src: {"collect": {"a": Count().call(src.n)}}, "got only values of the whole dataset"),
        (lambda src: {"aggregators": {"a": src.n}}, "but 'a' has one for each of the rows"),
        (lambda src: {"aggregators": {"a": {"b": src.n}}}, "aggregators= takes values of the whole dataset"),
        (lambda src: {"aggregators": Count().call(src.n)}, "aggregators= takes a mapping"),
        (lambda src: {"collect": DataFlow(features=FEATURES).src_features}, "belongs to another flow"),
    ],
    ids=[
        "nothing",
        "no name",
        "a list",
        "a tuple",
        "no ref",
        "aggregate as rows",
        "rows as aggregate",
        "nested",
        "no mapping",
        "other flow",
    ],
)
def test_what_cannot_be_asked_is_refused_on_its_line(flow: DataFlow, ask, message: str):
    with pytest.raises(DefinitionError, match=message) as caught:
        flow.build(**ask(flow.src_features))
    assert caught.value.site is not None
    assert caught.value.site.file == __file__


def test_asking_leaves_the_flow_as_it_was(flow: DataFlow):
    src = flow.src_features
    before = repr(flow)
    flow.build(collect={"a": src.n, "b": 3}, aggregators={"m": Mean().call(src.n * 2)})
    assert "2 nodes" in repr(flow)
    assert before != repr(flow)  # the nodes that were called belong to it, sinks and structs do not
    again = repr(flow)
    flow.build(collect={"a": src.n})
    assert repr(flow) == again


def test_an_unknown_keyword_is_answered_with_the_nearest(flow: DataFlow):
    with pytest.raises(
        DefinitionError, match=r"build\(\) has no argument 'colect'\n  hint: did you mean 'collect'"
    ):
        flow.build(colect=flow.src_features)
    with pytest.raises(DefinitionError, match="did you mean 'num_proc'"):
        flow.apply(None, collect=flow.src_features, numproc=2)
    with pytest.raises(DefinitionTypeError, match="its arguments are: batch, index, collect"):
        flow.batch_process()
    with pytest.raises(DefinitionError, match="did you mean 'features'"):
        DataFlow(feature=FEATURES)


def test_rows_are_needed_where_rows_are_given(flow: DataFlow):
    built, _ = flow.build(aggregators={"n": Count().call(flow.src_features.n)})
    for use in (lambda: built.preview({"n": [1]}), built.as_transform):
        with pytest.raises(DefinitionTypeError, match="no rows were asked for"):
            use()
