"""Record batches as bytes: what is read back is what was written, also of slices and dictionaries."""

from __future__ import annotations

import pyarrow as pa
import pytest

from hyped_beam.execute.streams import from_bytes, to_bytes

NUMBERS = pa.record_batch({"n": pa.array(range(100)), "t": [None if n % 3 else f"{n}" for n in range(100)]})
BATCHES = {
    "numbers and text": NUMBERS,
    "a slice": NUMBERS.slice(41, 7),
    "no rows": NUMBERS.slice(0, 0),
    "no columns": pa.RecordBatch.from_arrays([], []),
    "a dictionary": pa.record_batch({"d": pa.array(["a", "b", "a"]).dictionary_encode()}),
    "a dictionary inside": pa.record_batch(
        {"s": pa.StructArray.from_arrays([pa.array(["a", "b"]).dictionary_encode()], ["d"])}
    ),
    "metadata": NUMBERS.replace_schema_metadata({"told": "something"}),
}


@pytest.mark.parametrize("kind", BATCHES)
def test_batches_come_back(kind: str):
    batch = BATCHES[kind]
    for found in from_bytes(to_bytes([batch, NUMBERS, batch]))[::2]:
        assert found.equals(batch, check_metadata=True)
        assert found.num_rows == batch.num_rows


def test_a_slice_takes_no_more_than_its_rows():
    assert len(to_bytes([NUMBERS.slice(41, 7)])) < len(to_bytes([NUMBERS])) / 2


def test_nothing_is_nothing():
    assert from_bytes(to_bytes([])) == []
