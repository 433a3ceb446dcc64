"""Options: how a node runs."""

from __future__ import annotations

import pyarrow as pa
import pytest

from hyped_beam import Limits, Processor
from hyped_beam.errors import DefinitionError
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types.patterns import Int64Column

TABLE = pa.table({"n": list(range(10))})
SRC = flow_of(TABLE.schema)


class Sizes(Processor):
    def process(self, n: Int64Column) -> Int64Column:
        return pa.array([len(n)] * len(n))


def test_batch_size_bounds_what_the_node_is_given():
    ref = Sizes().options(batch_size=4).call(SRC.n)
    assert evaluate(ref, TABLE).to_pylist() == [4] * 8 + [2] * 2


def test_options_add_up_and_leave_the_node_alone():
    node = Sizes()
    made = node.options(name="a", batch_size=3).options(name="b").options(limits=Limits(retries=2))
    assert (made._options.name, made._options.batch_size, made._options.limits.retries) == ("b", 3, 2)
    assert node._options.name is None
    assert made.identity() == node.identity()  # what it computes is the same


def test_the_name_is_used_in_messages():
    class Fails(Processor):
        def process_row(self, n: int) -> int:
            raise ValueError(n)

    with pytest.raises(Exception, match="node 'my node' failed at row 0: ValueError: 0"):
        evaluate(Fails().options(name="my node").call(SRC.n), TABLE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batchsize": 3}, "did you mean 'batch_size'"),
        ({"batch_size": 0}, "batch_size.*greater than or equal to 1, got 0"),
        ({"batch_size": "many"}, "batch_size.*got 'many'"),
        ({"limits": {"concurrency": 0}}, "Limits option 'concurrency'"),
        ({"limits": {"timeout": -1}}, "Limits option 'timeout'"),
    ],
)
def test_wrong_options_are_refused_where_they_are_written(options: dict, message: str):
    with pytest.raises(DefinitionError, match=message) as caught:
        Sizes().options(**options)
    assert caught.value.site is not None
    assert caught.value.site.file == __file__
