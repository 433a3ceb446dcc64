"""`might_contain`: looking values up in Bloom filters."""

from __future__ import annotations

import pyarrow as pa
import pytest

from hyped_beam import NodeError
from hyped_beam.aggregators import BloomFilter
from hyped_beam.testing import aggregate, evaluate, flow_of


def made_of(values):
    table = pa.table({"n": values})
    return aggregate(BloomFilter(capacity=100, error=0.0001).call(flow_of(table.schema).n), table)


def test_filters_of_several_groups_stand_in_one_column():
    small, large = made_of([1, 2]), made_of([10, 20])
    table = pa.table({"known": [small, large, None, large], "n": [1, 1, 1, 20]})
    src = flow_of(table.schema)
    assert evaluate(src.known.might_contain(src.n), table).to_pylist() == [True, False, None, True]
    assert evaluate(src.known.might_contain(10), table).to_pylist() == [False, True, None, True]
    assert evaluate(src.known.might_contain(src.n), table.slice(0, 0)).to_pylist() == []


def test_widths_of_types_make_no_difference():
    table = pa.table({"known": [made_of([1, 2])] * 2, "n": pa.array([2, 3], pa.int8())})
    src = flow_of(table.schema)
    assert evaluate(src.known.might_contain(src.n), table).to_pylist() == [True, False]


def test_other_bytes_are_an_error():
    for data in (b"", b"HBF1", b"something that is no filter at all"):
        table = pa.table({"known": [data], "n": [1]})
        src = flow_of(table.schema)
        with pytest.raises(NodeError, match="the bytes are no Bloom filter"):
            evaluate(src.known.might_contain(src.n), table)
