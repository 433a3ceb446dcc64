"""Tools for testing nodes: run one, or a ref, on a few rows."""

from hyped_beam.testing.rows import aggregate, evaluate, flow_of

__all__ = ["aggregate", "evaluate", "flow_of"]
