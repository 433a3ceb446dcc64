"""The table of aggregators has all of them."""

from __future__ import annotations

import re
from pathlib import Path

from hyped_beam import aggregators

PAGE = Path(__file__).parents[2] / "docs" / "aggregators.md"


def test_the_table_has_every_aggregator():
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)", row.split("|")[1])}
    assert set(aggregators.__all__) == {name for name in named if name[0].isupper()}
