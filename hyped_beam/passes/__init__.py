"""Graph to graph, one pass a file: the same values with less to do."""

from hyped_beam.passes.pipeline import PASSES, optimise

__all__ = ["PASSES", "optimise"]
