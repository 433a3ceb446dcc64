"""Damaged Arrow files are refused, whatever is damaged in them; sound ones are read."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hyped_beam.errors import InputError
from hyped_beam.io.readers.arrow import ArrowReader

FAR = 1 << 30


def _text(offsets: list[int], kind: pa.DataType) -> pa.Array:
    width = "q" if kind in (pa.large_string(), pa.large_binary()) else "i"
    buffers = [None, pa.py_buffer(struct.pack(f"{len(offsets)}{width}", *offsets)), pa.py_buffer(b"abcdef")]
    return pa.Array.from_buffers(kind, len(offsets) - 1, buffers)


def _lists(offsets: list[int], values: pa.Array) -> pa.Array:
    buffers = [None, pa.py_buffer(struct.pack(f"{len(offsets)}i", *offsets))]
    return pa.Array.from_buffers(pa.list_(values.type), len(offsets) - 1, buffers, children=[values])


def _dictionary(indices: list[int]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), pa.array(["a", "b"]), safe=False)


DAMAGED = {
    "an offset in between far outside": _text([0, FAR, 4], pa.string()),
    "an offset that goes back": _text([0, -FAR, 4], pa.binary()),
    "a large offset": _text([0, FAR << 20, 4], pa.large_string()),
    "a list": _lists([0, FAR, 2], pa.array([1, 2])),
    "a text in a list": _lists([0, 1, 2], _text([0, FAR, 4], pa.string())),
    "a text in a struct": pa.StructArray.from_arrays([_text([0, FAR, 4], pa.string())], ["s"]),
    "an index of a dictionary": _dictionary([0, FAR]),
}
SOUND: dict[str, Any] = {
    "texts": pa.array(["a", None, "", "bc"]),
    "large": pa.array([b"a", None], pa.large_binary()),
    "lists": pa.array([[1], None, [], [2, None]]),
    "nested": pa.array([[{"a": ["x"]}], [None], None, [{"a": None}]]),
    "fixed lists": pa.array([["a", "b"], None], pa.list_(pa.string(), 2)),
    "dictionaries": pa.array(["a", None, "b"]).dictionary_encode(),
    "nulls": pa.nulls(3),
    "no rows": pa.array([], pa.string()),
    "a slice": pa.array(["a", "bc", "def", None]).slice(1, 2),
    "numbers": pa.array([1.5, None]),
    "fixed bytes": pa.array([b"ab", None], pa.binary(2)),
    "decimals": pa.array([1, None], pa.decimal128(5, 2)),
}


def _write(path: Path, column: pa.Array, *, stream: bool, compression: str | None = None) -> ArrowReader:
    schema = pa.schema([("n", pa.int64()), ("x", column.type)])
    batch = pa.RecordBatch.from_arrays([pa.array(range(len(column)), pa.int64()), column], schema=schema)
    opened = pa.ipc.new_stream if stream else pa.ipc.new_file
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(str(path), "wb") as file, opened(file, schema, options=options) as writer:
        writer.write_batch(batch)
    return ArrowReader(path)


def _rows(reader: ArrowReader, columns: list[str]) -> list[Any]:
    return [
        row for part in reader.ranges() for batch in reader.read(part, columns) for row in batch.to_pylist()
    ]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("compression", [None, "zstd"])
@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_damaged_is_refused_with_its_file(tmp_path, name, stream, compression):
    reader = _write(tmp_path / "rows.arrow", DAMAGED[name], stream=stream, compression=compression)
    with pytest.raises(InputError, match=r"rows\.arrow cannot be read as Arrow"):
        _rows(reader, ["n", "x"])


def test_columns_beside_a_damaged_one_are_read_where_they_lie(tmp_path):
    reader = _write(tmp_path / "rows.arrow", DAMAGED["an offset that goes back"], stream=True)
    assert _rows(reader, ["n"]) == [{"n": 0}, {"n": 1}]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("compression", [None, "zstd"])
@pytest.mark.parametrize("name", SOUND)
def test_what_is_sound_is_read(tmp_path, name, stream, compression):
    reader = _write(tmp_path / "rows.arrow", SOUND[name], stream=stream, compression=compression)
    assert [row["x"] for row in _rows(reader, ["n", "x"])] == SOUND[name].to_pylist()
