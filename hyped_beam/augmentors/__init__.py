"""The library of augmentors: one family of nodes a file."""

from hyped_beam.augmentors.exploding import Explode
from hyped_beam.augmentors.repeating import RepeatRows
from hyped_beam.augmentors.selecting import Filter, Share

__all__ = ["Explode", "Filter", "RepeatRows", "Share"]
