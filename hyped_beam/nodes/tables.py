"""Second tables: what a node that finds rows of one by a key says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hyped_beam.ir.graph import Join


@dataclass(frozen=True)
class TableByKey:
    """A table in which the one input of a node is looked up, and nothing else of the row matters.

    Attributes:
        reader: Reads it.
        key: The column that holds the keys.
        join: How its rows find those of the source.
    """

    reader: Any
    key: str
    join: Join
