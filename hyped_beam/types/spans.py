"""Where the rows of a batch stand in the source that they were read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from typing_extensions import Self


@dataclass(frozen=True)
class Span:
    """Rows of a batch that stand behind each other in the source, too.

    Attributes:
        rows: How many.
        first: The number of the first one in the source (or a range of it), or None where that is not known.
        path: The file that they are from; empty where they are from none that the user knows.
        first_in_file: The number of the first one in that file, or None where that is not known.
    """

    rows: int
    first: int | None
    path: str = ""
    first_in_file: int | None = None

    def slice(self, start: int, rows: int) -> Self:
        """Some of the rows."""
        return replace(
            self,
            rows=rows,
            first=_later(self.first, start),
            first_in_file=_later(self.first_in_file, start),
        )

    def moved(self, by: int | None) -> Self:
        """The same rows, numbered on from another number; None where it is not known."""
        return replace(self, first=None if by is None else _later(self.first, by))


def row_at(spans: Sequence[Span], row: int) -> Span | None:
    """One row of a batch, as a span of its own; None where it is not known where it is from."""
    for span in spans:
        if row < span.rows:
            return span.slice(row, 1)
        row -= span.rows
    return None


def numbers_of(spans: Sequence[Span]) -> pa.Array | None:
    """The number of each row in the source (int64); None where it is not known of all."""
    firsts = [span.first for span in spans]
    if not spans or None in firsts:
        return None
    parts = [np.arange(span.first or 0, (span.first or 0) + span.rows) for span in spans]
    return pa.array(parts[0] if len(parts) == 1 else np.concatenate(parts), pa.int64())


def _later(first: int | None, by: int) -> int | None:
    return None if first is None else first + by
