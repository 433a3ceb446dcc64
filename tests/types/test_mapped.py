"""Arrays in files: the same values, none in memory, shared by all processes that load a pickle."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest

from hyped_beam.types import arrays
from hyped_beam.types.features import to_arrow
from hyped_beam.types.mapped import LARGE, dump_here, mapped, mapped_copy

ROWS = 200_000
NUMBERS = pa.array(np.arange(ROWS))

ARRAYS: dict[str, Any] = {
    "numbers": NUMBERS,
    "slice": pa.concat_arrays([NUMBERS, NUMBERS]).slice(17, ROWS),
    "text": pa.array([f"a text of row {row}" if row % 3 else None for row in range(ROWS)]),
    "struct": arrays.struct_of({"k": NUMBERS, "l": pa.array([[row] for row in range(ROWS)])}, ROWS),
    "extension": arrays.from_values(
        [[[row, row]] for row in range(ROWS)], to_arrow(datasets.Array2D(shape=(1, 2), dtype="int64"))
    ),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_a_mapped_array_has_the_same_values_and_takes_no_memory(name):
    before = pa.total_allocated_bytes()
    found = mapped(ARRAYS[name])
    assert pa.total_allocated_bytes() - before < ARRAYS[name].nbytes / 10
    assert found.type == ARRAYS[name].type
    assert found.equals(ARRAYS[name])


def test_nothing_is_left_of_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = mapped(NUMBERS)
    assert not list(tmp_path.iterdir())
    assert found.equals(NUMBERS)


def test_a_small_array_stays_where_it_is():
    small = NUMBERS.slice(0, 10)
    assert mapped(small) is small


@pytest.mark.parametrize("name", ARRAYS)
def test_a_pickle_for_this_machine_has_large_arrays_as_files(tmp_path, name):
    value = {"array": ARRAYS[name], "other": lambda row: row + 1}  # by cloudpickle
    pickled = dump_here(value, str(tmp_path))
    assert len(pickled) < LARGE / 100
    before = pa.total_allocated_bytes()
    found = pickle.loads(pickled)  # noqa: S301 - made above
    assert pa.total_allocated_bytes() - before < ARRAYS[name].nbytes / 10
    for path in tmp_path.iterdir():
        path.unlink()  # what is loaded stays
    assert found["array"].equals(ARRAYS[name])
    assert found["other"](1) == 2


@pytest.mark.parametrize("size", [10, LARGE + 10])
def test_a_copy_stays_as_the_file_was(tmp_path: Path, size: int):
    content = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(content)
    copy = mapped_copy(path)
    path.write_bytes(b"")
    assert copy.to_pybytes() == content
