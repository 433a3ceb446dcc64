"""Tools for tests: a ref on a few rows, and a job that has to make the same in several places."""

from hyped_beam.testing.rows import aggregate, evaluate, flow_of
from hyped_beam.testing.runners import assert_same_on

__all__ = ["aggregate", "assert_same_on", "evaluate", "flow_of"]
