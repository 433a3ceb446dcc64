"""The same rows several times."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from hyped_beam.nodes.augmentor import Augmentor, Rows
from hyped_beam.nodes.registry import register
from hyped_beam.types import features
from hyped_beam.types.features import Feature
from hyped_beam.types.patterns import AnyColumn


@register
class RepeatRows(Augmentor):
    """Each row several times, one copy behind the other; the value of a row is the number of the copy.

    Attributes:
        times: How often.
    """

    times: int = Field(ge=0)

    def output(self, value: Feature) -> Feature:  # noqa: ARG002 - whatever it is
        return features.value("int64")

    def process(self, value: AnyColumn) -> Rows:
        parent = np.repeat(np.arange(len(value)), self.times)
        return Rows(parent, np.tile(np.arange(self.times), len(value)))
