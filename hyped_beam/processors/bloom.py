"""Looking values up in Bloom filters."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.types import arrays, bloom
from hyped_beam.types.patterns import AnyColumn, BinaryColumn, BooleanColumn


@method("might_contain")
class MightContain(Processor):
    """Whether a value may be in the set that a Bloom filter, made by `BloomFilter`, describes.

    False is certain; true is wrong as often as the filter's `error` says. Null where the value or the filter
    is null. The value must have the family of type that the filter was made of: 1 and 1.0 differ.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import BloomFilter
        >>> from hyped_beam.testing import aggregate, evaluate, flow_of
        >>> small = BloomFilter(capacity=100).call(flow_of({"n": "int64"}).n)
        >>> known = aggregate(small, pa.table({"n": [1, 2]}))
        >>> table = pa.table({"known": [known] * 3, "n": [2, 3, None]})
        >>> src = flow_of(table.schema)
        >>> evaluate(src.known.might_contain(src.n), table).to_pylist()
        [True, False, None]
    """

    accepts_scalars: ClassVar[bool] = True

    def process(self, bloom_filter: BinaryColumn, value: AnyColumn) -> BooleanColumn:
        rows = len(value) if isinstance(value, pa.Array) else len(bloom_filter)
        if isinstance(value, pa.Scalar):
            value = arrays.full(value, rows)
        known = value.is_valid().to_numpy(zero_copy_only=False)
        if isinstance(bloom_filter, pa.Scalar):
            filters, numbers = pa.array([bloom_filter.as_py()], pa.large_binary()), np.zeros(rows, np.int64)
        else:
            # the filters of a group are the same in all of its rows
            dictionary = bloom_filter.dictionary_encode("encode")
            filters = dictionary.dictionary
            numbers = dictionary.indices.to_numpy().astype(np.int64)
        known &= filters.is_valid().to_numpy(zero_copy_only=False)[numbers]
        found = np.zeros(rows, np.bool_)
        found[known] = bloom.might_contain(filters, numbers[known], value.filter(pa.array(known)))
        return pa.array(found, mask=~known)
