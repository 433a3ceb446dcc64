"""Options that are numbers take no text, and those that are True or False nothing else."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field

from hyped_beam import DataFlow, Limits
from hyped_beam.errors import DefinitionTypeError
from hyped_beam.io.writers.parquet import ParquetDatasetWriter
from hyped_beam.types.checked_options import CheckedOptions


class Sample(CheckedOptions):
    whole: int = Field(default=1, ge=0)
    number: float | None = None
    on: bool = False
    text: str | None = None
    both: int | str = 0
    mode: bool | Literal["auto"] = "auto"
    saved: int | None = Field(default=None, alias="kept")


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"whole": "2"}, "Sample option 'whole': it is a whole number, got '2'", "write whole=2"),
        ({"whole": "two"}, "it is a whole number, got 'two'", None),
        ({"whole": True}, "it is a whole number, got True", None),
        ({"number": "0.5"}, "it is a number, got '0.5'", "write number=0.5"),
        ({"number": b"1"}, "it is a number, got b'1'", None),
        ({"on": "yes"}, "it is True or False, got 'yes'", None),
        ({"on": 1}, "it is True or False, got 1", None),
        ({"kept": "7"}, "option 'kept': it is a whole number, got '7'", "write kept=7"),
    ],
)
def test_what_is_of_another_type_is_refused(given: dict[str, Any], message: str, hint: str | None):
    with pytest.raises(DefinitionTypeError, match=message) as caught:
        Sample(**given)
    assert caught.value.hint == hint
    assert caught.value.site.file == __file__


@pytest.mark.parametrize(
    "given",
    [
        {"whole": 2, "number": 1, "on": True},
        {"number": None, "kept": None, "text": "7"},
        {"both": "2", "mode": True},
        {"both": 2, "mode": "auto"},
    ],
)
def test_what_an_option_takes_stays_as_it_is(given: dict[str, Any]):
    made = Sample(**given)
    assert all(getattr(made, {"kept": "saved"}.get(name, name)) == value for name, value in given.items())


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.round("2"),
        lambda x: round(x, True),
        lambda x: ParquetDatasetWriter("out", max_shard_rows="10"),
        lambda x: Limits(concurrency="8"),
    ],
    ids=["method", "round", "writer", "limits"],
)
def test_nodes_writers_and_limits_take_no_text_for_numbers(write: Any):
    with pytest.raises(DefinitionTypeError, match="it is a whole number") as caught:
        write(DataFlow(features={"x": "float64"}).src_features.x)
    assert caught.value.site.file == __file__
