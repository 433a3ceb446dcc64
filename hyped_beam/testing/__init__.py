"""Tools for testing nodes: run one, or a ref, on a few rows."""

from hyped_beam.testing.rows import evaluate, flow_of

__all__ = ["evaluate", "flow_of"]
