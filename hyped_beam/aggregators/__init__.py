"""The library of aggregators: one family of nodes a file."""

from hyped_beam.aggregators.bloom import BloomFilter
from hyped_beam.aggregators.collecting import CollectList, Sample
from hyped_beam.aggregators.counts import All, Any, Count, CountNull
from hyped_beam.aggregators.distinct import ApproxCountDistinct, CountDistinct
from hyped_beam.aggregators.ends import First, Last
from hyped_beam.aggregators.extremes import ArgMax, ArgMin, Max, Min
from hyped_beam.aggregators.frequencies import ApproxTopK, TopK, ValueCounts, Vocabulary
from hyped_beam.aggregators.histogram import Histogram
from hyped_beam.aggregators.moments import Kurtosis, Skewness, Std, Variance
from hyped_beam.aggregators.pairs import Correlation, Covariance
from hyped_beam.aggregators.quantiles import ApproxQuantiles, Median, Quantiles
from hyped_beam.aggregators.sums import Mean, Product, Sum

__all__ = [
    "All",
    "Any",
    "ApproxCountDistinct",
    "ApproxQuantiles",
    "ApproxTopK",
    "ArgMax",
    "ArgMin",
    "BloomFilter",
    "CollectList",
    "Correlation",
    "Count",
    "CountDistinct",
    "CountNull",
    "Covariance",
    "First",
    "Histogram",
    "Kurtosis",
    "Last",
    "Max",
    "Mean",
    "Median",
    "Min",
    "Product",
    "Quantiles",
    "Sample",
    "Skewness",
    "Std",
    "Sum",
    "TopK",
    "ValueCounts",
    "Variance",
    "Vocabulary",
]
