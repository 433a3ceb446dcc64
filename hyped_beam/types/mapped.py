"""Arrow arrays that lie in a file instead of memory, and travel to processes of this machine as its path."""

from __future__ import annotations

import errno
import io
import os
import pickle
import stat
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import cloudpickle
import pyarrow as pa

from hyped_beam.types import arrays

LARGE = 1 << 20
"""Arrays of fewer bytes stay where they are."""


def mapped(array: pa.Array) -> pa.Array:
    """The same values, in a file that is mapped into memory where there are many; nobody else can change it.

    Raises:
        OSError: The file cannot be written.
    """
    if array.nbytes < LARGE:
        return array
    number, path = tempfile.mkstemp(prefix="hyped-beam-", suffix=".arrow")
    os.close(number)
    try:
        write_array(path, array)
        return read_array(path, array.type)
    finally:
        Path(path).unlink()  # what is mapped stays as long as somebody holds it


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading that is a file: a pipe would be waited for, and a device may have no end.

    Raises:
        OSError: It is none, or cannot be read.
    """
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(number).st_mode
    if not stat.S_ISREG(mode):
        os.close(number)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device, and no file", os.fspath(path))
    return os.fdopen(number, "rb")


def mapped_copy(path: str | os.PathLike[str]) -> pa.Buffer:
    """The bytes of a file; of a large one a copy is mapped, which stays whatever becomes of the file.

    Raises:
        OSError: The file cannot be read, or its copy not be written.
    """
    with open_regular(path) as file:  # what is copied is what was opened
        if os.fstat(file.fileno()).st_size < LARGE:
            return pa.py_buffer(file.read())
        with tempfile.NamedTemporaryFile(prefix="hyped-beam-", suffix=".arrow") as copy:
            while chunk := file.read(LARGE):
                copy.write(chunk)
            copy.flush()
            return pa.memory_map(copy.name).read_buffer()


def write_array(path: str | os.PathLike[str], array: pa.Array) -> None:
    """Write an array to a file, for `read_array`."""
    held = arrays.stored(array)
    with pa.OSFile(os.fspath(path), "wb") as file:
        batch = pa.RecordBatch.from_arrays([held], ["array"])
        with pa.ipc.new_stream(file, batch.schema) as stream:
            stream.write_batch(batch)


def read_array(path: str | os.PathLike[str], arrow_type: pa.DataType) -> pa.Array:
    """The array in a file, which is mapped into memory."""
    (batch,) = pa.ipc.open_stream(pa.memory_map(os.fspath(path)))
    return arrays.conform(batch.column(0), arrow_type)


def dump_here(value: Any, folder: str) -> bytes:
    """A pickle for other processes of this machine, whose large arrays are files that they share.

    Args:
        value: Anything that cloudpickle takes.
        folder: Where the files are; it must be there until all have loaded the pickle.
    """
    buffer = io.BytesIO()
    _Pickler(buffer, folder).dump(value)
    return buffer.getvalue()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    def __init__(self, file: io.BytesIO, folder: str) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._folder = Path(folder)
        self._made = 0

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, pa.Array) and obj.nbytes >= LARGE:
            self._made += 1
            path = self._folder / f"{self._made}.arrow"
            write_array(path, obj)
            return read_array, (str(path), obj.type)
        return super().reducer_override(obj)
