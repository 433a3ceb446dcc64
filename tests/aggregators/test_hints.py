"""What an exact aggregate that is too large says to write instead can be written."""

from __future__ import annotations

import pyarrow as pa
import pytest

from hyped_beam.aggregators import Quantiles
from hyped_beam.errors import NodeError
from hyped_beam.testing import aggregate, flow_of


def test_the_twin_of_quantiles_is_given_its_options():
    table = pa.table({"n": range(1000)})
    with pytest.raises(NodeError) as raised:
        aggregate(Quantiles(q=[0.5], max_bytes=100).call(flow_of(table.schema).n), table)
    assert "use ApproxQuantiles(q=...)" in raised.value.hint
