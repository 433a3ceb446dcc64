"""Arrow files of results, each ended by a seal that says how much it must hold to count."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from datasets.table import MemoryMappedTable

_MARK = b"hyped_beam seal\n"
_SEAL = struct.Struct(f"<QQ{len(_MARK)}s")
"""The number of rows, the bytes in front of the seal, and a mark, after the end of the Arrow stream, where no
reader of streams looks: a file that was cut, or whose end never reached the disk, has none."""


def seal(path: str | os.PathLike[str], rows: int) -> None:
    """Append the seal to a complete Arrow stream, and force the file to the disk.

    Args:
        path: The file.
        rows: How many rows it holds.

    Raises:
        OSError: The disk is full, ...
    """
    with Path(path).open("ab") as file:
        file.write(_SEAL.pack(rows, file.tell(), _MARK))
        file.flush()
        os.fsync(file.fileno())


def open_sealed(path: str | os.PathLike[str]) -> MemoryMappedTable | None:
    """Map a sealed file; None where it is not whole.

    The bytes of columns are not read: the file was on the disk before it got its name.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be opened.
        pyarrow.ArrowException: It is not an Arrow stream.
    """
    with Path(path).open("rb") as file:
        size = file.seek(0, os.SEEK_END) - _SEAL.size
        if size < 0:
            return None
        file.seek(size)
        rows, expected, mark = _SEAL.unpack(file.read(_SEAL.size))
    if (expected, mark) != (size, _MARK):
        return None
    table = MemoryMappedTable.from_file(str(path))
    return table if table.num_rows == rows else None
