"""The library of aggregators: one family of nodes a file."""

from hyped_beam.aggregators.basic import Count, Max, Mean, Min, Sum

__all__ = ["Count", "Max", "Mean", "Min", "Sum"]
