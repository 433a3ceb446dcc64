"""The library of aggregators: one family of nodes a file."""

from hyped_beam.aggregators.counts import All, Any, Count, CountNull
from hyped_beam.aggregators.ends import First, Last
from hyped_beam.aggregators.extremes import ArgMax, ArgMin, Max, Min
from hyped_beam.aggregators.moments import Kurtosis, Skewness, Std, Variance
from hyped_beam.aggregators.pairs import Correlation, Covariance
from hyped_beam.aggregators.sums import Mean, Product, Sum

__all__ = [
    "All",
    "Any",
    "ArgMax",
    "ArgMin",
    "Correlation",
    "Count",
    "CountNull",
    "Covariance",
    "First",
    "Kurtosis",
    "Last",
    "Max",
    "Mean",
    "Min",
    "Product",
    "Skewness",
    "Std",
    "Sum",
    "Variance",
]
