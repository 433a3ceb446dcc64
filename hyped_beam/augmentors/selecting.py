"""Fewer rows: those for which a condition is true, and those that a hash chooses."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hyped_beam.nodes.augmentor import Augmentor, Rows
from hyped_beam.nodes.registry import register
from hyped_beam.types.patterns import BooleanColumn, UInt64Column

_HASHES = 2**64


@register
class Filter(Augmentor):
    """The rows for which a condition is true; a null is not.

    Attributes:
        keep: The value of the condition that chooses rows; with False a null chooses them, too.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam import ops
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [1, 2, None]})
        >>> src = flow_of(table.schema)
        >>> evaluate(ops.filter(src, src.n > 1), table).to_pylist()
        [{'n': 2}]
    """

    keep: bool = True
    expands: ClassVar[bool] = False

    def condition(self) -> str | None:
        """The input that holds for all rows that stay; None where that cannot be said."""
        return "condition" if self.keep else None

    def process(self, condition: BooleanColumn) -> Rows:
        is_true = pc.fill_null(condition, pa.scalar(value=False)).to_numpy(zero_copy_only=False)
        return Rows(np.flatnonzero(is_true if self.keep else ~is_true))


@register
class Share(Augmentor):
    """The rows whose hash lies in a share of all hashes.

    Attributes:
        start: Where the share begins, from 0.
        stop: Where it ends, up to 1; hashes spread evenly, so that it holds about `stop - start` of all rows.
    """

    start: float = Field(default=0.0, ge=0, le=1)
    stop: float = Field(ge=0, le=1)
    expands: ClassVar[bool] = False

    def process(self, hashed: UInt64Column) -> Rows:
        hashes = hashed.to_numpy(zero_copy_only=False)
        return Rows(np.flatnonzero(_below(hashes, self.stop) & ~_below(hashes, self.start)))


def _below(hashes: Any, share: float) -> Any:
    """Whether hashes are among the lowest ones, of which there is a share of all."""
    bound = round(share * _HASHES)
    return np.ones(len(hashes), bool) if bound >= _HASHES else hashes < np.uint64(bound)
