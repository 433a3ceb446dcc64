"""Nodes of one's own in a module, so that a saved flow can name them."""

from __future__ import annotations

import pyarrow.compute as pc

from hyped_beam import Processor, processor
from hyped_beam.types.patterns import Int32Column, StringColumn


class Occurrences(Processor):
    """How often a word occurs in each text."""

    word: str

    def process(self, text: StringColumn) -> Int32Column:  # noqa: D102 - what the class says
        return pc.count_substring(text, self.word)


@processor
def first_line(text: str) -> str:
    """The first line of a text."""
    return text.split("\n", 1)[0]
