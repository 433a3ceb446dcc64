"""Tools for tests: a ref on a few rows, and flows and jobs that have to give the same everywhere."""

from hyped_beam.testing.everywhere import Entrances, assert_same_everywhere
from hyped_beam.testing.rows import aggregate, evaluate, flow_of
from hyped_beam.testing.runners import assert_same_on

__all__ = ["Entrances", "aggregate", "assert_same_everywhere", "assert_same_on", "evaluate", "flow_of"]
