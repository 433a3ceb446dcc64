"""Values at rows that belong to others: each held once, beside the number of the row that each row takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.types.vectors import Vector


@dataclass(frozen=True)
class Indexed:
    """A column that is not repeated for the rows that share its values.

    Attributes:
        values: The values.
        index: For each row the number of its value (an integer column); null for none.
    """

    values: pa.Array
    index: pa.Array

    def __len__(self) -> int:
        return len(self.index)

    def slice(self, start: int, rows: int) -> Indexed:
        """Some of the rows."""
        return Indexed(self.values, self.index.slice(start, rows))

    def repeated(self) -> pa.Array:
        """The same rows as a column."""
        return pc.take(self.values, self.index, boundscheck=False)

    def places(self) -> tuple[Vector, Vector | None]:
        """For each row the number of its value, 0 if it has none; and which rows have one, None if all do."""
        if not self.index.null_count:
            return self.index.to_numpy(), None
        known = self.index.is_valid().to_numpy(zero_copy_only=False)
        return pc.fill_null(self.index, 0).to_numpy(), np.asarray(known)
