"""Feature patterns of lists, by what their elements are."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import pyarrow as pa

from hyped_beam.processors.comparison import COMPARABLE
from hyped_beam.types.features import Family
from hyped_beam.types.patterns import lists_of, several

ListOfBooleans: TypeAlias = Annotated[pa.Array, lists_of(several("booleans", Family.BOOLEAN))]
ListOfNumbers: TypeAlias = Annotated[
    pa.Array,
    lists_of(
        several(
            "numbers, booleans or durations",
            Family.INTEGER,
            Family.FLOAT,
            Family.DECIMAL,
            Family.BOOLEAN,
            Family.DURATION,
        )
    ),
]
ListOfComparables: TypeAlias = Annotated[
    pa.Array, lists_of(several("numbers, texts, binary, booleans or times", *COMPARABLE))
]
ListOfStrings: TypeAlias = Annotated[pa.Array, lists_of(several("strings", Family.STRING))]
ListOfLists: TypeAlias = Annotated[pa.Array, lists_of(several("lists", Family.LIST))]
