"""Python values as Arrow arrays, encoded as their features say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from hyped_beam.types import arrays, features
from hyped_beam.types.features import Feature

ENCODING_ERRORS = (
    pa.ArrowException,
    TypeError,
    ValueError,
    KeyError,
    AttributeError,
    OverflowError,
)
"""What `encode` raises for values that are not of their feature: whatever `datasets` and Arrow raise."""


def encode(values: Sequence[Any], feature: Feature) -> pa.Array:
    """Values as an array of the type of their feature: names as labels, images as bytes, ...

    Raises:
        Exception: One of `ENCODING_ERRORS`: a value is not of the feature.
    """
    if type(feature).__name__ == "Value":
        return arrays.from_values(values, features.to_arrow(feature))
    from datasets import Features
    from datasets.arrow_writer import TypedSequence

    encoded = Features({"values": feature}).encode_batch({"values": list(values)})["values"]
    return arrays.conform(pa.array(TypedSequence(encoded, type=feature)), features.to_arrow(feature))
