"""A table that shows all of its columns; imported where one is shown, for it imports pandas."""

from __future__ import annotations

import shutil
from typing import Any

import pandas as pd

CELL_CHARACTERS = 50
"""The most characters of a value that are shown."""


class Preview(pd.DataFrame):
    """A `pandas.DataFrame` that shows all columns: in a terminal as many side by side as its width takes."""

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame  # what is computed from it is a table like any other

    def __repr__(self) -> str:
        width = shutil.get_terminal_size().columns
        with pd.option_context("display.width", width):
            text: Any = self.to_string(line_width=width, max_cols=None, max_colwidth=CELL_CHARACTERS)
        return str(text)

    def _repr_html_(self) -> str:
        with pd.option_context("display.max_colwidth", CELL_CHARACTERS):
            return str(self.to_html(max_cols=None, notebook=True))
