"""Files of very many columns: what is done for them grows with their number, and no faster."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from hyped_beam.errors import InputError
from hyped_beam.io.readers.agreement import check_unique
from hyped_beam.io.readers.csv import CsvReader
from hyped_beam.io.readers.json import JsonReader

FEW, MANY = 500, 2000
LONG = 10**20


def calls(action: Callable[[], Any]) -> int:
    """How many functions are called: the same on a machine that is busy."""
    count = 0

    def counted(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count


def written(tmp_path, kind, columns):
    """A reader of one row of so many columns of numbers that are read as text."""
    names = [f"k{number}" for number in range(columns)]
    path = tmp_path / f"{columns}.{'csv' if kind == 'csv' else 'jsonl'}"
    if kind == "csv":
        path.write_text(",".join(names) + "\n" + ",".join(str(LONG + n) for n in range(columns)) + "\n")
        return CsvReader(path)
    row = {name: LONG + number for number, name in enumerate(names)}
    path.write_text(json.dumps(row if kind == "json" else {"x": row}) + "\n")
    return JsonReader(path)


@pytest.mark.parametrize("kind", ["json", "nested json", "csv"])
@pytest.mark.filterwarnings("ignore:.*read as text")
def test_finding_types_and_reading_take_steps_for_each_column(tmp_path, read_all, kind):
    def steps(columns: int) -> int:
        reader = written(tmp_path, kind, columns)
        return calls(lambda: read_all(reader))

    steps(2)  # imports
    assert steps(MANY) < 2 * MANY / FEW * steps(FEW)


def test_names_are_compared_with_each_other_once():
    class Name(str):
        compared = 0
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            Name.compared += 1
            return str.__eq__(self, other)

    names = [Name(number) for number in range(MANY)]
    check_unique("x", names)
    assert Name.compared < 2 * MANY
    with pytest.raises(InputError, match="several columns of the name '3'"):
        check_unique("x", [*names, Name(3)])


def test_parts_of_a_line_that_hold_no_row_cost_nothing_for_its_columns(tmp_path, read_all):
    (tmp_path / "x.jsonl").write_text(json.dumps({f"k{n}": "x" * 100 for n in range(MANY)}) + "\n")
    reader = JsonReader(tmp_path / "x.jsonl")
    wanted = reader.scan(list(reader.features))
    first, *others = reader.ranges()
    assert len(others) > 1
    assert [batch.num_rows for batch in wanted.read(first)] == [1]
    for part in others:
        assert calls(lambda part=part: list(wanted.read(part))) < MANY


@pytest.mark.parametrize("kind", ["json", "nested json", "csv"])
def test_some_columns_are_warned_of_by_name_and_the_others_together(tmp_path, kind):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        _ = written(tmp_path, kind, 40).features
    told = [str(warning.message) for warning in said]
    prefix = "x." if kind == "nested json" else ""
    for number in range(5):
        assert f"column '{prefix}k{number}' has integers beyond 64 bits" in told[number]
    assert len(told) == 6
    assert told[5].startswith("35 more columns of ")
    assert {warning.filename for warning in said} == {__file__}
