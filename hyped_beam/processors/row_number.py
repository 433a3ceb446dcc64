"""The number by which a row is told from all others."""

from __future__ import annotations

from typing import ClassVar

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import register
from hyped_beam.types.patterns import Int64Column


@register
class RowNumber(Processor):
    """A number for each row, which rises in the order of the source: the same whenever it is read again."""

    tells_rows_apart: ClassVar[bool] = True
    takes_limits: ClassVar[bool] = False

    def process(self) -> Int64Column:
        msg = "the executor numbers rows"
        raise NotImplementedError(msg)
