"""What the tests of time nodes share."""

# ruff: noqa: DTZ001 - times without a zone are what is tested

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest
from hypothesis import strategies as st

from hyped_beam.testing import evaluate, flow_of

UTC = datetime.timezone.utc
# Instants around changes of clocks, drawn more often than by chance.
CHANGES = st.builds(
    lambda change, seconds: change + datetime.timedelta(seconds=seconds),
    st.sampled_from(
        [
            datetime.datetime(2021, 3, 28, 1),
            datetime.datetime(2021, 10, 31, 1),
            datetime.datetime(2021, 11, 7, 6),
            datetime.datetime(2018, 11, 4, 3),
            datetime.datetime(2018, 2, 18, 2),
            datetime.datetime(2021, 4, 3, 15),
            datetime.datetime(2050, 3, 27, 1),
            datetime.datetime(2050, 10, 30, 1),
        ]
    ),
    st.integers(-100_000, 100_000),
)


@pytest.fixture(scope="session")
def naive_times():
    """Columns of timestamps of all years, nulls among them."""
    return st.lists(st.one_of(st.none(), st.datetimes(), CHANGES))


@pytest.fixture(scope="session")
def instants():
    """Columns of instants in UTC, nulls among them."""
    bounds = (datetime.datetime(2, 1, 1), datetime.datetime(9998, 12, 30))
    return st.lists(
        st.one_of(st.none(), st.datetimes(*bounds), st.datetimes(datetime.datetime(1890, 1, 1)), CHANGES).map(
            lambda time: time and min(time, bounds[1]).replace(tzinfo=UTC)
        )
    )


@pytest.fixture(scope="session")
def computed():
    """The values of a column, after a method of it."""

    def compute(values, kind, function):
        # behind a row that is cut off, so that the column is a slice
        table = pa.table({"x": pa.array([None, *values], kind)}).slice(1)
        return evaluate(function(flow_of(table.schema).x), table)

    return compute
