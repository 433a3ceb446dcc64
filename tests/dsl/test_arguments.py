"""Wrong arguments of what a user calls are answered on the line that wrote them."""

from __future__ import annotations

import datasets
import pytest

from hyped_beam import DataFlow, processor
from hyped_beam.aggregators import Count
from hyped_beam.errors import DefinitionTypeError

DATA = datasets.Dataset.from_dict({"n": [1, 2]})
FLOW = DataFlow(features=DATA.features)
N = FLOW.src_features.n


@pytest.mark.parametrize("number", [0, -1, 1.5, "2", True])
@pytest.mark.parametrize("name", ["batch_size", "num_proc"])
def test_numbers_of_apply(name, number):
    with pytest.raises(DefinitionTypeError, match=rf"{name}= is a number of at least 1, got {number!r}"):
        FLOW.apply(DATA, collect={"n": N}, **{name: number})


@pytest.mark.parametrize("number", [-1, "5"])
def test_the_number_of_rows_of_a_preview(number):
    with pytest.raises(DefinitionTypeError, match="n= is a number of at least 1"):
        FLOW.preview(DATA, collect={"n": N}, n=number)


@pytest.mark.parametrize("call", ["apply", "build"])
def test_an_aggregate_without_a_name(call):
    given = (DATA,) if call == "apply" else ()
    with pytest.raises(DefinitionTypeError, match="aggregators= takes a mapping") as caught:
        getattr(FLOW, call)(*given, collect={"n": N}, aggregators=Count().call(N))
    assert 'aggregators={"mean": Mean().call(ref)}' in str(caught.value)


def test_a_failed_apply_leaves_nothing_in_the_cache(tmp_path):
    with pytest.raises(Exception, match="by zero"):
        FLOW.apply(DATA, collect={"n": 1 // (N - 1)}, cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_apply_is_interrupted_and_leaves_nothing_in_the_cache(tmp_path):
    @processor
    def interrupted(n: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FLOW.apply(DATA, collect={"n": interrupted.call(N)}, cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []
